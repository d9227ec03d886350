/**
 * Induction (Elhage et al. 2021; Olsson et al. 2022): [EOT, r1 … rk, r1 … rj] → r(j+1).
 * The corrupted prompt swaps r(j+1) with a token later in the segment, so both prompts hold the same
 * tokens: a model that merely favours tokens seen before scores 0 on the difference, and only one
 * that binds a token to its predecessor scores more. Segments are random, so no bigram helps.
 */
import type { Rng } from "../../src/engine/index.ts";
import {
  type NotApplicable,
  type PromptPair,
  type PromptSet,
  packPrompts,
  type TaskSource,
} from "./prompts.ts";

const rarest = 5; // occurrences in training below which a token's embedding is hardly trained

/** n prompts with segments of up to 12 distinct training tokens; fewer where the context is short. */
export function inductionPrompts(
  source: TaskSource,
  n: number,
  rng: Rng,
): PromptSet | NotApplicable {
  const counts = new Int32Array(source.tokens.length);
  for (const id of source.train.ids) counts[id] += 1;
  const known = Int32Array.from(source.tokens.keys()).filter(
    (id) => counts[id] >= rarest && id !== source.endOfText,
  );
  const segment = Math.min(12, Math.floor((source.train.context * 2) / 3) - 2);
  const prefix = Math.floor(segment / 2);
  if (prefix < 2) {
    return { task: "induction", reason: `a context of ${source.train.context} is too short` };
  }
  if (known.length < 2 * segment) {
    const reason = `only ${known.length} tokens occur ${rarest} times; ${2 * segment} are needed`;
    return { task: "induction", reason };
  }
  const pairs: PromptPair[] = [];
  for (let i = 0; i < n; i++) {
    const r = drawDistinct(known, segment, rng);
    const other = prefix + 1 + rng.int(segment - prefix - 1);
    const swapped = r.slice();
    swapped[prefix] = r[other];
    swapped[other] = r[prefix];
    const repeat = r.subarray(0, prefix);
    pairs.push({
      clean: [source.endOfText, ...r, ...repeat],
      corrupted: [source.endOfText, ...swapped, ...repeat],
      answer: r[prefix],
      wrong: r[other],
    });
  }
  return packPrompts("induction", pairs);
}

/** `count` distinct entries of `pool` in random order. */
export function drawDistinct(pool: Int32Array, count: number, rng: Rng): Int32Array {
  const values = pool.slice();
  for (let i = 0; i < count; i++) {
    const j = i + rng.int(values.length - i);
    const held = values[i];
    values[i] = values[j];
    values[j] = held;
  }
  return values.subarray(0, count);
}
