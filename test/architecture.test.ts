// Rules about the code itself: imports go one way and through index.ts, no cycles, no unseeded randomness, docstrings.
import { posix } from "node:path";
import { expect, test } from "vitest";
import { layers, readSource, type SourceFile, sourceFiles } from "./support/source-files.ts";

const files = sourceFiles();
const byPath = new Map(files.map((file) => [file.path, file]));

/** Parts of `src`, with what each may import. */
const coreParts: Readonly<Record<string, readonly string[]>> = {
  io: [],
  engine: ["io"],
  data: ["io", "engine"],
  models: ["io", "engine", "data"],
  expansion: ["io", "engine", "data", "models"],
};

/** A part is a folder with an index.ts that speaks for it: src/io, sae, sae/persistence is inside sae. */
function partOf(path: string): string {
  const [layer, folder, ...rest] = path.split("/");
  return layer === "src" && rest.length > 0 ? `src/${folder}` : layer;
}

function layerOf(path: string): number {
  return layers.indexOf(path.split("/")[0] as (typeof layers)[number]);
}

test("the scan finds the sources and their imports", () => {
  expect(files.length).toBeGreaterThan(50);
  const { imports } = readSource("cli/program.ts");
  expect(imports).toContainEqual({ path: "cli/commands/train.ts", typeOnly: false, dynamic: true });
  expect(imports).toContainEqual({ path: "cli/output.ts", typeOnly: true, dynamic: false });
});

test("every relative import names a file that is there, with its extension", () => {
  const broken = files.flatMap(({ path, imports }) =>
    imports.filter((to) => !byPath.has(to.path)).map((to) => `${path} → ${to.path}`),
  );
  expect(broken).toEqual([]);
});

test("imports go one way: src ← sae ← circuits ← reports ← cli", () => {
  const wrong = files.flatMap(({ path, imports }) =>
    imports.filter((to) => layerOf(to.path) > layerOf(path)).map((to) => `${path} → ${to.path}`),
  );
  expect(wrong).toEqual([]);
});

test("inside src: io, engine ← data, models ← expansion", () => {
  const wrong = files.flatMap(({ path, imports }) => {
    const [from] = path.split("/").slice(1);
    const allowed = coreParts[from];
    if (!path.startsWith("src/") || allowed === undefined) return [];
    return imports
      .filter((to) => {
        const part = to.path.split("/")[1];
        return part !== from && !allowed.includes(part);
      })
      .map((to) => `${path} → ${to.path}`);
  });
  expect(wrong).toEqual([]);
});

// Errors are imported by what must start fast or stay free of files, without the rest of src/io.
const direct = new Set(["src/io/errors.ts"]);

test("parts know each other by their index.ts alone", () => {
  const wrong = files.flatMap(({ path, imports }) =>
    imports
      .filter((to) => partOf(to.path) !== partOf(path) && !direct.has(to.path))
      .filter((to) => posix.basename(to.path) !== "index.ts")
      .map((to) => `${path} → ${to.path}`),
  );
  expect(wrong).toEqual([]);
});

test("no file imports itself through others", () => {
  const state = new Map<string, "open" | "done">();
  const cycles: string[] = [];
  const visit = (file: SourceFile, trail: readonly string[]): void => {
    if (state.get(file.path) === "done") return;
    if (state.get(file.path) === "open") {
      cycles.push([...trail.slice(trail.indexOf(file.path)), file.path].join(" → "));
      return;
    }
    state.set(file.path, "open");
    for (const { path, typeOnly, dynamic } of file.imports) {
      const next = byPath.get(path);
      if (next && !typeOnly && !dynamic) visit(next, [...trail, file.path]);
    }
    state.set(file.path, "done");
  };
  for (const file of files) visit(file, []);
  expect(cycles).toEqual([]);
});

test("random numbers come from an Rng that is handed in", () => {
  expect(withText(/\bMath\.random\b|\brandomUUID\b|\brandomBytes\b/)).toEqual([]);
});

test("no `any`, no swallowed error, nothing left to do", () => {
  expect(withText(/:\s*any\b|\bas any\b|<any>/)).toEqual([]);
  expect(withText(/catch\s*(\([^)]*\))?\s*\{\s*\}/)).toEqual([]);
  expect(withText(/\b(TODO|FIXME|XXX)\b/)).toEqual([]);
});

test("every file opens by saying what it is", () => {
  const silent = files
    .filter(({ text }) => !/^(#!.*\n)?(\/\*\*|\/\/)/.test(text))
    .map(({ path }) => path);
  expect(silent).toEqual([]);
});

test("no file is longer than 400 lines", () => {
  const tooLong = files
    .map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }))
    .filter(({ lines }) => lines > 400)
    .map(({ path, lines }) => `${path}: ${lines} lines`);
  expect(tooLong).toEqual([]);
});

test("everything that an index.ts exports has a docstring", () => {
  const bare = files
    .filter(({ path }) => posix.basename(path) === "index.ts")
    .flatMap((file) => exportsOf(file).filter((symbol) => !hasDocstring(file.path, symbol)))
    .map(({ name, from }) => `${from}: ${name}`);
  expect([...new Set(bare)]).toEqual([]);
});

interface Exported {
  readonly name: string;
  readonly from: string;
}

function exportsOf({ path, text }: Pick<SourceFile, "path" | "text">): Exported[] {
  return [...text.matchAll(/^export\s+(?:type\s+)?\{([^}]*)\}\s*from\s+"(\.[^"]+)"/gm)].flatMap(
    ([, names, specifier]) =>
      names
        .replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "")
        .split(",")
        .map(
          (entry) =>
            entry
              .trim()
              .replace(/^type\s+/, "")
              .split(/\s+as\s+/)[0],
        )
        .filter(Boolean)
        .map((name) => ({ name, from: posix.join(posix.dirname(path), specifier) })),
  );
}

function hasDocstring(index: string, { name, from }: Exported): boolean {
  const file = byPath.get(from);
  if (!file) return false;
  const again = exportsOf(file).find((symbol) => symbol.name === name);
  if (again && from !== index) return hasDocstring(from, again);
  if (new RegExp(`^export (?:type )?\\{[^}]*\\b${name}\\b[^}]*\\};?$`, "m").test(file.text))
    return true; // a library's, named here
  const declaration = new RegExp(
    `^export (?:declare )?(?:abstract )?(?:async )?(?:function\\*?|const|class|interface|type) ${name}\\b`,
    "m",
  ).exec(file.text);
  if (!declaration) return false;
  return file.text.slice(0, declaration.index).trimEnd().endsWith("*/");
}

function withText(pattern: RegExp): string[] {
  return files.filter(({ text }) => pattern.test(text)).map(({ path }) => path);
}
