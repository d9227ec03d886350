/** What each expansion cost and bought, as printed: losses around it, tokens and compute spent, controls at matched amounts. */

import type { GrowthSummary } from "../run-data/whole-run.ts";
import type { RunData } from "../run-data.ts";
import { compact, decimal, interval, percent, signed, small } from "./format.ts";
import { growthLabel, sizeLabel, sizeOf, stageLabel } from "./stages.ts";

/** Whether the plan has no SAE: then losses are all there is to say. */
export function isGrowthAlone({ plan }: RunData): boolean {
  return plan.text !== null && plan.saes.length === 0;
}

/** One stage. */
export interface GrowthRow {
  readonly stage: string;
  readonly growth: string;
  readonly method: string;
  readonly parameters: string;
  readonly tokens: string;
  readonly compute: string;
  readonly before: string;
  readonly afterExpansion: string;
  /** Change at the moment of expansion, in nats per token. */
  readonly jump: string;
  readonly loss: string;
}

/** The grown model against a control at one amount of training. */
export interface GrowthComparisonRow {
  readonly against: string;
  readonly matched: string;
  readonly at: string;
  readonly grown: string;
  readonly control: string;
  readonly difference: string;
  readonly interval: string;
  /** Which model is ahead beyond the interval; null where neither is. */
  readonly ahead: "grown" | "control" | null;
  /** Where the curves were read, when one was read before its end. */
  readonly caveat: string;
}

/** The rows; null before the first expansion was evaluated. */
export function growthRows(
  run: RunData,
): { readonly stages: GrowthRow[]; readonly comparisons: GrowthComparisonRow[] } | null {
  const { growth } = run;
  if (growth === null || growth.stages.length < 2) return null;
  return {
    stages: growth.stages.map((stage) => stageRow(run, stage)),
    comparisons: growth.comparisons.map(comparisonRow),
  };
}

function stageRow(run: RunData, own: GrowthSummary["stages"][number]): GrowthRow {
  const index = run.stages.findIndex(({ name }) => name === own.stage);
  const [before, after] = [sizeOf(run, index - 1), sizeOf(run, index)];
  const se = own.loss_se;
  return {
    stage: stageLabel(own.stage),
    growth: index > 0 ? growthLabel(before, after) : after === null ? "" : sizeLabel(after),
    method: own.method === null ? "" : `${own.method}${own.exact === false ? ", not exact" : ""}`,
    parameters: compact(own.params),
    tokens: total(own.tokens, own.tokens_total),
    compute: total(own.flops, own.flops_total),
    before: decimal(own.loss_before, 3),
    afterExpansion: decimal(own.loss_after_expansion, 3),
    jump:
      own.loss_jump !== null && Math.abs(own.loss_jump) < 0.0005
        ? small(own.loss_jump)
        : signed(own.loss_jump, 3),
    loss: `${decimal(own.loss, 3)}${se === null ? "" : ` ± ${decimal(1.96 * se, 3)}`}`,
  };
}

function total(own: number | null, all: number | null): string {
  return own === all ? compact(own) : `${compact(own)} of ${compact(all)}`;
}

function comparisonRow(row: GrowthSummary["comparisons"][number]): GrowthComparisonRow {
  const { ci, read } = row;
  const against = row.arm === "scratch" ? "same size, from scratch" : "unexpanded, trained on";
  const early = [
    ...(read.control < 0.95 ? [`${against} at ${percent(read.control)} of its training`] : []),
    ...(read.grown < 0.95 ? [`grown at ${percent(read.grown)} of its training`] : []),
  ];
  return {
    against,
    matched: row.matched === "tokens" ? "tokens" : "compute",
    at: compact(row.at),
    grown: decimal(row.grown, 3),
    control: decimal(row.control, 3),
    difference: signed(row.difference, 3),
    interval: interval(ci, 3),
    ahead: ci === null ? null : ci[1] < 0 ? "grown" : ci[0] > 0 ? "control" : null,
    caveat: early.join("; "),
  };
}
