/**
 * What a stage comes to, in a sentence a reader may quote: inertia-corrected persistence where the
 * controls allow it, what cosine alone would have said and what it says on random weights, whether
 * the rule passed its own checks, and plain words where the run can't tell.
 */

import type { Interval } from "../run-data/estimate.ts";
import type { StageEvaluation } from "../run-data/evaluation.ts";
import type { PersistenceSummary } from "../run-data/persistence.ts";
import type { RunData } from "../run-data.ts";
import { throughAll } from "./fates.ts";
import { count, decimal, interval, inWords, percent, plural, signed } from "./format.ts";
import { isGrowthAlone } from "./growth.ts";
import { growthPhrase, sizeOf, stageLabel } from "./stages.ts";

/** A stretch of a sentence; a tone stands out. */
export interface Phrase {
  readonly text: string;
  readonly tone?: "good" | "bad";
}

/** The head of the page for one stage. */
export interface VerdictView {
  readonly sentence: readonly Phrase[];
  readonly context: readonly Phrase[];
  /** Checks of the rule, what came through all stages, how much is noise. */
  readonly finePrint: readonly Phrase[];
  /** Checks of the rule that did not pass, gates that failed: shown as alarms. */
  readonly alarms: readonly string[];
}

/** Limits of the rule's own checks: at most so many persist on random weights, at least so many are kept at the start. */
export const checkLimits: { readonly reinit: number; readonly start: number } = {
  reinit: 0.05,
  start: 0.99,
};

const unfinished = "This page shows what is there; render it again when the run is done.";

/** Function matches on the unchanged parent below which the headline comes with a warning. */
const lowCeiling = 0.5;

/** The verdict on stage `index`. */
export function verdictView(run: RunData, index: number): VerdictView {
  const stage = run.stages[index];
  const { persistence, gates } = stage;
  const failedGates = (gates?.gates ?? [])
    .filter(({ passed }) => !passed)
    .map(({ message }) => `Gate not passed: ${message}. The plan stopped here.`);
  if (index === 0) return { ...baseVerdict(run), finePrint: [], alarms: failedGates };
  const growth = capitalised(growthPhrase(sizeOf(run, index - 1), sizeOf(run, index)));
  if (persistence === null && stage.evaluation !== null && isGrowthAlone(run)) {
    return { ...growthVerdict(run, index, growth), finePrint: [], alarms: failedGates };
  }
  if (persistence === null) {
    const state = stage.evaluation ? "its features have not been compared yet" : "not finished yet";
    return {
      sentence: [{ text: `${growth}: ${state}.` }],
      context: [{ text: unfinished }],
      finePrint: [],
      alarms: failedGates,
    };
  }
  return {
    sentence: headline(growth, persistence),
    context: [...ceilingContext(persistence), ...cosineContext(persistence)],
    finePrint: [
      ...checkContext(persistence),
      ...throughContext(run, index),
      ...noiseContext(persistence),
    ],
    alarms: [...failedChecks(persistence), ...failedGates],
  };
}

function growthVerdict(
  run: RunData,
  index: number,
  growth: string,
): Pick<VerdictView, "sentence" | "context"> {
  const { model, controls } = run.stages[index].evaluation as StageEvaluation;
  const before = run.stages[index - 1]?.evaluation?.model.held_out_loss ?? null;
  const start = model.loss_after_expansion;
  const others = [
    ["the unexpanded model, trained on, comes to", controls["no-expand"]?.held_out_loss ?? null],
    ["a model of this size from scratch to", controls.scratch?.held_out_loss ?? null],
  ] as const;
  const known = others.filter(([, loss]) => loss !== null);
  return {
    sentence: [
      { text: `${growth} and trained on, the model predicts held-out text at ` },
      { text: `${decimal(model.held_out_loss)} nats per token`, tone: "good" },
      { text: before === null ? "." : `; it was ${decimal(before)} before.` },
    ],
    context: [
      {
        text:
          start === null || before === null
            ? "What the expansion itself did to the loss was not measured."
            : `The expansion itself moved it by ${Math.abs(start - before) < 5e-4 ? "less than 0.001" : signed(start - before, 3)}.`,
      },
      ...(known.length === 0
        ? []
        : [
            {
              text: ` With the same tokens ${known.map(([who, loss]) => `${who} ${decimal(loss)}`).join(", ")}.`,
            },
          ]),
      { text: " This run has no SAE: nothing is said of features." },
    ],
  };
}

