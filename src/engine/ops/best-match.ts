/**
 * The best matches of each row of one matrix among the rows of another: the pairs of latents of two
 * dictionaries that point the same way. A block of scores at a time is computed and forgotten, never a
 * matrix of all pairs. On `native` one kernel computes and selects; elsewhere blocks are products of
 * the engine (the composite form, which works on every backend) and plain loops select.
 */
import { UsageError } from "../../io/errors.ts";
import { type BestMatches, type MatchMeasure, offerScores, unitRows } from "../host/best-match.ts";
import { hostKernels } from "../host/kernels.ts";
import { tf } from "../tf.ts";

/** Options of {@link bestMatches}. */
export interface BestMatchOptions {
  /** How many matches to keep for each row: 1 by default. */
  readonly top?: number;
  /** `cosine` by default. */
  readonly measure?: MatchMeasure;
}

const measures: readonly MatchMeasure[] = ["dot", "cosine", "correlation"];

/**
 * For each row of `a` [n, width] the `top` rows of `b` [m, width] of highest measure. Of equal ones the
 * lower index wins. A pair whose measure is not a number is no match: a row with NaN in it, a row of
 * zeros under `cosine`, a constant row under `correlation`. Errors: UsageError for lengths that are
 * not whole rows, `top` below 1, an unknown measure.
 */
export async function bestMatches(
  a: Float32Array,
  b: Float32Array,
  width: number,
  options: BestMatchOptions = {},
): Promise<BestMatches> {
  const { top = 1, measure = "cosine" } = options;
  requireRows(a, b, width, top, measure);
  const kernel = hostKernels().bestMatches;
  return kernel
    ? kernel(a, b, width, top, measure)
    : bestMatchesComposite(a, b, width, top, measure);
}

// 2 MiB of scores a block: few enough to stay in a cache, enough for a product to be worth starting
const blockA = 256;
const blockB = 2048;

/** {@link bestMatches} by the engine's own products. */
export async function bestMatchesComposite(
  a: Float32Array,
  b: Float32Array,
  width: number,
  top: number,
  measure: MatchMeasure,
): Promise<BestMatches> {
  const [left, right] = [unitRows(a, width, measure), unitRows(b, width, measure)];
  const [n, m] = [a.length / width, b.length / width];
  const index = new Int32Array(n * top).fill(-1);
  const value = new Float32Array(n * top).fill(Number.NaN);
  for (let j = 0; j < m; j += blockB) {
    const count = Math.min(blockB, m - j);
    const others = tf.tidy(() =>
      tf.transpose(tf.tensor2d(right.slice(j * width, (j + count) * width), [count, width])),
    );
    for (let i = 0; i < n; i += blockA) {
      const rows = Math.min(blockA, n - i);
      const product = tf.tidy(() =>
        tf.matMul(tf.tensor2d(left.slice(i * width, (i + rows) * width), [rows, width]), others),
      );
      const scores = await product.data(); // [rows, count]
      product.dispose();
      for (let r = 0; r < rows; r++) {
        offerScores(scores as Float32Array, r * count, count, j, index, value, (i + r) * top, top);
      }
    }
    others.dispose();
  }
  return { index, value };
}

function requireRows(
  a: Float32Array,
  b: Float32Array,
  width: number,
  top: number,
  measure: MatchMeasure,
): void {
  const fail = (where: string, expected: string, got: string): never => {
    throw new UsageError({ code: "match-invalid", where: `bestMatches: ${where}`, expected, got });
  };
  if (!Number.isInteger(width) || width < 1) fail("width", "at least 1", String(width));
  for (const [name, { length }] of Object.entries({ a, b })) {
    if (length % width !== 0) fail(name, `rows of ${width} numbers`, `${length} numbers`);
  }
  if (!Number.isInteger(top) || top < 1) fail("top", "a whole number of at least 1", String(top));
  if (!measures.includes(measure)) fail("measure", measures.join(", "), String(measure));
}
