/** Activations and codes of held-out sequences, a few sequences at a time; first tokens are left out. */
import {
  encodeAsync,
  joinCodes,
  keptActivations,
  type Sae,
  type SparseCodes,
} from "../../../sae/index.ts";
import { spreadSequences, type TokenSet } from "../../../src/data/index.ts";
import type { tf } from "../../../src/engine/index.ts";
import type { Model } from "../../../src/models/index.ts";
import type { TaskContext } from "../task-context.ts";

/** Tokens at the head of each sequence that SAEs are neither trained on nor measured on. */
export const firstTokensExcluded = 1;

/** About `tokens` tokens of the set, evenly spread over it: what a run's measurements use. */
export function heldOutSubset(set: TokenSet, tokens: number): TokenSet {
  return spreadSequences(set, Math.max(1, Math.round(tokens / set.context)));
}

/**
 * A model's activations at a hook: blocks [rows, width] on the engine, in the order of the sequences. The
 * caller disposes them. Errors: Interrupted between blocks when a stop was asked for.
 */
export async function* heldOutActivations(
  task: TaskContext,
  model: Model,
  hook: string,
  set: TokenSet,
): AsyncGenerator<tf.Tensor2D> {
  const pause = (): Promise<void> => task.pause();
  yield* keptActivations(model, hook, set, { skip: firstTokensExcluded, pause });
}

/** The same blocks as arrays of their own. */
export async function* heldOutRows(
  task: TaskContext,
  model: Model,
  hook: string,
  set: TokenSet,
): AsyncGenerator<Float32Array> {
  for await (const block of heldOutActivations(task, model, hook, set)) {
    const rows = (await block.data()) as Float32Array;
    block.dispose();
    yield rows;
  }
}

/** What several SAEs make of one model's activations at a hook, in one pass over the sequences. */
export async function heldOutCodes(
  task: TaskContext,
  model: Model,
  hook: string,
  set: TokenSet,
  saes: readonly Sae[],
): Promise<SparseCodes[]> {
  const parts: SparseCodes[][] = saes.map(() => []);
  for await (const block of heldOutActivations(task, model, hook, set)) {
    for (const [i, sae] of saes.entries()) parts[i].push(await encodeAsync(sae, block));
    block.dispose();
  }
  return parts.map(joinCodes);
}