function headline(growth: string, document: PersistenceSummary): Phrase[] {
  const { corrected, persisted, eligible, cells } = document;
  const value = corrected?.value ?? null;
  const ci = corrected?.ci ?? null;
  if (value === null) {
    const missingControl = cells.CS === null || cells.CP === null;
    return [
      { text: `${growth} and trained on, ` },
      { text: `${percent(persisted.value)}`, tone: "good" },
      {
        text: ` of ${count(eligible)} features persisted with a witness. How much of that is inheritance, this stage can’t tell: ${
          missingControl
            ? `it has no ${cells.CS === null ? "from-scratch" : "unchanged-parent"} control`
            : "the carried SAE gains too little on the unchanged parent to divide by"
        }.`,
      },
    ];
  }
  if (ci !== null && ci[0] <= 0) {
    return [
      { text: `${growth} and trained on: this run can’t tell whether any feature was kept. ` },
      { text: decimal(value), tone: "bad" },
      { text: ` after correcting for inertia, and the interval (${interval(ci)}) reaches zero.` },
    ];
  }
  return [
    { text: `${growth} and trained on, the model kept ` },
    { text: amount(value, ci), tone: "good" },
    {
      text: isLow(cells)
        ? " of the little it could have kept: "
        : " of the features it could have kept: ",
    },
    { text: decimal(value), tone: "good" },
    { text: ` after correcting for inertia${ci ? ` (95%: ${interval(ci)})` : ""}.` },
  ];
}

function isLow({ CP }: PersistenceSummary["cells"]): boolean {
  return CP?.function != null && CP.function < lowCeiling;
}

/** A share of what could be kept means little when little could be kept, or little could be judged. */
function ceilingContext({ cells, arms, eligible, counts }: PersistenceSummary): Phrase[] {
  const phrases: Phrase[] = [];
  const ceiling = cells.CP?.function ?? null;
  if (ceiling !== null && isLow(cells)) {
    const frozen = arms.find(({ role }) => role === "frozen")?.function ?? null;
    phrases.push(
      { text: "The ceiling is low: " },
      {
        text: `even on the unchanged parent only ${decimal(ceiling)} are found again`,
        tone: "bad",
      },
      {
        text: `, so training the SAE on moves features by itself${
          frozen !== null && frozen > ceiling
            ? ` (left untrained it finds ${decimal(frozen)} in the grown model)`
            : ""
        }. `,
      },
    );
  }
  const unknown = counts.unknown ?? 0;
  if (unknown > eligible) {
    phrases.push({
      text: `${count(unknown)} of ${count(unknown + eligible)} parent latents can’t be judged. `,
    });
  }
  return phrases;
}

function cosineContext({ inertia, cells }: PersistenceSummary): Phrase[] {
  const { carried, reinit, carried_scratch: scratch } = inertia;
  if (carried === null) return [];
  const start = { text: `Cosine to the old direction alone would have said ${decimal(carried)}. ` };
  if (reinit === null && scratch === null) {
    return [start, { text: "No control shows what that is worth. " }];
  }
  const [control, where] =
    reinit !== null
      ? [reinit, "on a model with random weights"]
      : [scratch as number, "on a model trained from scratch"];
  const share = carried > 0 ? control / carried : 1;
  const so =
    share >= 0.5
      ? ", so it is not evidence"
      : share >= 0.15
        ? ", so only part of it is evidence"
        : "";
  const carriedGrown = cells.CG?.function ?? null;
  return [
    start,
    { text: "It says " },
    { text: `${decimal(control)} ${where}`, tone: share >= 0.5 ? "bad" : undefined },
    {
      text: `${so}. ${carriedGrown === null ? "" : `By function, ${decimal(carriedGrown)} find their match in the grown model. `}`,
    },
  ];
}

function checkContext({ reinit_persisted, start_kept }: PersistenceSummary): Phrase[] {
  const checks = [
    ...(reinit_persisted?.value == null
      ? []
      : [`calls ${percent(reinit_persisted.value)} persisted on random weights`]),
    ...(start_kept?.value == null
      ? []
      : [`keeps ${percent(start_kept.value)} before any training`]),
  ];
  return checks.length === 0 ? [] : [{ text: `The same rule ${checks.join(" and ")}. ` }];
}

