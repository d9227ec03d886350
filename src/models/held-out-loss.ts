/** Held-out cross-entropy in nats a token, with its standard error over sequences. */
import { tf, tokenLoss } from "../engine/index.ts";
import { type ForwardOptions, forwardHidden, unembedding } from "./forward.ts";
import type { Model } from "./model.ts";
import { shift } from "./train.ts";

/** A mean loss and how sure it is. */
export interface HeldOutLoss {
  /** Nats per predicted token. */
  readonly loss: number;
  /** Standard error over sequences. */
  readonly se: number;
  /** Predicted tokens. */
  readonly tokens: number;
}

/** How the loss is measured. */
export interface HeldOutOptions extends ForwardOptions {
  /** Sequences per forward pass. */
  readonly batchSequences?: number;
}

/** The loss over sequences ids [n·context]: every token but the first of each is predicted. */
export async function heldOutLoss(
  model: Model,
  ids: Int32Array,
  context: number,
  { batchSequences = 32, ...forward }: HeldOutOptions = {},
): Promise<HeldOutLoss> {
  const sequences = ids.length / context;
  let sum = 0;
  let squares = 0;
  for (let from = 0; from < sequences; from += batchSequences) {
    const to = Math.min(sequences, from + batchSequences);
    const { inputs, targets, batch } = shift(ids.subarray(from * context, to * context), context);
    const hidden = tf.tidy(() => forwardHidden(model, inputs, batch, forward));
    const losses = await tokenLoss(hidden, unembedding(model), targets);
    hidden.dispose();
    for (let b = 0; b < batch; b++) {
      let total = 0;
      for (let t = 0; t < context - 1; t++) total += losses[b * (context - 1) + t];
      const mean = total / (context - 1);
      sum += mean;
      squares += mean * mean;
    }
  }
  const loss = sum / sequences;
  const variance = Math.max(0, squares / sequences - loss * loss);
  return {
    loss,
    se: Math.sqrt(variance / Math.max(1, sequences - 1)),
    tokens: sequences * (context - 1),
  };
}
