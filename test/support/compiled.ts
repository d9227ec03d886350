// Source folders compiled to JavaScript for tests that need a process of their own: Node 20 runs no TypeScript.
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll } from "vitest";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** Compiles `folder` (e.g. "src/io") before the file's tests; the returned function gives its index.js as a URL. */
export function compiled(folder: string): () => string {
  // Under node_modules, so that the compiled files find the packages they import.
  const out = join(root, "node_modules", ".cache", `sae-carry-${process.pid}`);
  beforeAll(() => {
    mkdirSync(out, { recursive: true });
    const config = {
      extends: join(root, "tsconfig.json"),
      compilerOptions: { outDir: out, rootDir: root },
      include: [join(root, folder), join(root, "types")],
    };
    writeFileSync(join(out, "tsconfig.json"), JSON.stringify(config));
    writeFileSync(join(out, "package.json"), '{"type":"module"}');
    const typescript = createRequire(import.meta.url).resolve("typescript/package.json");
    const tsc = join(dirname(typescript), "bin", "tsc");
    execFileSync(process.execPath, [tsc, "-p", out], { stdio: "pipe" });
  });
  afterAll(() => rmSync(out, { recursive: true, force: true }));
  return () => `file://${join(out, folder, "index.js")}`;
}
