/**
 * Training a language model: AdamW, linear warm-up then cosine to a floor, global-norm clipping
 * (nanoGPT's recipe). A trainer is an object with one `step`; its state can be taken out and put
 * back, and a resumed trainer goes on with the same numbers as one that was never stopped.
 */
import { AdamW, type AdamwState, crossEntropy, tf, valueAndGrads } from "../engine/index.ts";
import { RunError, UsageError } from "../io/index.ts";
import { balanceLoss, routerHooks } from "./balance-loss.ts";
import { forwardHidden, unembedding } from "./forward.ts";
import { type FrozenEntries, PartlyFrozen } from "./frozen-entries.ts";
import { fetchModel, type HostModel, placeModel } from "./model.ts";

/** How a language model is trained. */
export interface LmTrainOptions {
  /** Optimizer steps in all. */
  readonly steps: number;
  /** Peak learning rate. */
  readonly lr: number;
  /** Share of the steps that warms up linearly. */
  readonly warmup: number;
  /** The cosine's floor as a share of the peak. */
  readonly minLrRatio: number;
  readonly weightDecay: number;
  readonly clip: number;
  readonly beta1: number;
  readonly beta2: number;
  /** What is not trained; default nothing. */
  readonly frozen?: FrozenEntries;
}

/** Defaults for models of 0.1 to 10 million parameters. */
export const lmTrainDefaults: Omit<LmTrainOptions, "steps"> = {
  lr: 3e-3,
  warmup: 0.05,
  minLrRatio: 0.1,
  weightDecay: 0.1,
  clip: 1,
  beta1: 0.9,
  beta2: 0.95,
};

/** Sequences of one step: ids [batch·context], each row one sequence. */
export interface LmBatch {
  readonly ids: Int32Array;
  readonly context: number;
}

/** What a step did. */
export interface LmStep {
  /** 1-based. */
  readonly step: number;
  /** Mean cross-entropy of the batch in nats, before the update. */
  readonly loss: number;
  /** Load-balancing loss of the routers, where there are experts; it counts `router_aux_loss_coef` times. */
  readonly balance?: number;
  readonly lr: number;
  readonly gradNorm: number;
}

/** All that a trainer needs to go on. */
export interface LmState {
  readonly model: HostModel;
  /** Its own count of steps goes on where moments are carried from one training to the next. */
  readonly optimizer: AdamwState;
  /** Steps of this training taken so far: what the rate follows. */
  readonly taken: number;
}

/** A training run in progress. */
export interface LmTrainer {
  /** Trains on one batch. Errors: RunError `nan-loss` with the step, when the loss stops being a number. */
  step(batch: LmBatch): Promise<LmStep>;
  /** Steps taken so far. */
  readonly taken: number;
  /** A copy of the weights and the optimizer's moments. */
  state(): Promise<LmState>;
  /** A copy of the weights. */
  model(): Promise<HostModel>;
  dispose(): void;
}

/** Learning rate at a 1-based step: linear to `lr` over the warm-up, then cosine to `lr·minLrRatio` at the last step. */
export function learningRate(step: number, options: LmTrainOptions): number {
  const { steps, lr, warmup, minLrRatio } = options;
  const warm = Math.max(1, Math.round(steps * warmup));
  if (step <= warm) return (lr * step) / warm;
  const progress = Math.min(1, (step - warm) / Math.max(1, steps - warm));
  return lr * (minLrRatio + (1 - minLrRatio) * 0.5 * (1 + Math.cos(Math.PI * progress)));
}

/**
 * A trainer that starts from `model` (weights only) or goes on from a state: its own, or one with moments from an
 * earlier training and `taken` 0. Errors: UsageError when nothing is left to train.
 */
