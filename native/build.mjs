// Builds the native addon with cargo and puts it where the engine looks for it. With --optional (npm's
// postinstall) a machine without cargo, or one on which the build fails, goes on without it, and nothing is
// built where the addon came as a package.
import { spawnSync } from "node:child_process";
import { copyFileSync, renameSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { addonFile, addonPackage } from "./platform.mjs";

const folder = dirname(fileURLToPath(import.meta.url));
const optional = process.argv.includes("--optional");
const without =
  "sae-carry computes on WebAssembly without it; `npm run build:native` in its folder builds it later.";

function stop(reason) {
  console.error(`${reason} ${without}`);
  process.exit(optional ? 0 : 1);
}

function isInstalled() {
  try {
    createRequire(import.meta.url).resolve(addonPackage);
    return true;
  } catch {
    return false; // no such package
  }
}

if (optional && isInstalled()) {
  console.log(`the native addon comes from ${addonPackage}`);
  process.exit(0);
}
if (spawnSync("cargo", ["--version"]).status !== 0) {
  stop("The native addon was not built: there is no cargo.");
}
const built = spawnSync("cargo", ["build", "--release", "--locked"], {
  cwd: folder,
  stdio: "inherit",
  env: { ...process.env, CARGO_TARGET_DIR: join(folder, "target") },
});
if (built.status !== 0) {
  stop("The native addon was not built: cargo failed (it needs Rust 1.89 or newer).");
}
const library = {
  win32: "sae_carry_native.dll",
  darwin: "libsae_carry_native.dylib",
}[process.platform];
const addon = join(folder, addonFile);
try {
  // by a new name first: a running process keeps the file that it has loaded
  copyFileSync(
    join(folder, "target", "release", library ?? "libsae_carry_native.so"),
    `${addon}.new`,
  );
  renameSync(`${addon}.new`, addon);
} catch (error) {
  stop(`The native addon was not put in place: ${error.message}.`);
}
console.log(`built ${addon}`);
