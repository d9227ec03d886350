import { expect, test } from "vitest";
import type { FeatureTable, LatentContext } from "../../../reports/run-data/tables.ts";
import { latentPayload } from "../../../reports/view/latent-payload.ts";
import { verdictWords } from "../../../reports/view/verdicts.ts";
import { firstRows, persistence, run, stage, table } from "../small-run.ts";

const context: LatentContext = {
  doc: 3,
  pos: 17,
  tokens: [" a", " b", " c", " d", " e"],
  activations: [0, 0, 2, 1, 0],
};

function features(latents: number, contexts: readonly LatentContext[] = [context]): FeatureTable {
  return {
    density: Float32Array.from({ length: latents }, (_, i) => (i + 1) / 100),
    maxActivation: new Float32Array(latents).fill(4),
    contexts: () => contexts,
    topLogits: () => [{ token: " b", value: 1.234 }],
    bottomLogits: () => [],
  };
}

const compared = run([
  stage("00-base", { features: features(4) }),
  stage("01-wider", {
    features: features(5),
    verdicts: table(firstRows, { corr: [0.9123, 0.8] }),
    persistence: persistence(),
  }),
]);

test("rows come worst first, children with an ancestor left to their parent's row", () => {
  const { tables, shown } = latentPayload(compared, 1);
  const [base, wider] = tables;
  expect(shown).toBe("01-wider");
  expect(base).toMatchObject({ stage: 0, compared: false, latent: [3, 2, 1, 0] });
  expect(wider.verdict.map((i) => verdictWords[i].key)).toEqual([
    "died",
    "carried_only",
    "persisted",
    "born",
    "unknown",
  ]);
  expect(wider.side).toEqual([0, 0, 0, 1, 0]);
  expect(wider.latent).toEqual([2, 1, 0, 1, 3]);
  expect(wider.measures.corr).toEqual([null, 0.8, 0.912, null, null]);
  expect(wider.thresholds).toEqual({ correlation: 0.5, cosine: 0.7, containment: 0.7 });
});

test("a latent in pieces names the others beside its first match; columns without a figure stay out", () => {
  const rows = table(firstRows, { set_gain: [Number.NaN, 0.3] });
  const pieces = {
    ...rows,
    matches: rows.matches.map((own, i) => (i === 1 ? [...own, 4, 0] : own)),
  };
  const { tables } = latentPayload(
    run([stage("00-base"), stage("01-wider", { verdicts: pieces, persistence: persistence() })]),
    1,
  );
  expect(tables[0].others).toEqual({ 1: [4, 0] });
  expect(tables[0].match[1]).toBe(rows.match[1]);
  expect(tables[0].measures).toEqual({ set_gain: [null, 0.3, null, null, null] });
});

test("contexts are windows around the peak, with activations as hundredths of the maximum", () => {
  const { stages, tokens } = latentPayload(compared, 1, { before: 1, after: 1 });
  const [doc, pos, ids, firing] = stages[0].features?.contexts[0][0] ?? [];
  expect([doc, pos]).toEqual([3, 17]);
  expect((ids as number[]).map((id) => tokens[id])).toEqual([" b", " c", " d"]);
  expect(firing).toEqual([1, 50, 2, 25]);
  expect(stages[0].features?.top[0]).toEqual([tokens.indexOf(" b"), 1.2]);
});

test("the budget of contexts is shared out evenly, and ends", () => {
  const many = run([stage("00-base", { features: features(4, [context, context, context]) })]);
  const kept = (contexts: number): number[] =>
    latentPayload(many, 0, { contexts }).stages[0].features?.contexts.map((own) => own.length) ??
    [];
  expect(kept(100)).toEqual([3, 3, 3, 3]);
  expect(kept(8)).toEqual([2, 2, 2, 2]);
  expect(kept(3)).toEqual([1, 1, 1, 0]);
});

test("a stage without features or verdicts has no rows", () => {
  const payload = latentPayload(run([stage("00-base")]), 0);
  expect(payload.tables).toEqual([]);
  expect(payload.stages[0].features).toBeNull();
});
