// LiGO from the command line: expand with a text, what is refused without one, and a run that grows by it with an SAE.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { jsonDocuments } from "../../cli/json-schemas.ts";
import { readMap } from "../../src/expansion/index.ts";
import { readJson } from "../../src/io/index.ts";
import { loadConfig, modelSizes } from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { runCommand } from "../support/command-line.ts";
import { makeSmallRun, type SmallRun, smallText } from "../support/small-run.ts";

let folder = "";
const at = (...parts: string[]): string => join(folder, ...parts);
let small: SmallRun;
const growth = ["--width", "1.5x", "--layers", "+1", "--method", "ligo", "--ligo-steps", "3"];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "ligo-"));
  small = await makeSmallRun(at("small"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const expand = (...flags: string[]) =>
  runCommand("expand", small.model, ...growth, "--backend", testBackend, ...flags);

test("expand learns on the text and says what that did", async () => {
  const { code, out, err } = await expand("--text", small.text, "--out", at("grown"), "--json");
  expect(code, err).toBe(0);
  const document = jsonDocuments.expand.schema.parse(JSON.parse(out)) as {
    exact: boolean;
    child: Record<string, number>;
    fit_r2: number;
    exactness: { loss_parent: number; loss_child: number };
    learned: { steps: number; lr: number; loss: Record<string, number> };
    notes: string[];
  };
  expect(document).toMatchObject({
    method: "ligo",
    exact: false,
    child: { d_model: 20, n_layer: 3, n_head: 5 },
    learned: { steps: 3, lr: 0.01, tokens: 3 * 2048 },
  });
  const { loss } = document.learned;
  expect(loss.learned).toBeLessThan(loss.start);
  // the same held-out text is measured by both
  expect(document.exactness.loss_parent).toBeCloseTo(loss.parent, 3);
  expect(document.exactness.loss_child).toBeCloseTo(loss.learned, 3);
  expect(document.fit_r2).toBeGreaterThan(0);
  expect(document.notes.join("; ")).toContain("ligo is not exact");
  expect(readMap(at("grown")).learned).toEqual(document.learned);
});

test("without a text it is refused before anything is written", async () => {
  const { code, err } = await expand("--out", at("none"));
  expect(code).toBe(2);
  expect(err).toContain("--text");
  expect(err).toContain("random tokens");
  expect(existsSync(at("none"))).toBe(false);
});

test("a text of one sequence is too short", async () => {
  writeFileSync(at("short.txt"), "the cat sat on a mat and then the dog ran.");
  const { code, err } = await expand("--text", at("short.txt"), "--out", at("none"));
  expect(code).toBe(2);
  expect(err).toContain("two sequences");
});

test("--dry-run states the sizes and needs no text", async () => {
  const { code, out } = await expand("--dry-run", "--json");
  expect(code, out).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ exact: false, child: { d_model: 20 }, learned: null });
});

test("a run grows by it, carries the SAE and trains on", async () => {
  writeFileSync(at("my.txt"), smallText(1500));
  writeFileSync(
    at("plan.yaml"),
    `workers: 1
data: {path: my.txt, context: 16}
tokenizer: {vocab_size: 280}
model: {d_model: 12, layers: 2, heads: 3, train: {tokens: 2000, batch_tokens: 256}}
saes: [{name: resid, hook: blocks.0.hook_resid_post, d_sae: 24, k: 4, tokens: 1000, batch_tokens: 256}]
stages: [{expand: {width: 20, layers: "+1", method: ligo, ligo_steps: 3}, train: {tokens: 500}, carry: {new_latents: 4, tokens: 500}}]
controls: {preset: quick}
eval: {tokens: 1000, min_firings: 5, bootstrap: 20}
`,
  );
  const flags = ["--backend", testBackend, "--out", at("run"), "--json"];
  const { code, out, err } = await runCommand("expand-and-track", at("plan.yaml"), ...flags);
  expect(code, err).toBe(0);
  jsonDocuments["expand-and-track"].schema.parse(JSON.parse(out));
  const [stage] = readdirSync(at("run", "stages")).filter((name) => name.startsWith("01-"));
  const sizes = modelSizes(loadConfig(at("run", "stages", stage, "model")));
  expect(sizes).toMatchObject({ dModel: 20, nLayer: 3, nHead: 5 });
  const map = jsonDocuments.map.schema.parse(
    readJson(at("run", "stages", stage, "expansion", "map.json")),
  ) as {
    learned: { steps: number };
    exact: boolean;
  };
  expect(map).toMatchObject({ exact: false, learned: { steps: 3 } });
  expect(readFileSync(at("run", "report.html"), "utf8")).toContain("ligo");
});

test.each([
  ["optimizer: carry", "optimizer"],
  ["freeze: inherited", "freeze"],
])("a plan whose %s would need a parent for each entry is refused", async (setting, key) => {
  writeFileSync(at("my.txt"), smallText(50));
  writeFileSync(
    at("bad.yaml"),
    `data: {path: my.txt}\nstages: [{expand: {width: 2x, method: ligo}, train: {${setting}}}]\n`,
  );
  const { code, err } = await runCommand("expand-and-track", at("bad.yaml"), "--dry-run");
  expect(code).toBe(2);
  expect(err).toContain(`stages[0].train.${key}`);
});
