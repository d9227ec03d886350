// A run in memory, small enough to work every figure out by hand: four base latents, one expansion
// that appends a fifth, and optionally a second one.

import type { StageEvaluation } from "../../reports/run-data/evaluation.ts";
import type { Cell, PersistenceSummary } from "../../reports/run-data/persistence.ts";
import type { MeasureName, VerdictTable } from "../../reports/run-data/tables.ts";
import { measureNames } from "../../reports/run-data/tables.ts";
import type { RunData, StageData } from "../../reports/run-data.ts";

/** One row of a verdict table: parent or child, latent, verdict, the latent of the other side. */
export type Row = readonly ["parent" | "child", number, string, number];

/** A table with `rows`; figures not given are NaN. */
export function table(
  rows: readonly Row[],
  measures: Partial<Record<MeasureName, readonly number[]>> = {},
): VerdictTable {
  return {
    rows: rows.length,
    isChild: Uint8Array.from(rows, ([side]) => (side === "child" ? 1 : 0)),
    latent: Int32Array.from(rows, ([, latent]) => latent),
    verdict: rows.map(([, , verdict]) => verdict),
    detail: rows.map(() => ""),
    match: Int32Array.from(rows, ([, , , match]) => match),
    matches: rows.map(([, , , match]) => (match < 0 ? [] : [match])),
    lineageStage: rows.map(() => "00-base"),
    firingsParent: Int32Array.from(rows, (_, i) => 100 + i),
    firingsChild: Int32Array.from(rows, (_, i) => 200 + i),
    measures: Object.fromEntries(
      measureNames.map((name) => [
        name,
        Float32Array.from(rows, (_, i) => measures[name]?.[i] ?? Number.NaN),
      ]),
    ) as Record<MeasureName, Float32Array>,
  };
}

const cell = (value: number): Cell => ({
  function: value,
  match: value + 0.1,
  ci: [value - 0.05, value + 0.05],
});

/** persistence.json with the pilot's cells: corrected (.58 − .20) / (.77 − .20) = 2/3. */
export function persistence(changes: Partial<PersistenceSummary> = {}): PersistenceSummary {
  return {
    stage: "01-wider",
    name: "resid",
    tokens: 50_000,
    arms: [
      arm("carried", "carried", 0.022, 0.58),
      arm("fresh-1", "fresh", 0.025, 0.26),
      arm("reinit", "reinit", 0.041, 0.03),
    ],
    thresholds: {
      cosine: { floor: 0.7, null_p99: 0.31, used: 0.7 },
      correlation: { floor: 0.5, null_p99: 0.09, used: 0.5 },
      containment: 0.7,
    },
    counts: { persisted: 1, died: 1, unknown: 1 },
    eligible: 3,
    persisted: { value: 0.25, ci: [0.2, 0.3] },
    reinit_persisted: { value: 0.01, ci: [0, 0.02] },
    start_kept: { value: 0.998, ci: [0.99, 1] },
    inertia: { carried: 0.9, carried_scratch: 0.69, reinit: 0.89, rotated: null },
    perturb_and_return: null,
    continuation: null,
    cells: {
      CG: cell(0.58),
      FG: cell(0.26),
      CS: cell(0.2),
      FS: cell(0.2),
      CP: cell(0.77),
      FP: cell(0.28),
    },
    corrected: { value: 0.6667, ci: [0.59, 0.74] },
    inheritance: { value: 0.06, ci: [0.02, 0.1], of_findable: 0.75 },
    carry_bonus: { value: 0.32, ci: [0.27, 0.38] },
    tokens_ratio: 0.33,
    histograms: null,
    warnings: [],
    crosscoder: null,
    ...changes,
  };
}

function arm(name: string, role: string, fvu: number, share: number) {
  return {
    arm: name,
    role,
    sae: "resid",
    seed: 0,
    lr: 0.004,
    l0: 16,
    fvu,
    ce_loss_score_zero: 0.98,
    matched: fvu < 0.023,
    function: share,
    match: share + 0.1,
  };
}

