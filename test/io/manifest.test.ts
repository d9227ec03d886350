import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  changedArtefacts,
  type RunManifest,
  readManifest,
  UsageError,
  withArtefacts,
  writeJsonAtomic,
  writeManifest,
} from "../../src/io/index.ts";
import { temporaryFolder } from "../support/folder.ts";

const run = temporaryFolder();

const manifest: RunManifest = {
  format: "sae-carry/run",
  version: 1,
  tool_version: "0.1.0",
  backend: { name: "wasm", versions: { tfjs: "4.22.0" } },
  seed: 7,
  stages: [
    { name: "00-base", state: "done" },
    { name: "01-wider", state: "running", tasks: { expand: "done", train: "pending" } },
  ],
  artefacts: {},
};

test("a manifest comes back as it was written", () => {
  writeManifest(run(), manifest);
  expect(readManifest(run())).toEqual(manifest);
});

test("equal content gives equal bytes, whatever the order of the keys", () => {
  writeManifest(run(), { ...manifest, artefacts: { b: "0".repeat(64), a: "1".repeat(64) } });
  const bytes = readFileSync(run("manifest.json"), "utf8");
  const { format, seed, ...rest } = manifest;
  const artefacts = { a: "1".repeat(64), b: "0".repeat(64) };
  writeManifest(run(), { seed, ...rest, artefacts, format });
  expect(readFileSync(run("manifest.json"), "utf8")).toBe(bytes);
});

test("a run of another format version is refused with both versions named", () => {
  writeJsonAtomic(run("manifest.json"), { ...manifest, version: 2, tool_version: "3.0.0" });
  expect(() => readManifest(run())).toThrow(
    /expected format version 1, .* got format version 2, written by sae-carry "3\.0\.0"/,
  );
});

test.each([
  ["format", { format: "other" }],
  ["tool_version", { tool_version: 1 }],
  ["backend", { backend: "wasm" }],
  ["seed", { seed: null }],
  ["stages", { stages: {} }],
  ["stages[1]", { stages: [manifest.stages[0], { name: "x", state: "odd" }] }],
  ["stages[0]", { stages: [{ name: "x", state: "done", tasks: { a: "odd" } }] }],
  ["artefacts", { artefacts: { "../x": "0".repeat(64) } }],
  ["artefacts", { artefacts: { "/etc/passwd": "0".repeat(64) } }],
  ["artefacts: x", { artefacts: { x: "short" } }],
])("a manifest with a bad %s is a UsageError that names the field", (field, change) => {
  writeJsonAtomic(run("manifest.json"), { ...manifest, ...change });
  expect(() => readManifest(run())).toThrow(UsageError);
  expect(() => readManifest(run())).toThrow(`manifest.json: ${field}: expected`);
});

test("a folder without a manifest, or with half of one, is a UsageError", () => {
  expect(() => readManifest(run())).toThrow(/manifest\.json/);
  writeFileSync(run("manifest.json"), '{"format": "sae-carry/run", "ver');
  expect(() => readManifest(run())).toThrow(UsageError);
});

test("artefacts that change or go missing are found", () => {
  writeFileSync(run("a.json"), "a");
  writeFileSync(run("b.json"), "b");
  const hashed = withArtefacts(manifest, run(), ["a.json", "b.json"]);
  expect(changedArtefacts(hashed, run())).toEqual([]);
  writeFileSync(run("b.json"), "B");
  expect(changedArtefacts(hashed, run())).toEqual(["b.json"]);
  expect(changedArtefacts(hashed, run(), ["a.json", "never-hashed"])).toEqual(["never-hashed"]);
  expect(() => withArtefacts(manifest, run(), ["../a.json"])).toThrow(/internal/);
});
