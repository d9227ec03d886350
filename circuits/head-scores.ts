/**
 * What attention heads do on repeated random tokens [BOS, r, r], |r| = L (Olsson et al. 2022, in the
 * form that TransformerLens's demonstrations use): mean attention on whole diagonals of the pattern,
 * 1 − L for induction, −1 for the previous token, −L for the duplicate token. The null is the same
 * diagonals of the same heads on [BOS, r, r′] with r′ unrelated. A diagonal includes a few positions
 * of the first copy, where attention to BOS can fall on it: one more reason to print the null.
 */
import type { Rng } from "../src/engine/index.ts";
import { attentionPatterns, type Model, modelSizes } from "../src/models/index.ts";
import { drawDistinct } from "./tasks/induction.ts";

/** The three kinds of score. */
export const headScoreKinds = ["induction", "previous_token", "duplicate_token"] as const;
/** One of them. */
export type HeadScoreKind = (typeof headScoreKinds)[number];

/** Mean attention, [layer][head]. */
export type HeadTable = readonly (readonly number[])[];

/** The scores of every head, and of the same heads on sequences that do not repeat. */
export interface HeadScores extends Readonly<Record<HeadScoreKind, HeadTable>> {
  /** L, tokens of the repeated part. */
  readonly length: number;
  readonly sequences: number;
  readonly null: Readonly<Record<HeadScoreKind, HeadTable>>;
}

/** How many sequences, of what length. */
export interface HeadScoreOptions {
  /** L; at most (context − 1) / 2, which is what it is cut to. */
  readonly length?: number;
  readonly sequences?: number;
}

/** Scores every head of the model; `endOfText` stands for BOS and is not drawn. */
export function headScores(
  model: Model,
  endOfText: number,
  rng: Rng,
  { length = 25, sequences = 16 }: HeadScoreOptions = {},
): HeadScores {
  const { context, vocabSize } = modelSizes(model.config);
  const L = Math.min(length, Math.floor((context - 1) / 2), Math.floor((vocabSize - 1) / 2));
  if (L < 2) throw new Error(`internal: no repeated segment fits into ${context} positions`);
  const { repeated, unrelated } = repeatedSequences(vocabSize, endOfText, L, sequences, rng);
  return {
    length: L,
    sequences,
    ...scorePatterns(model, repeated, L, sequences),
    null: scorePatterns(model, unrelated, L, sequences),
  };
}

/** Tokens of [BOS, r, r] and of [BOS, r, r′], [sequences, 2L + 1] each; r and r′ are 2L distinct tokens. */
export function repeatedSequences(
  vocabSize: number,
  endOfText: number,
  L: number,
  sequences: number,
  rng: Rng,
): { repeated: Int32Array; unrelated: Int32Array } {
  const pool = Int32Array.from({ length: vocabSize }, (_, id) => id).filter(
    (id) => id !== endOfText,
  );
  const width = 2 * L + 1;
  const repeated = new Int32Array(sequences * width);
  const unrelated = new Int32Array(sequences * width);
  for (let s = 0; s < sequences; s++) {
    const drawn = drawDistinct(pool, 2 * L, rng);
    const first = drawn.subarray(0, L);
    repeated.set([endOfText, ...first, ...first], s * width);
    unrelated.set([endOfText, ...drawn], s * width);
  }
  return { repeated, unrelated };
}

/** Mean of pattern[b, h, i, i − back] over b and i ≥ back, for each head. */
export function diagonalMeans(
  pattern: ArrayLike<number>, // [batch, heads, width, width]
  [batch, heads, width]: readonly [number, number, number],
  back: number,
): number[] {
  return Array.from({ length: heads }, (_, head) => {
    let sum = 0;
    for (let b = 0; b < batch; b++) {
      const start = (b * heads + head) * width * width;
      for (let i = back; i < width; i++) sum += pattern[start + i * width + i - back];
    }
    return sum / (batch * (width - back));
  });
}

function scorePatterns(
  model: Model,
  ids: Int32Array,
  L: number,
  sequences: number,
): Record<HeadScoreKind, number[][]> {
  const shape = [sequences, modelSizes(model.config).nHead, 2 * L + 1] as const;
  const scores: Record<HeadScoreKind, number[][]> = {
    induction: [],
    previous_token: [],
    duplicate_token: [],
  };
  for (const pattern of attentionPatterns(model, ids, sequences)) {
    const values = pattern.dataSync();
    pattern.dispose();
    scores.induction.push(diagonalMeans(values, shape, L - 1));
    scores.previous_token.push(diagonalMeans(values, shape, 1));
    scores.duplicate_token.push(diagonalMeans(values, shape, L));
  }
  return scores;
}
