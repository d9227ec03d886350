// The package as npm would publish it: what is in the tarball, and that it works where it is installed.
import { execFile } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { root, sourceFiles } from "./support/source-files.ts";

interface Manifest {
  readonly version: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly files: readonly string[];
  readonly exports: Readonly<Record<string, string | { types: string; default: string }>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;

/** Runs a program to its end; stdout and stderr. */
async function run(
  program: string,
  args: readonly string[],
  cwd: string,
): Promise<{ out: string; err: string }> {
  const { stdout, stderr } = await promisify(execFile)(program, args, {
    cwd,
    maxBuffer: 1 << 26,
    // npm speaks of other things than the package on stderr
    env: { ...process.env, npm_config_loglevel: "silent", npm_config_update_notifier: "false" },
  });
  return { out: stdout, err: stderr };
}

let packed: string[] = [];
let place = "";

// One tarball, unpacked beside what the package says it depends on, and nothing else.
beforeAll(async () => {
  if (!existsSync(join(root, "dist"))) throw new Error("dist/ is missing: npm run build");
  place = realpathSync(mkdtempSync(join(tmpdir(), "sae-carry-package-")));
  // prepack builds; the tests run on what is built
  const args = ["pack", "--ignore-scripts", "--json", "--pack-destination", place];
  const [{ filename, files }] = JSON.parse((await run("npm", args, root)).out) as {
    filename: string;
    files: { path: string }[];
  }[];
  packed = files.map(({ path }) => path);
  await run("tar", ["-xzf", filename], place);
  mkdirSync(join(place, "node_modules", ".bin"), { recursive: true });
  renameSync(join(place, "package"), join(place, "node_modules", "sae-carry"));
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })) {
    const from = join(root, "node_modules", name);
    const to = join(place, "node_modules", name);
    mkdirSync(dirname(to), { recursive: true });
    if (existsSync(from)) symlinkSync(from, to);
  }
  // as npm links binaries
  for (const [name, path] of Object.entries(manifest.bin)) {
    chmodSync(join(place, "node_modules", "sae-carry", path), 0o755);
    symlinkSync(join("..", "sae-carry", path), join(place, "node_modules", ".bin", name));
  }
  writeFileSync(join(place, "package.json"), '{"private":true,"type":"module"}');
});

afterAll(() => rmSync(place, { recursive: true, force: true }));

test("npm pack lists dist, docs, examples, and what builds the crate and TensorFlow's binding, and no other sources or tests", async () => {
  const args = ["pack", "--dry-run", "--ignore-scripts", "--json"];
  const [{ files }] = JSON.parse((await run("npm", args, root)).out) as {
    files: { path: string }[];
  }[];
  const paths = files.map(({ path }) => path);
  expect([...paths].sort()).toEqual([...packed].sort());
  const folders = new Set(
    paths.filter((path) => path.includes("/")).map((path) => path.split("/")[0]),
  );
  expect([...folders].sort()).toEqual(["dist", "docs", "examples", "native", "scripts"]);
  expect(paths.filter((path) => path.startsWith("scripts/"))).toEqual([
    "scripts/tensorflow-node.mjs",
  ]);
  const single = paths.filter((path) => !path.includes("/"));
  const wanted = manifest.files.filter(
    (name) => !name.includes("/") && !folders.has(name) && existsSync(join(root, name)),
  );
  expect(single.sort()).toEqual(["package.json", ...wanted].sort());
  expect(paths.filter((path) => /\.ts$/.test(path) && !/\.d\.ts$/.test(path))).toEqual([]);
  expect(paths.filter((path) => /^native\/target|\.node$/.test(path))).toEqual([]);
  expect(paths.filter((path) => /(^|\/)(tests?|bench|coverage)\/|\.test\./.test(path))).toEqual([]);
});

test("dist holds each source compiled, its types, the page's files, and nothing of sources that are gone", () => {
  const compiled = sourceFiles().flatMap(({ path }) => {
    const stem = `dist/${path.replace(/\.ts$/, "")}`;
    return [`${stem}.js`, `${stem}.d.ts`];
  });
  const assets = readdirSync(join(root, "reports", "page"))
    .filter((name) => !name.endsWith(".ts"))
    .map((name) => `dist/reports/page/${name}`);
  const dist = packed.filter((path) => path.startsWith("dist/"));
  expect(dist.sort()).toEqual([...compiled, ...assets].sort());
});

