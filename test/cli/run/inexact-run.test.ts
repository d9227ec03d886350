// A run whose growth is not exact: a stack, then Net2Net to a width that is no whole multiple. SAEs are carried and
// tracked all the same, circuits are mapped, and every document says what growth itself changed.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { CircuitDocument } from "../../../circuits/index.ts";
import { loadSae } from "../../../sae/index.ts";
import type { PersistenceDocument } from "../../../sae/persistence/index.ts";
import { composeMaps, hookEntry, readMap } from "../../../src/expansion/index.ts";
import { readArrow, readJson } from "../../../src/io/index.ts";
import { type Ending, runCommand } from "../../support/command-line.ts";
import { smallText } from "../../support/small-run.ts";

let folder = "";
let ending: Ending;
const stage = (...parts: string[]): string => join(folder, "run", "stages", ...parts);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "inexact-run-"));
  writeFileSync(join(folder, "my.txt"), smallText(1500));
  writeFileSync(
    join(folder, "plan.yaml"),
    `workers: 1
data: {path: my.txt, context: 16}
tokenizer: {vocab_size: 280}
model: {d_model: 8, layers: 2, heads: 2, train: {tokens: 2000, batch_tokens: 256}}
saes:
  - {name: low, hook: blocks.1.hook_resid_post, d_sae: 16, k: 4, tokens: 2000, batch_tokens: 256}
  - {name: top, hook: ln_final.hook_normalized, d_sae: 16, k: 4, tokens: 2000, batch_tokens: 256}
controls: {preset: quick, arms: [fresh]}
stages:
  - {name: stacked, expand: {layers: 2x, depth_method: stack}, train: {tokens: 1000}, carry: {new_latents: 2, tokens: 1000}}
  - {name: wider, expand: {width: 12, method: net2net}, train: {tokens: 1000}, carry: {new_latents: 2, tokens: 1000}}
eval: {tokens: 1000, min_firings: 5, bootstrap: 20}
`,
  );
  ending = await runCommand(
    "expand-and-track",
    join(folder, "plan.yaml"),
    "--out",
    join(folder, "run"),
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

test("it runs to its end and prints both losses of each growth", () => {
  expect(ending.code, ending.err).toBe(0);
  expect(ending.out.match(/right after growth +loss [\d.]+ → [\d.]+/g)).toHaveLength(2);
});

test("a stack is exact on its first copy; past it a map was fitted on text", () => {
  const map = readMap(stage("01-stacked", "expansion"));
  expect(map).toMatchObject({
    method: "stack",
    exact: false,
    layers: [
      [0, 2],
      [1, 3],
    ],
  });
  expect(map.exactness?.max_abs_dlogit).toBeGreaterThan(1e-3);
  for (const { rel_err } of map.exactness?.boundaries ?? []) expect(rel_err).toBeLessThan(1e-6);
  const final = hookEntry(map, "ln_final.hook_normalized");
  expect(final).toMatchObject({ exact: false, published: false });
  expect(final?.tensor).toBe(final?.fit);
  expect(final?.r2 as number).toBeGreaterThan(final?.r2_unfitted as number);
});

test("Net2Net keeps its own map in use, with a fitted one beside it", () => {
  const map = readMap(stage("02-wider", "expansion"));
  const entry = hookEntry(map, "blocks.3.hook_resid_post");
  expect(entry).toMatchObject({ tensor: "residual", exact: false, published: true });
  expect(entry?.r2 as number).toBeGreaterThan(entry?.r2_unfitted as number);
});

test("the SAEs go on where the maps lead, with their lineage", () => {
  const hooks = (dir: string, name: string) => loadSae(stage(dir, "sae", name)).cfg.hook_name;
  expect(hooks("01-stacked", "low")).toBe("blocks.1.hook_resid_post");
  expect(hooks("02-wider", "low")).toBe("blocks.1.hook_resid_post");
  expect(hooks("02-wider", "top")).toBe("ln_final.hook_normalized");
  const check = (name: string) =>
    readJson(stage("01-stacked", "carried", name, "check.json")) as { same_latents: number };
  expect(check("low").same_latents).toBe(1);
  expect(check("top").same_latents).toBeLessThan(0.99);
  const lineage = readArrow(stage("02-wider", "sae", "top", "lineage.arrow"));
  expect(lineage.strings("lineage_stage").filter((name) => name === "00-base")).toHaveLength(16);
});

test("persistence warns of what growth changed", () => {
  const warnings = (dir: string, name: string) =>
    (readJson(stage(dir, "persistence", `${name}.json`)) as PersistenceDocument).warnings.join(
      "\n",
    );
  expect(warnings("01-stacked", "low")).toMatch(
    /growth by stack is not exact: the loss went from .* nats at once; at this SAE's hook the map is exact/,
  );
  expect(warnings("01-stacked", "top")).toContain(
    "one fitted on text took its place, which explains",
  );
  expect(warnings("01-stacked", "top")).toContain(
    "are kept before any training: what growth itself lost",
  );
  expect(warnings("02-wider", "low")).toContain("the method's own map is only near");
});

test("circuits are mapped to all copies, and the report says which growth was not exact", () => {
  for (const dir of ["01-stacked", "02-wider"]) {
    const [file] = readdirSync(stage(dir, "circuits"));
    const { task, mapped } = readJson(stage(dir, "circuits", file)) as CircuitDocument;
    expect(mapped === null).toBe(task === null);
  }
  const report = readFileSync(join(folder, "run", "report.html"), "utf8");
  expect(report.match(/>not exact</g)?.length).toBeGreaterThanOrEqual(2);
});

test("the maps compose from the base to the last stage", () => {
  const both = composeMaps(
    readMap(stage("01-stacked", "expansion")),
    readMap(stage("02-wider", "expansion")),
  );
  expect(both).toMatchObject({
    method: "stack, net2net",
    exact: false,
    layers: [
      [0, 2],
      [1, 3],
    ],
  });
  expect(hookEntry(both, "ln_final.hook_normalized")).toMatchObject({ r2: null, exact: false });
});