/** eval.json of a 2 × width model. */
export function evaluation(
  width: number,
  loss: number,
  changes: Partial<StageEvaluation> = {},
): StageEvaluation {
  return {
    model: {
      d_model: width,
      n_layer: 2,
      n_head: 4,
      d_mlp: 4 * width,
      params: 1000 * width,
      held_out_loss: loss,
      held_out_se: 0.01,
      tokens_trained: 1000,
      flops_trained: 1e9,
      unigram_entropy: 6,
      loss_after_expansion: null,
    },
    controls: {},
    pca_fvu: 0.05,
    saes: [
      {
        arm: "carried",
        sae: "resid",
        seed: 0,
        l0: 16,
        fvu: 0.022,
        ce_loss_score_zero: 0.99,
        kl_div_score: 0.98,
        dead_fraction: 0.05,
        tokens: 50_000,
      },
    ],
    exactness: null,
    off_image: null,
    copy_spread: null,
    ...changes,
  };
}

/** A stage with nothing in it but what is given. */
export function stage(name: string, parts: Partial<StageData> = {}): StageData {
  return {
    name,
    evaluation: null,
    map: null,
    check: null,
    persistence: null,
    others: [],
    likeness: null,
    verdicts: null,
    features: null,
    circuit: null,
    gates: null,
    ...parts,
  };
}

/** A run of these stages. */
export function run(stages: readonly StageData[], parts: Partial<RunData> = {}): RunData {
  return {
    plan: {
      text: "version: 1\n",
      title: "A small run",
      seed: 0,
      activations: null,
      corpus: "text",
      context: 64,
      minFirings: 50,
      freshSeeds: 1,
      baseSize: { d_model: 64, layers: 2 },
      saes: [
        {
          name: "resid",
          hook: "blocks.0.hook_resid_post",
          architecture: "batchtopk",
          d_sae: 4,
          k: 2,
        },
      ],
      stages: stages.map(({ name }) => name),
    },
    toolVersion: "0.1.0",
    backend: "wasm",
    stages,
    growth: null,
    activations: null,
    history: null,
    metrics: [],
    questions: null,
    ...parts,
  };
}

/** 0 persists as 0, 1 is carried as 2, 2 dies, 3 is unknown; child 1 is born, 3 unknown, 4 related to 2. */
export const firstRows: readonly Row[] = [
  ["parent", 0, "persisted", 0],
  ["parent", 1, "carried_only", 2],
  ["parent", 2, "died", 4],
  ["parent", 3, "unknown", -1],
  ["child", 0, "persisted", 0],
  ["child", 1, "born", -1],
  ["child", 2, "carried_only", 1],
  ["child", 3, "unknown", -1],
  ["child", 4, "related", 2],
];

/** 0 persists, 1 persists, 2 drifts, 3 unknown, 4 is uncertain. */
export const secondRows: readonly Row[] = [
  ["parent", 0, "persisted", 0],
  ["parent", 1, "persisted", 1],
  ["parent", 2, "drifted_meaning", 2],
  ["parent", 3, "unknown", -1],
  ["parent", 4, "uncertain", 4],
  ["child", 0, "persisted", 0],
  ["child", 1, "persisted", 1],
  ["child", 2, "drifted_meaning", 2],
  ["child", 3, "unknown", -1],
  ["child", 4, "related", 4],
];

/** Base, wider and deeper, both compared. */
export function twoExpansions(): RunData {
  return run([
    stage("00-base", { evaluation: evaluation(64, 4.4) }),
    stage("01-wider", {
      evaluation: evaluation(96, 4.2),
      persistence: persistence({ corrected: null, cells: { ...persistence().cells, CS: null } }),
      verdicts: table(firstRows),
    }),
    stage("02-deeper", {
      evaluation: {
        ...evaluation(96, 4.1),
        model: { ...evaluation(96, 4.1).model, n_layer: 4 },
      },
      persistence: persistence({ stage: "02-deeper" }),
      verdicts: table(secondRows),
    }),
  ]);
}
