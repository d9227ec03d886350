/**
 * `growth.json`: what each expansion cost and what it bought. By stage the held-out loss before the expansion, right
 * after it and after training on, with the tokens and the training operations spent (6 per weight and token, Kaplan et
 * al. 2020; attention added); at the last stage the grown model against its unexpanded parent trained on and against a
 * model of its size from fresh weights, at matched tokens and at matched operations.
 */
import type { FiveQuestionsInput, Interval, StageEvidence } from "./questions/evidence.ts";
import {
  type ControlArm,
  differenceInterval,
  lossDifferences,
} from "./questions/loss-differences.ts";

/** One stage; null = not measured, or nothing of the kind in the base stage. */
export interface GrowthStage {
  readonly stage: string;
  /** How it was grown, as in map.json. */
  readonly method: string | null;
  readonly exact: boolean | null;
  readonly params: number | null;
  /** Training tokens of this stage, and with all ancestors. */
  readonly tokens: number | null;
  readonly tokens_total: number | null;
  /** Training operations of this stage, and with all ancestors. */
  readonly flops: number | null;
  readonly flops_total: number | null;
  /** Held-out loss of the parent, in nats per token. */
  readonly loss_before: number | null;
  readonly loss_after_expansion: number | null;
  /** loss_after_expansion − loss_before. */
  readonly loss_jump: number | null;
  readonly loss: number | null;
  readonly loss_se: number | null;
}

/** The grown model against a control, both read at one amount of training. */
export interface GrowthComparison {
  readonly stage: string;
  readonly arm: ControlArm;
  readonly matched: "tokens" | "flops";
  /** The amount: tokens or operations, ancestors included. */
  readonly at: number;
  readonly grown: number;
  readonly control: number;
  /** grown − control; below zero = growing is ahead. */
  readonly difference: number;
  readonly ci: Interval;
  /** Where each curve was read, as a share of its whole training: before its end its rate has not fallen yet. */
  readonly read: { readonly grown: number; readonly control: number };
}

/** `growth.json`. */
export interface GrowthReport {
  readonly format: "sae-carry/growth";
  readonly version: 1;
  readonly stages: readonly GrowthStage[];
  readonly comparisons: readonly GrowthComparison[];
}

/** The report of a run's stages, the base first. */
export function growthReport(input: FiveQuestionsInput): GrowthReport {
  return {
    format: "sae-carry/growth",
    version: 1,
    stages: input.stages.map((stage, i) => growthStage(stage, input.stages[i - 1])),
    comparisons: (["no-expand", "scratch"] as const).flatMap((arm) => comparisons(input, arm)),
  };
}

function growthStage(own: StageEvidence, parent: StageEvidence | undefined): GrowthStage {
  const { model } = own.eval;
  const before = parent?.eval.model;
  const since = (now: number | null, then: number | null | undefined): number | null =>
    now === null ? null : parent === undefined ? now : then == null ? null : now - then;
  const afterExpansion = model.loss_after_expansion ?? null;
  const lossBefore = before?.held_out_loss ?? null;
  return {
    stage: own.stage,
    method: own.expansion?.method ?? null,
    exact: own.expansion?.exact ?? null,
    params: model.params ?? null,
    tokens: since(model.tokens_trained, before?.tokens_trained),
    tokens_total: model.tokens_trained,
    flops: since(model.flops_trained, before?.flops_trained),
    flops_total: model.flops_trained,
    loss_before: lossBefore,
    loss_after_expansion: afterExpansion,
    loss_jump: afterExpansion === null || lossBefore === null ? null : afterExpansion - lossBefore,
    loss: model.held_out_loss,
    loss_se: model.held_out_se ?? null,
  };
}

function comparisons(input: FiveQuestionsInput, arm: ControlArm): GrowthComparison[] {
  return lossDifferences(input, arm, 1).map((difference) => {
    const { axis, at, grown, control, read } = difference.matched;
    return {
      stage: input.stages[input.stages.length - 1].stage,
      arm,
      matched: axis,
      at,
      grown,
      control,
      difference: difference.value,
      ci: differenceInterval(difference),
      read,
    };
  });
}
