import { expect, test } from "vitest";
import { circuitView } from "../../../reports/view/circuits.ts";
import { evidencePoints } from "../../../reports/view/evidence-points.ts";
import { exactnessRows } from "../../../reports/view/exactness.ts";
import { glossary, meaningOf } from "../../../reports/view/glossary.ts";
import { headGridRows } from "../../../reports/view/head-grids.ts";
import { questionCards } from "../../../reports/view/questions.ts";
import { saeTable } from "../../../reports/view/sae-table.ts";
import { growthPhrase, stagePills } from "../../../reports/view/stages.ts";
import { stageTiles } from "../../../reports/view/tiles.ts";
import { severity, verdictWords, wordsOf } from "../../../reports/view/verdicts.ts";
import {
  evaluation,
  firstRows,
  persistence,
  run,
  stage,
  table,
  twoExpansions,
} from "../small-run.ts";

test("tiles give the headline numbers with their intervals, and say what was not measured", () => {
  const tiles = new Map(stageTiles(twoExpansions(), 2).map((tile) => [tile.label, tile]));
  expect(tiles.get("Corrected persistence")).toMatchObject({
    value: "0.67",
    interval: "0.59 to 0.74",
  });
  expect(tiles.get("SAE tokens saved")?.value).toBe("67%");
  expect(tiles.get("Carry bonus")).toMatchObject({ value: "+0.32", interval: "0.27 to 0.38" });
  expect(tiles.get("Held-out loss, nats per token")).toMatchObject({
    value: "4.10",
    interval: "4.08 to 4.12",
    note: "4.20 before the expansion",
  });
  expect(stageTiles(twoExpansions(), 1)[0]).toMatchObject({
    value: "–",
    note: "needs the from-scratch controls, which run at the last stage",
    interval: null,
  });
  for (const { term } of [...tiles.values()]) expect(meaningOf(term)).not.toBe("");
});

test("the SAE table puts the real SAE first and says what differs", () => {
  const view = saeTable(
    stage("01-wider", { evaluation: evaluation(96, 4), persistence: persistence() }),
  );
  expect(view?.rows.map(({ arm, matched }) => [arm, matched])).toEqual([
    ["carried", null],
    ["fresh-1", false],
    ["reinit", false],
  ]);
  expect(view).toMatchObject({ pcaFvu: "0.050", rank: "16", beatsPca: true });
  expect(saeTable(stage("01-wider"))).toBeNull();
});

test("exactness rows judge by the limits of exact methods", () => {
  const size = { d_model: 64, n_layer: 2, n_head: 4, d_mlp: 256, params: 168_000 };
  const map = (max: number, rel: number) => ({
    method: "lemon",
    exact: true,
    parent: size,
    child: { ...size, d_model: 96, params: 326_000 },
    fresh: [],
    hooks: [{ r2: 0.91234 }, { r2: null }, { r2: 0.95 }],
    exactness: {
      max_abs_dlogit: max,
      kl: -1e-12,
      loss_parent: 4.12,
      loss_child: 4.3456,
      boundaries: [{ hook_from: "a", hook_to: "a", rel_err: rel }],
    },
  });
  const rows = (max: number, rel: number) =>
    exactnessRows(run([stage("00-base"), stage("01-wider", { map: map(max, rel) })]));
  expect(rows(6e-6, 3e-7)[0]).toMatchObject({
    growth: "64 → 96 wide",
    maxDifference: "6.0·10⁻⁶",
    kl: "0",
    fitR2: "0.912",
    isExact: true,
    sameLatents: "–",
  });
  expect(rows(2e-4, 3e-7)[0].isExact).toBe(false);
  expect(rows(6e-6, 3e-5)[0].isExact).toBe(false);
  expect(exactnessRows(run([stage("00-base")]))).toEqual([]);
});

test("points are grouped by verdict, without unknown latents, children and missing figures", () => {
  const view = evidencePoints(
    table(firstRows, { cos: [0.9, 0.8, 0.3, 0.5, 0.1], corr: [0.95, 0.7, Number.NaN, 0.2, 0.3] }),
    persistence(),
  );
  expect(view?.groups.map(({ label, points }) => [label, points.length])).toEqual([
    ["Persisted", 1],
    ["Carried only", 1],
  ]);
  expect(evidencePoints(null, null)).toBeNull();
});

