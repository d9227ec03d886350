// The answer of train, expand-and-track and inspect, out of a run's documents.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { jsonDocuments } from "../../cli/json-schemas.ts";
import { toRows } from "../../cli/output.ts";
import { resolvePlan } from "../../cli/plan/index.ts";
import { summarizeRun, summaryRows } from "../../cli/run-summary.ts";

let run = "";
beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), "summary-"));
});
afterEach(() => rmSync(run, { recursive: true }));

const plan = resolvePlan({ seed: 4, stages: [{ expand: { width: 96 } }] }, "/", "plan.yaml");

function put(path: string, document: object): void {
  mkdirSync(join(run, path, ".."), { recursive: true });
  writeFileSync(join(run, path), JSON.stringify(document));
}

const evaluation = (stage: string, d_model: number) => ({
  stage,
  model: {
    ...{ d_model, n_layer: 2, n_head: d_model / 16, d_mlp: 4 * d_model, params: 1000 },
    ...{ tokens_trained: 600000, held_out_loss: 4.25, held_out_se: 0.01, unigram_entropy: 5.5 },
    loss_after_expansion: null,
  },
  pca_fvu: 0.2,
  saes: [
    {
      arm: "carried",
      sae: "resid",
      seed: 0,
      l0: 15.5,
      fvu: 0.08,
      ce_loss_score_zero: 0.97,
      extra: 1,
    },
  ],
  exactness: null,
});

test("an empty run has no stages and is not complete", () => {
  const summary = summarizeRun(run, plan);
  expect(summary).toMatchObject({ seed: 4, complete: false, report: null, stages: [] });
  jsonDocuments.train.schema.parse({ format: "sae-carry/train", version: 1, ...summary });
});

test("stages with their figures, persistence of each SAE, the report", () => {
  put("stages/00-base/eval.json", evaluation("00-base", 64));
  put("stages/01-wider/eval.json", evaluation("01-wider", 96));
  put("stages/01-wider/persistence.json", {
    name: "resid",
    eligible: 700,
    persisted: { value: 0.42, ci: [0.4, 0.45] },
    reinit_persisted: { value: 0.01, ci: null },
    corrected: { value: null, ci: null },
  });
  writeFileSync(join(run, "report.html"), "");
  const summary = summarizeRun(run, plan);
  jsonDocuments["expand-and-track"].schema.parse({
    format: "sae-carry/expand-and-track",
    version: 1,
    ...summary,
  });
  expect(summary.complete).toBe(true);
  expect(summary.stages[0].persistence).toBeNull();
  const text = toRows(summaryRows(summary));
  expect(text).toMatch(
    /01-wider +2 layers × 96, 1,000 parameters; held-out loss 4.25 \(unigram 5.5\)/,
  );
  expect(text).toMatch(/features resid +42.0% \(40.0% to 45.0%\) of 700 persisted/);
  expect(text).toMatch(/sae resid +L0 15.5, FVU 0.08/);
});

test("a damaged document is named", () => {
  put("stages/00-base/eval.json", { model: 3 });
  expect(() => summarizeRun(run, plan)).toThrow(/eval\.json model/);
});
