// Runs the demo into runs/demo: the plan for the native backend where it is built, else the smaller one for
// WebAssembly. A run that was begun goes on with the plan and the backend that began it.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { useBackend } from "../dist/src/engine/index.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const out = `${root}runs/demo`;
const manifest = `${out}/manifest.json`;
const backend = existsSync(manifest)
  ? JSON.parse(readFileSync(manifest, "utf8")).backend.name
  : (await useBackend("auto")).name;
const plan = backend === "wasm" ? "demo-wasm.yaml" : "demo.yaml";
console.error(`backend ${backend}: examples/${plan}`);
const args = ["dist/cli/bin.js", "expand-and-track", `examples/${plan}`, "--out", "runs/demo"];
const { status } = spawnSync(
  process.execPath,
  [...args, "--backend", backend, ...process.argv.slice(2)],
  { cwd: root, stdio: "inherit" },
);
process.exit(status ?? 1);