function throughContext(run: RunData, index: number): Phrase[] {
  if (index < 2) return [];
  const through = throughAll(run, index);
  if (through === null || through.eligible === 0) return [];
  return [
    {
      text: `Through ${index === 2 ? "both" : `all ${inWords(index)}`} expansions, ${count(through.kept)} of the ${count(through.eligible)} features of ${stageLabel(run.stages[0].name)} ${through.kept === 1 ? "keeps" : "keep"} a confirmed heir. `,
    },
  ];
}

function noiseContext({ arms, cells, eligible }: PersistenceSummary): Phrase[] {
  const seeds = arms.filter(({ role }) => role === "fresh").length;
  const widest = Math.max(
    0,
    ...Object.values(cells).map((cell) => (cell?.ci ? (cell.ci[1] - cell.ci[0]) / 2 : 0)),
  );
  const noise = widest > 0 ? `: treat differences under ${decimal(widest)} as noise` : "";
  return [
    {
      text: `One training run, ${plural(seeds, "fresh SAE seed")}, ${count(eligible)} features that can be judged${noise}.`,
    },
  ];
}

function failedChecks({ reinit_persisted, start_kept }: PersistenceSummary): string[] {
  const alarms: string[] = [];
  const onRandom = reinit_persisted?.value ?? 0;
  if (onRandom > checkLimits.reinit) {
    alarms.push(
      `The verdicts of this stage can’t be trusted: the rule calls ${percent(onRandom)} persisted on a model with random weights (at most ${percent(checkLimits.reinit)} is allowed).`,
    );
  }
  const atStart = start_kept?.value ?? 1;
  if (atStart < checkLimits.start) {
    alarms.push(
      `The verdicts of this stage can’t be trusted: before any training the rule keeps only ${percent(atStart)} (at least ${percent(checkLimits.start)} is required).`,
    );
  }
  return alarms;
}

function baseVerdict(run: RunData): Pick<VerdictView, "sentence" | "context"> {
  const { evaluation } = run.stages[0];
  if (evaluation === null) {
    return {
      sentence: [{ text: "The base model is not finished yet." }],
      context: [{ text: unfinished }],
    };
  }
  const { held_out_loss: loss, unigram_entropy: entropy } = evaluation.model;
  const sae = evaluation.saes.find(({ arm }) => arm === "carried") ?? evaluation.saes[0];
  const gain = loss !== null && entropy !== null ? entropy - loss : null;
  return {
    sentence: [
      { text: "The base model predicts held-out text at " },
      { text: `${decimal(loss)} nats per token`, tone: "good" },
      { text: gain === null ? "." : `, ${decimal(gain)} below the unigram entropy.` },
    ],
    context: [
      {
        text: sae
          ? `Its SAE explains ${percent(sae.fvu === null ? null : 1 - sae.fvu)} of the variance with ${decimal(sae.l0, 1)} latents a token; PCA at that rank explains ${percent(evaluation.pca_fvu === null ? null : 1 - evaluation.pca_fvu)}. Nothing has been expanded at this stage.`
          : "Nothing has been expanded at this stage.",
      },
    ],
  };
}

// Fractions that read well; the nearest is taken when the interval is narrow.
const fractions: readonly (readonly [number, string])[] = [
  [0.05, "almost nothing"],
  [0.1, "a tenth"],
  [0.2, "a fifth"],
  [0.25, "a quarter"],
  [1 / 3, "a third"],
  [0.4, "two fifths"],
  [0.5, "half"],
  [0.6, "three fifths"],
  [2 / 3, "two thirds"],
  [0.75, "three quarters"],
  [0.8, "four fifths"],
  [0.9, "nine tenths"],
  [1, "all"],
];

/** A share in words: "about two thirds", or the range where the interval is wider than .4. */
export function amount(value: number, ci: Interval): string {
  if (ci !== null && ci[1] - ci[0] > 0.4) {
    return `between ${nearest(ci[0])} and ${nearest(ci[1])}`;
  }
  if (value > 1.05) return "more than all";
  const word = nearest(value);
  return value <= 0.05 ? word : value >= 0.95 ? "nearly all" : `about ${word}`;
}

function nearest(value: number): string {
  return fractions.reduce((best, entry) =>
    Math.abs(entry[0] - value) < Math.abs(best[0] - value) ? entry : best,
  )[1];
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
