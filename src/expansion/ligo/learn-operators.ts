/**
 * @file Learning LiGO's operators: AdamW without decay on the loss of the grown model, the parent's weights frozen.
 * The paper takes 100 steps of the optimizer that trains its models. Gradients go through the whole construction, so a
 * step costs what a training step of the child does, and the products that build it.
 */
import { AdamW, crossEntropy, tf, valueAndGrads } from "../../engine/index.ts";
import { type HostTensor, RunError } from "../../io/index.ts";
import {
  forwardHidden,
  type HostModel,
  type LmBatch,
  learningRate,
  lmTrainDefaults,
  type Model,
  type ModelConfig,
  shift,
  unembedding,
} from "../../models/index.ts";
import { construct, type PlacedPieces } from "./construct.ts";
import type { GrowthFrame } from "./growth-frame.ts";
import type { Operators } from "./operators.ts";

/** How the operators are learned. */
export interface LearnOptions {
  /** Optimizer steps. */
  readonly steps: number;
  /** Peak learning rate: a linear rise over a tenth of the steps, then a cosine to a tenth of it. */
  readonly lr: number;
  /** Tokens of a step, rounded to whole sequences. */
  readonly batchTokens: number;
}

/** The defaults; the rate did best of .001 to .1 on State of the Union text (a parent 48 wide). */
export const learnDefaults: LearnOptions = { steps: 100, lr: 0.01, batchTokens: 2048 };

/** What a step of learning did: 1-based, with the loss of its batch before the update, in nats. */
export interface LearnStep {
  readonly step: number;
  readonly loss: number;
}

/**
 * The operators after `steps` steps, on the batches that `batchOf` gives for steps from 0. Errors: RunError `nan-loss`
 * when the loss stops being a number.
 */
export async function learnOperators(
  child: ModelConfig,
  frame: GrowthFrame,
  pieces: PlacedPieces,
  start: Operators,
  batchOf: (step: number) => LmBatch,
  { steps, lr }: Pick<LearnOptions, "steps" | "lr">,
  onStep?: (step: LearnStep) => void,
): Promise<Operators> {
  let operators = placeOperators(start);
  const optimizer = new AdamW(operators, { weightDecay: 0 });
  const schedule = { ...lmTrainDefaults, steps, lr, warmup: 0.1 };
  for (let step = 1; step <= steps; step++) {
    const { inputs, targets, batch } = shifted(batchOf(step - 1));
    const { value, grads } = valueAndGrads(() => {
      const model = grownModel(child, construct(frame, pieces, operators));
      return crossEntropy(forwardHidden(model, inputs, batch), unembedding(model), targets);
    }, [...operators.values()]);
    const [loss] = await value.data();
    value.dispose();
    if (!Number.isFinite(loss)) {
      tf.dispose([...grads, ...operators.values()]);
      optimizer.dispose();
      throw new RunError({
        code: "nan-loss",
        where: `ligo, step ${step}`,
        expected: "a finite loss",
        got: String(loss),
        hint: "Lower the learning rate of the operators (--ligo-lr).",
      });
    }
    const named = new Map([...operators.keys()].map((name, i) => [name, grads[i]]));
    operators = (await optimizer.step(operators, named, learningRate(step, schedule))).params;
    onStep?.({ step, loss });
  }
  const learned = await fetchOperators(operators);
  tf.dispose([...operators.values()]);
  optimizer.dispose();
  return learned;
}

/** The child that `operators` make, as ordinary weights. */
export async function materialise<C extends ModelConfig>(
  child: C,
  frame: GrowthFrame,
  pieces: PlacedPieces,
  operators: Operators,
): Promise<HostModel<C>> {
  const placed = placeOperators(operators);
  const params = tf.tidy(() => {
    const made = construct(frame, pieces, placed);
    return Object.fromEntries(made);
  });
  tf.dispose([...placed.values()]);
  const weights = new Map<string, HostTensor>();
  for (const [name, tensor] of Object.entries(params)) {
    weights.set(name, { shape: tensor.shape, data: (await tensor.data()).slice() as Float32Array });
    tensor.dispose();
  }
  return { config: child, weights };
}

function grownModel(config: ModelConfig, params: Map<string, tf.Tensor>): Model {
  return { config, params, dispose: () => {} };
}

const shifted = ({ ids, context }: LmBatch) => shift(ids, context);

function placeOperators(operators: Operators): Map<string, tf.Tensor> {
  return new Map(
    [...operators].map(([name, { shape, data }]) => [
      name,
      // copied: the optimizer may write into it
      tf.tensor(Float32Array.from(data as Float32Array), [...shape], "float32"),
    ]),
  );
}

async function fetchOperators(operators: ReadonlyMap<string, tf.Tensor>): Promise<Operators> {
  const fetched = new Map<string, HostTensor>();
  for (const [name, tensor] of operators) {
    fetched.set(name, {
      shape: tensor.shape,
      data: (await tensor.data()).slice() as Float32Array,
    });
  }
  return fetched;
}
