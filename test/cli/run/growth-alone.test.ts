// A run without SAEs, of a Llama with shared key heads from scratch: growth.json and the report of losses alone.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { GrowthReport } from "../../../circuits/index.ts";
import { jsonDocuments } from "../../../cli/json-schemas.ts";
import { readJson } from "../../../src/io/index.ts";
import { loadConfig, modelSizes } from "../../../src/models/index.ts";
import { testBackend } from "../../support/backend.ts";
import { runCommand } from "../../support/command-line.ts";
import { smallText } from "../../support/small-run.ts";

let folder = "";
const at = (...parts: string[]): string => join(folder, ...parts);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "growth-alone-"));
  writeFileSync(at("my.txt"), smallText(1500));
  writeFileSync(
    at("plan.yaml"),
    `workers: 1
data: {path: my.txt, context: 16}
tokenizer: {vocab_size: 280}
model: {family: llama, d_model: 16, layers: 1, heads: 4, kv_heads: 2, train: {tokens: 2000, batch_tokens: 256}}
stages: [{expand: {width: 24}, train: {tokens: 1000}}]
eval: {tokens: 1000, min_firings: 5, bootstrap: 20}
`,
  );
  const flags = ["--no-sae", "--backend", testBackend, "--out", at("run")];
  const { code, err } = await runCommand("expand-and-track", at("plan.yaml"), ...flags);
  expect(code, err).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true }));

test("the models are Llamas whose queries share key heads", () => {
  const sizes = modelSizes(loadConfig(at("run", "stages", "01-wider", "model")));
  expect(sizes).toMatchObject({ dModel: 24, nHead: 6, nKvHead: 3 });
});

test("growth.json has the losses around the expansion, and the controls at matched amounts", () => {
  const document = readJson(at("run", "growth.json"));
  const { stages, comparisons } = jsonDocuments.growth.schema.parse(document) as GrowthReport;
  expect(Math.abs(stages[1].loss_jump as number)).toBeLessThan(1e-4);
  expect(stages[1].loss as number).toBeLessThan(stages[1].loss_before as number);
  expect(comparisons.map(({ arm, matched }) => `${arm} ${matched}`)).toEqual([
    "no-expand tokens",
    "no-expand flops",
    "scratch tokens",
    "scratch flops",
  ]);
});

test("the report speaks of losses and not of features", () => {
  const page = readFileSync(at("run", "report.html"), "utf8");
  expect(page).toContain("What did growing buy?");
  expect(page).toContain("What growing cost and bought");
  expect(page).not.toContain('href="#latents"');
  expect(page).not.toContain('href="#saes"');
});

test("nothing of SAEs is in the run", () => {
  for (const part of ["sae", "carried", "persistence.json", "features.arrow", "circuits"]) {
    expect(existsSync(at("run", "stages", "01-wider", part))).toBe(false);
  }
});

test("--no-sae beside a flag of SAEs is refused", async () => {
  const { code, err } = await runCommand("train", at("plan.yaml"), "--no-sae", "--k", "4");
  expect(code).toBe(2);
  expect(err).toContain("--no-sae");
});