test("five cards there are, whether or not they were answered", () => {
  const questions = [
    {
      id: 1,
      question: "Is expansion just a capability nerf?",
      answer: "No cost was seen at all by us: the loss is the same (one seed).",
      value: 0.0104,
      ci: [-0.01, 0.03] as const,
      unit: "nats per token",
      evidence: [],
      confident: true,
    },
    {
      id: 5,
      question: "Do they?",
      answer: "Not yet: the grown model is closer to its parent; that is all.",
      value: 1.02,
      ci: null,
      unit: "0 = from scratch, 1 = parent",
      evidence: [],
      confident: false,
    },
    {
      id: 4,
      question: null,
      answer: "This run can't tell: no circuit was looked for.",
      value: null,
      ci: null,
      unit: null,
      evidence: [],
      confident: false,
    },
  ];
  const cards = questionCards(run([stage("00-base")], { questions }));
  expect(cards.map(({ state }) => state)).toEqual([
    "answered",
    "cannot tell",
    "cannot tell",
    "cannot tell",
    "tentative",
  ]);
  expect(cards[4]).toMatchObject({
    verdict: "Not yet: the grown model is closer to its parent",
    detail: "That is all.",
  });
  expect(cards[0]).toMatchObject({
    verdict: "No cost was seen at all by us",
    detail: "The loss is the same (one seed).",
    value: "0.010",
    interval: "−0.010 to 0.030",
  });
  expect(cards[1].verdict).toBe("Not answered yet");
  expect(cards[3]).toMatchObject({
    question: "Do circuits from before the expansion stick around?",
    verdict: "This run can't tell",
    detail: "No circuit was looked for.",
  });
});

const score = (value: number) => ({ value, ci: [value - 0.1, value + 0.1] as const, reason: null });
const scores = {
  faithfulness: score(0.8),
  completeness: 0.1,
  without_error: 0.7,
  random_same_kinds: { mean: 0.2, sd: 0.05 },
};

test("a mapped circuit stands between its parent and random nodes", () => {
  const circuit = {
    task: "induction",
    task_inherited: true,
    hook_name: null,
    tasks: [],
    nodes: [],
    candidates: 10,
    scores,
    mapped: {
      ...scores,
      from: "00-base",
      n: 2,
      unmapped: 1,
      nodes: [
        { type: "head", layer: 1, index: 2, score: 1.4 },
        { type: "latent", layer: 0, index: 12, score: -0.3 },
      ],
      parent_faithfulness: 0.85,
      at_expansion: score(0.85),
      rediscovered: score(0.9),
      jaccard: 0.5,
      jaccard_floor: 0.1,
      jaccard_ceiling: 0.7,
      heads: [],
    },
    head_scores: null,
    prompts: null,
  };
  const view = circuitView(run([stage("00-base"), stage("01-wider", { circuit })]), 1);
  expect(view?.rows.map(({ value }) => value)).toEqual([0.85, 0.85, 0.8, 0.9, 0.2]);
  expect(view?.rows[4].ci).toBeAllclose([0.1, 0.3]);
  expect(view?.nodes).toEqual([
    { label: "head 1.2", kind: "head", latent: null, score: "+1.40" },
    { label: "latent 12", kind: "latent", latent: 12, score: "−0.30" },
  ]);
  expect(view?.nodesTitle).toContain("1 of the parent’s have no place here");
  expect(view?.facts[0].value).toBe("0.50 (chance 0.10, ceiling 0.70)");
  expect(circuitView(run([stage("00-base")]), 0)).toBeNull();
});

test("the best head is the one furthest above its own null", () => {
  const head_scores = {
    length: 25,
    sequences: 16,
    induction: [
      [0.5, 0.1],
      [0.2, 0.3],
    ],
    previous_token: [[0.1]],
    duplicate_token: [[0.1]],
    null: {
      induction: [
        [0.45, 0.1],
        [0.1, 0.1],
      ],
      previous_token: [[0]],
      duplicate_token: [[0]],
    },
  };
  const circuit = {
    task: null,
    task_inherited: false,
    hook_name: null,
    tasks: [],
    nodes: [],
    candidates: 0,
    scores: null,
    mapped: null,
    head_scores,
    prompts: null,
  };
  expect(headGridRows(run([stage("00-base", { circuit })]))?.[0].best).toBe(
    "00 base: head 1.1 at 0.30 (null 0.10)",
  );
  expect(headGridRows(run([stage("00-base")]))).toBeNull();
});

test("growth in words names what changed and nothing else", () => {
  const small = { d_model: 64, n_layer: 2, d_mlp: 256 };
  expect(growthPhrase(small, { ...small, d_model: 96, d_mlp: 384 })).toBe("widened from 64 to 96");
  expect(growthPhrase(small, { d_model: 96, n_layer: 4, d_mlp: 384 })).toBe(
    "widened from 64 to 96 and deepened from 2 to 4 layers",
  );
  expect(growthPhrase(small, { ...small, d_mlp: 512 })).toBe(
    "given 512 neurons a layer in place of 256",
  );
  expect(growthPhrase(null, small)).toBe("expanded");
});

test("a stage that is planned but not begun is a pill without a size", () => {
  const pills = stagePills(
    run([stage("00-base", { evaluation: evaluation(64, 4) }), stage("01-wider")]),
  );
  expect(pills).toEqual([
    { name: "00-base", label: "00 base", size: "2 × 64", begun: true, compared: false },
    { name: "01-wider", label: "01 wider", size: null, begun: false, compared: false },
  ]);
});

test("every verdict has words, a colour and a place; an unheard one keeps its own name", () => {
  expect(verdictWords[0].key).toBe("died");
  expect(severity("died")).toBeLessThan(severity("persisted"));
  expect(wordsOf("sublimed")).toMatchObject({ label: "sublimed", colour: "other" });
  expect(new Set(glossary.map(({ term }) => term)).size).toBe(glossary.length);
});
