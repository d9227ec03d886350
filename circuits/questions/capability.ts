/**
 * Questions 1 and 2: does growing cost capability, against a model of the final size trained from
 * scratch, and does it buy any, against the unexpanded model trained on? Held-out loss at matched
 * tokens and at matched FLOPs. Intervals come from the held-out sample alone (standard errors added
 * as if independent, though the sequences are the same: too wide rather than too narrow); the spread
 * between training seeds is not in them, so a difference below `seedAllowance` decides nothing.
 */
import {
  type Answer,
  cannotTell,
  expansions,
  type FiveQuestionsInput,
  type Source,
  signed,
  stageFile,
} from "./evidence.ts";
import type { Matched } from "./loss-curves.ts";
import { type Difference, differenceInterval, lossDifferences } from "./loss-differences.ts";

/** Nats per token that two trainings may differ by for no reason; a caution, not a measurement. */
export const seedAllowance = 0.02;

const unit = "nats per token";
const early = 0.95; // share of a schedule below which a reading is called early

/** Question 1. value: grown − from-scratch, at matched FLOPs where possible; above zero = growing cost capability. */
export function answerNerf(input: FiveQuestionsInput): Answer {
  const found = comparison(input, "scratch", 1);
  if (!("differences" in found)) return found;
  const { differences, evidence } = found;
  const headline = differences.at(-1)!; // FLOPs where there are any
  const costs = differences.map(sign);
  const moved = expansionCost(input);
  const verdict = costs.every((cost) => cost > 0)
    ? "Yes, by this run growing cost capability"
    : costs.every((cost) => cost < 0)
      ? "No, by this run growing beat training from scratch"
      : costs.every((cost, i) => cost <= 0 && within(differences[i]))
        ? "No cost was seen"
        : costs[0] * costs[costs.length - 1] < 0
          ? "Not one answer: it depends on whether tokens or compute are matched"
          : "Not decided by this run";
  const about = `the grown model's held-out loss is ${differences
    .map(({ value, matched }) => `${signed(value)} nats per token at matched ${label(matched)}`)
    .join(" and ")} against a model of its size trained from scratch`;
  const jump =
    moved === null
      ? "the moment of expansion was not measured"
      : `at the moment of expansion it moved by ${signed(moved)}`;
  return {
    answer: `${verdict}: ${about}; ${jump}${caveat(differences, "from-scratch model")}.`,
    value: headline.value,
    ci: differenceInterval(headline),
    unit,
    evidence,
    confident: !verdict.startsWith("Not") && differences.every(({ half }) => half !== null),
  };
}

/** Question 2. value: unexpanded − grown at matched tokens; above zero = growing bought capability. */
export function answerBump(input: FiveQuestionsInput): Answer {
  const found = comparison(input, "no-expand", -1);
  if (!("differences" in found)) return found;
  const { differences, evidence } = found;
  const headline = differences[0];
  const gains = differences.map(sign);
  const verdict = gains.every((gain) => gain > 0)
    ? "Growing bought capability in this run"
    : gains[0] > 0 && differences.length > 1
      ? "Growing bought capability per token, but none is shown per FLOP"
      : gains.every((gain) => gain < 0)
        ? "No bump: the unexpanded parent, trained on, did better"
        : "No bump is shown by this run";
  return {
    answer: `${verdict}: the grown model's held-out loss is ${differences
      .map(({ value, matched }) => `${signed(-value)} nats per token at matched ${label(matched)}`)
      .join(
        " and ",
      )} against its unexpanded parent (${input.stages[input.stages.length - 2].stage}) trained on${caveat(differences, "unexpanded model")}.`,
    value: headline.value,
    ci: differenceInterval(headline),
    unit,
    evidence,
    confident: gains.every((gain) => gain !== 0) && differences.every(({ half }) => half !== null),
  };
}

/** Differences of the last stage and an arm at matched tokens, then FLOPs; or why there are none. */
function comparison(
  input: FiveQuestionsInput,
  arm: "scratch" | "no-expand",
  factor: 1 | -1,
): Answer | { differences: Difference[]; evidence: Source[] } {
  const last = expansions(input).at(-1);
  if (last === undefined) return cannotTell("it has no expansion");
  const file = stageFile(last.stage, "eval.json");
  const control = last.eval.controls?.[arm];
  if (control === undefined || control.held_out_loss === null) {
    return cannotTell(`the ${arm} control was not trained at the last stage (${last.stage})`, [
      { file, field: `controls.${arm}` },
    ]);
  }
  const differences = lossDifferences(input, arm, factor);
  const evidence = [
    { file, field: "model.held_out_loss" },
    { file, field: `controls.${arm}` },
    { file: "metrics.jsonl", field: `held_out_loss of arms carried and ${arm}` },
  ];
  if (differences.length === 0) {
    return cannotTell(
      `the curves of the grown model and of ${arm} share no amount of training at which both were measured`,
      evidence,
    );
  }
  return { differences, evidence };
}

/** +1 or −1 when the interval and the seed allowance are clear of zero, else 0. */
function sign({ value, half }: Difference): -1 | 0 | 1 {
  if (Math.abs(value) <= Math.max(half ?? 0, seedAllowance)) return 0;
  return value > 0 ? 1 : -1;
}

/** Whether a cost beyond the seed allowance is ruled out. */
function within({ value, half }: Difference): boolean {
  return value + (half ?? 0) <= seedAllowance;
}

function label({ axis }: Matched): string {
  return axis === "tokens" ? "tokens" : "FLOPs";
}

/** What a reader has to know about how the numbers were read. */
function caveat(differences: readonly Difference[], control: string): string {
  const notes = differences.flatMap(({ matched }) => [
    ...(matched.read.control < early
      ? [
          `at matched ${label(matched)} the ${control} is read at ${Math.round(100 * matched.read.control)}% of its training, before its learning rate has fallen, which favours the grown one`,
        ]
      : []),
    ...(matched.read.grown < early
      ? [
          `at matched ${label(matched)} the grown model is read at ${Math.round(100 * matched.read.grown)}% of its training, before its learning rate has fallen, which favours the other`,
        ]
      : []),
  ]);
  if (differences.length === 1)
    notes.push(
      `matched ${differences[0].matched.axis === "tokens" ? "FLOPs" : "tokens"} were not measured`,
    );
  notes.push("one training seed of each");
  return ` (${notes.join("; ")})`;
}

/** The largest change of held-out loss at the moment of an expansion. */
function expansionCost({ stages }: FiveQuestionsInput): number | null {
  let worst: number | null = null;
  for (let i = 1; i < stages.length; i++) {
    const after = stages[i].eval.model.loss_after_expansion ?? null;
    const before = stages[i - 1].eval.model.held_out_loss;
    if (after === null || before === null) continue;
    if (worst === null || after - before > worst) worst = after - before;
  }
  return worst;
}