test("what package.json points at is in the package", () => {
  const targets = [
    ...Object.values(manifest.bin),
    ...Object.values(manifest.exports).flatMap((entry) =>
      typeof entry === "string" ? [entry] : Object.values(entry),
    ),
  ];
  for (const target of targets) expect(packed).toContain(target.replace(/^\.\//, ""));
  expect(packed).toContain("examples/demo.yaml");
});

test("installed, it runs under npx", async () => {
  const { out, err } = await run("npx", ["--no-install", "sae-carry", "--version"], place);
  expect(out.trim()).toBe(manifest.version);
  expect(err).toBe("");
});

const names: Readonly<Record<string, readonly string[]>> = {
  "sae-carry": [
    "loadModel",
    "expandModel",
    "createRng",
    "readSafetensors",
    "Tokenizer",
    "UsageError",
  ],
  "sae-carry/sae": [
    "loadSae",
    "carrySae",
    "evaluateSae",
    "comparePersistence",
    "persistenceDefaults",
  ],
  "sae-carry/circuits": ["answerFiveQuestions", "describeCircuit", "evaluateGates"],
  "sae-carry/reports": ["renderReport"],
};

test("installed, each entry point loads, says nothing, and shares its parts with the others", async () => {
  const script = `
    const names = ${JSON.stringify(names)};
    const missing = [];
    const loaded = {};
    for (const [entry, wanted] of Object.entries(names)) {
      loaded[entry] = await import(entry);
      for (const name of wanted) if (!(name in loaded[entry])) missing.push(entry + ": " + name);
    }
    // an SAE that is not there is told by the core's own error
    let shared = false;
    try { loaded["sae-carry/sae"].loadSae("nowhere"); }
    catch (error) { shared = error instanceof loaded["sae-carry"].UsageError; }
    const hidden = await import("sae-carry/dist/src/index.js").catch((error) => error.code);
    console.log(JSON.stringify({ missing, shared, hidden }));
  `;
  const { out, err } = await run(process.execPath, ["--input-type=module", "-e", script], place);
  expect(err).toBe("");
  expect(JSON.parse(out)).toEqual({
    missing: [],
    shared: true,
    hidden: "ERR_PACKAGE_PATH_NOT_EXPORTED",
  });
});

test("installed, the library grows a model and carries an SAE", async () => {
  const script = `
    import { createRng, expandModel, gpt2Config, initGpt2, loadModel, measureExactness, parseGrowth } from "sae-carry";
    import { placeModel, saveModel, useBackend } from "sae-carry";
    import { carrySae, saeConfig } from "sae-carry/sae";
    await useBackend("wasm");
    const rng = createRng("package");
    saveModel("parent", initGpt2(gpt2Config({ vocab_size: 9, n_positions: 4, n_embd: 4, n_layer: 1, n_head: 2 }), rng));
    const parent = loadModel("parent");
    const { options } = parseGrowth({ width: "1.5x" }, parent.config);
    const { child, map } = await expandModel(parent, options, rng);
    const ids = Int32Array.of(0, 1, 2, 3, 4, 5, 6, 7);
    const { max_abs_dlogit } = await measureExactness(placeModel(parent), placeModel(child), map, ids, 2);
    const ones = (n) => new Float32Array(n).fill(1);
    const cfg = saeConfig({ architecture: "topk", d_in: 4, d_sae: 8, k: 2, hook_name: "blocks.0.hook_resid_post" });
    const own = { cfg, W_enc: ones(32), b_enc: ones(8), W_dec: ones(32), b_dec: ones(4), threshold: null };
    const { sae } = carrySae(own, map);
    console.log(JSON.stringify([child.config.n_embd, max_abs_dlogit < 1e-4, sae.cfg.d_in]));
  `;
  const { out } = await run(process.execPath, ["--input-type=module", "-e", script], place);
  expect(JSON.parse(out)).toEqual([6, true, 6]);
});

test("the README's library example fits the installed types", async () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const example = [...readme.matchAll(/```(?:js|ts)\n([\s\S]*?)```/g)]
    .map(([, code]) => code)
    .filter((code) => code.includes('from "sae-carry"'));
  expect(example).not.toEqual([]);
  writeFileSync(join(place, "example.ts"), example.join("\n"));
  writeFileSync(
    join(place, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        ...{ target: "es2023", module: "nodenext", strict: true, noEmit: true },
        ...{ skipLibCheck: true, types: [] },
      },
      include: ["example.ts"],
    }),
  );
  const typescript = createRequire(import.meta.url).resolve("typescript/package.json");
  const tsc = join(dirname(typescript), "bin", "tsc");
  const { out } = await run(process.execPath, [tsc, "-p", place], place).catch(
    (error: { stdout: string }) => ({ out: error.stdout }),
  );
  expect(out).toBe("");
});
