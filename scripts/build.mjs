// Compiles the package into dist/ with tsc and copies what tsc leaves behind (the report's page script and styles).
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
rmSync(join(root, "dist"), { recursive: true, force: true });
const tsc = join(
  dirname(createRequire(import.meta.url).resolve("typescript/package.json")),
  "bin",
  "tsc",
);
execFileSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json")], {
  stdio: "inherit",
  cwd: root,
});
const assets = join(root, "reports", "page");
if (existsSync(assets)) {
  for (const name of readdirSync(assets)) {
    if (!name.endsWith(".ts"))
      cpSync(join(assets, name), join(root, "dist", "reports", "page", name));
  }
}
const bin = join(root, "dist", "cli", "bin.js");
if (existsSync(bin)) chmodSync(bin, 0o755);