export function createLmTrainer(start: HostModel | LmState, options: LmTrainOptions): LmTrainer {
  const resumed = "optimizer" in start ? start : undefined;
  const host = resumed ? resumed.model : (start as HostModel);
  const { config } = host; // all that the trainer keeps of the start: its weights may go
  const { frozen = new Map() } = options;
  const trained = [...host.weights.keys()].filter((name) => frozen.get(name) !== "all");
  if (trained.length === 0) {
    throw new UsageError({
      code: "nothing-to-train",
      where: "frozen parameters",
      expected: "at least one that is left to train",
      got: `all ${host.weights.size} of them frozen`,
    });
  }
  const partly = new PartlyFrozen(host, frozen);
  const placed = placeModel(host);
  const params = new Map(placed.params);
  const ofTrained = () => new Map(trained.map((name) => [name, params.get(name) as tf.Tensor]));
  const optimizer = new AdamW(ofTrained(), options, resumed?.optimizer);
  let taken = resumed?.taken ?? 0;

  /** What is minimised; its parts are kept for the report: cross-entropy, then the routers' loss. */
  const lossOf = ({ ids, context }: LmBatch, parts: tf.Scalar[]): tf.Scalar => {
    const { inputs, targets, batch } = shift(ids, context);
    const model = { config, params, dispose: () => {} };
    const probabilities: tf.Tensor2D[] = [];
    const hooks = routerHooks(config, probabilities);
    const hidden = forwardHidden(model, inputs, batch, { hooks });
    const loss = crossEntropy(hidden, unembedding(model), targets);
    if (config.model_type !== "mixtral") return loss;
    const balance = balanceLoss(probabilities, config.num_experts_per_tok);
    for (const part of [loss, balance]) parts.push(tf.keep(tf.clone(part)));
    return tf.add(loss, tf.mul(balance, config.router_aux_loss_coef)) as tf.Scalar;
  };

  return {
    get taken() {
      return taken;
    },
    async step(batch) {
      const parts: tf.Scalar[] = [];
      const moving = ofTrained();
      const { value, grads } = valueAndGrads(() => lossOf(batch, parts), [...moving.values()]);
      const [loss, balance] = await numbers(parts.length > 0 ? parts : [value]);
      tf.dispose([value, ...parts]);
      if (!Number.isFinite(loss)) {
        tf.dispose(grads);
        throw new RunError({
          code: "nan-loss",
          where: `language model, step ${taken + 1}`,
          expected: "a finite loss",
          got: String(loss),
          hint: "The last good state is kept. Lower the learning rate or the clipping threshold.",
        });
      }
      const lr = learningRate(taken + 1, options);
      const named = new Map(trained.map((name, i) => [name, partly.gradient(name, grads[i])]));
      const moved = await optimizer.step(moving, named, lr);
      for (const [name, param] of moved.params) params.set(name, partly.restored(name, param));
      taken += 1;
      const step = { step: taken, loss, lr, gradNorm: moved.gradNorm };
      return balance === undefined ? step : { ...step, balance };
    },
    async state() {
      const model = await fetchModel(config, params);
      return { model, optimizer: await optimizer.state(), taken };
    },
    model: () => fetchModel(config, params),
    dispose() {
      tf.dispose([...params.values()]);
      optimizer.dispose();
      partly.dispose();
    },
  };
}

async function numbers(scalars: readonly tf.Scalar[]): Promise<number[]> {
  return (await Promise.all(scalars.map((scalar) => scalar.data()))).map(([number]) => number);
}

/** Splits sequences of `context` tokens into inputs (all but the last) and targets (all but the first). */
export function shift(
  ids: Int32Array,
  context: number,
): { inputs: Int32Array; targets: Int32Array; batch: number } {
  const batch = ids.length / context;
  if (!Number.isInteger(batch) || context < 2) {
    throw new Error(`internal: ${ids.length} ids don't make sequences of ${context} tokens`);
  }
  const inputs = new Int32Array(batch * (context - 1));
  const targets = new Int32Array(inputs.length);
  for (let b = 0; b < batch; b++) {
    inputs.set(ids.subarray(b * context, (b + 1) * context - 1), b * (context - 1));
    targets.set(ids.subarray(b * context + 1, (b + 1) * context), b * (context - 1));
  }
  return { inputs, targets, batch };
}
