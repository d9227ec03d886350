// The command line starts fast because nothing heavy is loaded before a command is called.
import { expect, test } from "vitest";
import { readSource } from "../support/source-files.ts";

test("--help and misuse load commander and this folder's light files, no zod, yaml or tensors", () => {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    const { imports, text } = readSource(path);
    for (const [, clause, name] of text.matchAll(
      /^import\s+([^;"']*?)\s*from\s+"([^."][^"]*)"/gm,
    )) {
      if (!clause.startsWith("type")) packages.add(name);
    }
    for (const to of imports) if (!to.typeOnly && !to.dynamic) visit(to.path);
  };
  visit("cli/bin.ts");
  expect([...packages].filter((name) => !name.startsWith("node:"))).toEqual(["commander"]);
  expect([...seen].filter((path) => !path.startsWith("cli/"))).toEqual(["src/io/errors.ts"]);
});
