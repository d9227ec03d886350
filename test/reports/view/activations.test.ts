import { mkdirSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readRun, renderReport } from "../../../reports/index.ts";
import type { ActivationsEvaluation } from "../../../reports/run-data/activations.ts";
import { activationsView } from "../../../reports/view/activations.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { run, stage } from "../small-run.ts";

const folder = temporaryFolder();
const sae = {
  ...{ sae: "resid", hook_name: "blocks.0.hook_resid_post", hook_name_out: null, tokens: 300 },
  ...{ high_norm_excluded: 2, l0: 4.04, fvu: 0.1234, cossim: 0.9, l2_ratio: 0.95 },
  ...{ dead_fraction: 0.25, freq_over_1_percent: 0.5, freq_over_10_percent: 0 },
};
const evaluation: ActivationsEvaluation = {
  activations: {
    ...{ file: "acts.arrow", rows: 3400, trained_rows: 3000, held_out: "documents" },
    held_out_rows: 300,
    metadata: { "sae_carry.context": "64", huggingface: "x".repeat(200) },
  },
  saes: [sae],
};
const view = (of: ActivationsEvaluation | null) =>
  activationsView(run([stage("00-base")], { activations: { evaluation: of } }));

test("a run with a model has no such view", () => {
  expect(activationsView(run([stage("00-base")]))).toBeNull();
});

test("what an SAE explains is one minus its FVU, of what it reconstructs", () => {
  const words = (of: ActivationsEvaluation) =>
    view(of)
      ?.sentence.map(({ text }) => text)
      .join("");
  expect(words(evaluation)).toBe(
    "The SAE explains 88% of the variance of blocks.0.hook_resid_post with 4.0 latents a token.",
  );
  const transcoder = { ...sae, hook_name_out: "blocks.0.hook_mlp_out" };
  expect(words({ ...evaluation, saes: [transcoder, sae] })).toBe(
    "The first of two SAEs explains 88% of the variance of blocks.0.hook_mlp_out with 4.0 latents a token.",
  );
  const rows = view({ ...evaluation, saes: [transcoder] })?.rows;
  expect(rows?.[0].hook).toBe("blocks.0.hook_resid_post → blocks.0.hook_mlp_out");
});

test("the table has what eval.json has, and the plan's sizes", () => {
  expect(view(evaluation)?.rows).toEqual([
    {
      ...{ name: "resid", hook: "blocks.0.hook_resid_post", what: "BatchTopK, 2 of 4 latents" },
      ...{ l0: "4.0", fvu: "0.123", cosine: "0.900", norm: "0.950" },
      ...{ dead: "25%", often: "50%", veryOften: "0%" },
    },
  ]);
});

test("says what was held out, or that nothing was", () => {
  expect(view(evaluation)?.context).toMatch(/every tenth of the documents, 300 rows/);
  const activations = { ...evaluation.activations, held_out: null, held_out_rows: null };
  expect(view({ ...evaluation, activations })?.context).toMatch(/rows that they were trained on/);
  expect(view(null)?.sentence[0].text).toMatch(/not finished/);
});

test("the dump's metadata is named without our prefix, and cut where it is long", () => {
  const facts = new Map(view(evaluation)?.facts);
  expect(facts.get("context")).toBe("64");
  expect(facts.get("huggingface")).toHaveLength(81);
});

test("a run folder on a dump is read as one; a damaged eval.json is an error that names it", () => {
  mkdirSync(folder("run", "stages", "00-base"), { recursive: true });
  writeFileSync(folder("run", "plan.yaml"), "version: 1\nactivations: ../acts.arrow\nsaes: []\n");
  const file = folder("run", "stages", "00-base", "eval.json");
  expect(readRun(folder("run"))).toMatchObject({
    plan: { activations: "../acts.arrow", title: "SAEs on activations" },
    activations: { evaluation: null },
  });
  expect(renderReport(folder("run"))).toContain("not finished yet");
  writeFileSync(file, JSON.stringify({ model: null, ...evaluation }));
  expect(readRun(folder("run")).activations?.evaluation).toEqual(evaluation);
  const hostile = { ...evaluation.activations, metadata: { "<img src=x>": "</script><b>" } };
  writeFileSync(file, JSON.stringify({ ...evaluation, activations: hostile }));
  expect(renderReport(folder("run"))).not.toMatch(/<img|<b>/);
  writeFileSync(file, JSON.stringify({ ...evaluation, activations: null }));
  expect(() => renderReport(folder("run"))).toThrow(/eval\.json: activations/);
});
