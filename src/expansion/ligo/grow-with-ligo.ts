/**
 * @file Growth by LiGO from beginning to end: place the parent, learn the operators on text, build the child, and
 * measure what that did on text that was held out. Not exact at any size: the loss says how good a start it is.
 */
import { type TokenSet, trainingBatch } from "../../data/index.ts";
import type { Rng } from "../../engine/index.ts";
import { UsageError } from "../../io/index.ts";
import {
  type HostModel,
  heldOutLoss,
  initModel,
  type ModelConfig,
  modelSizes,
  placeModel,
} from "../../models/index.ts";
import type { LearnedGrowth } from "../map/expansion-map.ts";
import type { DenseMap } from "../map/vector-map.ts";
import { placePieces } from "./construct.ts";
import { growthFrame } from "./growth-frame.ts";
import {
  type LearnOptions,
  type LearnStep,
  learnDefaults,
  learnOperators,
  materialise,
} from "./learn-operators.ts";
import { initialOperators } from "./operators.ts";
import { stackedMap } from "./residual-map.ts";

/** What a growth that learns learns from. */
export interface GrowthText {
  readonly train: TokenSet;
  /** Text that nothing is learned from. */
  readonly heldOut: TokenSet;
  /** Called after every step of learning. */
  readonly onStep?: (step: LearnStep) => void;
}

/** A child, what learning it did, and the stream's map; `residual` is null where the width does not change. */
export interface LigoGrowth<C extends ModelConfig = ModelConfig> {
  readonly child: HostModel<C>;
  readonly learned: LearnedGrowth;
  readonly residual: DenseMap | null;
}

/** What a user is told who gives no text to a method that learns. */
export function textNeeded(method: string): UsageError {
  return new UsageError({
    code: "text-needed",
    where: "--text",
    expected: `text that ${method} learns on: random tokens teach it nothing`,
    got: "none",
  });
}

/** Grows `parent` to `config` on the active backend. Errors: UsageError for heads that can't be combined, RunError `nan-loss`. */
export async function growWithLigo<C extends ModelConfig>(
  parent: HostModel,
  config: C,
  { train, heldOut, onStep }: GrowthText,
  options: Partial<LearnOptions>,
  rng: Rng,
): Promise<LigoGrowth<C>> {
  const { steps, lr, batchTokens } = { ...learnDefaults, ...options };
  const { nLayer, dModel } = modelSizes(parent.config);
  const frame = growthFrame(parent.config, config);
  const { context } = train;
  const batchSize = Math.max(1, Math.round(batchTokens / context));
  const order = rng.fork("batches");
  const loss = async (host: HostModel): Promise<number> => {
    const model = placeModel(host);
    const measured = await heldOutLoss(model, heldOut.ids, heldOut.context);
    model.dispose();
    return measured.loss;
  };
  const pieces = placePieces(frame, parent);
  try {
    const start = initialOperators(frame, nLayer, rng.fork("operators"));
    const before = await loss(await materialise(config, frame, pieces, start));
    const operators = await learnOperators(
      config,
      frame,
      pieces,
      start,
      (step) => ({ ids: trainingBatch(train, batchSize, step, order), context }),
      { steps, lr },
      onStep,
    );
    const child = await materialise(config, frame, pieces, operators);
    const residual = frame.residual.operator && operators.get(frame.residual.operator);
    return {
      child,
      learned: {
        steps,
        lr,
        tokens: steps * batchSize * context,
        loss: {
          parent: await loss(parent),
          start: before,
          learned: await loss(child),
          scratch: await loss(initModel(config, rng.fork("scratch"))),
        },
        held_out_tokens: heldOut.nSeq * (heldOut.context - 1),
      },
      residual: residual ? stackedMap(residual.data as Float32Array, dModel) : null,
    };
  } finally {
    pieces.dispose();
  }
}
