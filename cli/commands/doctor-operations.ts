/**
 * @file The differentiable operations that `doctor --check` looks at: each with the plain f64 loops that
 * say what it is, at odd sizes. Values are held against the loops, gradients against their finite
 * differences.
 */
import {
  type AttentionShape,
  causalAttention,
  combineRows,
  crossEntropy,
  embedding,
  gelu,
  geluErf,
  layerNorm,
  linear,
  type Projections,
  rmsNorm,
  rotary,
  swiglu,
  tf,
  topKGates,
} from "../../src/engine/index.ts";

/** One operation of tensors of `shapes`, and the same as plain loops. */
export interface CheckedOperation {
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  op(...inputs: tf.Tensor[]): tf.Tensor;
  reference(...inputs: Float64Array[]): Float64Array;
}

const eps = 1e-2; // large enough for a norm of one number to have a slope
const joint: AttentionShape = { batch: 3, context: 7, heads: 3, headDim: 4 };
const grouped: AttentionShape = {
  ...{ batch: 2, context: 5, heads: 4, headDim: 6, kvHeads: 2 },
  rotary: rotary(4, 100),
};
const ids = Int32Array.from([3, 0, 3, 10, 7, 3]);

/** Every differentiable operation of the engine that has a form of its own. */
export const checkedOperations: readonly CheckedOperation[] = [
  {
    name: "matrix product",
    shapes: [[17, 19], [19, 23], [23]],
    op: (x, w, b) => linear(x as tf.Tensor2D, w as tf.Tensor2D, b as tf.Tensor1D),
    reference: (x, w, b) => product(x, w, 19, (k, j) => k * 23 + j, b),
  },
  {
    name: "product with a transpose",
    shapes: [[17, 19], [23, 19], [23]],
    op: (x, w, b) =>
      linear(x as tf.Tensor2D, w as tf.Tensor2D, b as tf.Tensor1D, { transposed: true }),
    reference: (x, w, b) => product(x, w, 19, (k, j) => j * 19 + k, b),
  },
  {
    name: "layer norm",
    shapes: [[5, 13], [13], [13]],
    op: (x, g, b) => layerNorm(x as tf.Tensor2D, g as tf.Tensor1D, b as tf.Tensor1D, eps),
    reference: (x, g, b) =>
      rowwise(x, 13, (row) => {
        const centred = row.map((value) => value - mean(row));
        const deviation = Math.sqrt(mean(centred.map((value) => value * value)) + eps);
        return centred.map((value, j) => (value / deviation) * g[j] + b[j]);
      }),
  },
  {
    name: "RMS norm",
    shapes: [[5, 13], [13]],
    op: (x, g) => rmsNorm(x as tf.Tensor2D, g as tf.Tensor1D, eps),
    reference: (x, g) =>
      rowwise(x, 13, (row) => {
        const size = Math.sqrt(mean(row.map((value) => value * value)) + eps);
        return row.map((value, j) => (value / size) * g[j]);
      }),
  },
  {
    name: "GELU",
    shapes: [[67]],
    op: (x) => gelu(x),
    reference: (x) =>
      x.map((v) => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)))),
  },
  {
    name: "exact GELU",
    shapes: [[67]],
    op: (x) => geluErf(x),
    reference: (x) => x.map((v) => 0.5 * v * (1 + erf(v / Math.SQRT2))),
  },
  {
    name: "SwiGLU",
    shapes: [[67], [67]],
    op: (gate, up) => swiglu(gate, up),
    reference: (gate, up) => gate.map((g, i) => (g / (1 + Math.exp(-g))) * up[i]),
  },
  {
    name: "attention",
    shapes: [[21, 36]],
    op: (qkv) => causalAttention(qkv as tf.Tensor2D, joint),
    reference: (qkv) => {
      const [q, k, v] = [0, 12, 24].map((from) =>
        rowwise(qkv, 36, (row) => row.subarray(from, from + 12)),
      );
      return attention(joint, q, k, v);
    },
  },
  {
    name: "attention, grouped and rotary",
    shapes: [
      [10, 24],
      [10, 12],
      [10, 12],
    ],
    op: (...qkv) => causalAttention(qkv as unknown as Projections, grouped),
    reference: (q, k, v) => attention(grouped, q, k, v),
  },
  {
    name: "choice of experts",
    shapes: [
      [7, 3],
      [7, 5],
      [7, 5],
      [7, 5],
    ],
    op: (logits, ...parts) =>
      combineRows(
        parts as tf.Tensor2D[],
        [null, null, null],
        topKGates(tf.softmax(logits) as tf.Tensor2D, 2),
      ),
    reference: (logits, ...parts) =>
      Float64Array.from({ length: 7 * 5 }, (_, i) => {
        const row = logits.subarray(3 * Math.floor(i / 5), 3 * Math.floor(i / 5) + 3);
        const chosen = [0, 1, 2].sort((a, b) => row[b] - row[a]).slice(0, 2);
        const shares = chosen.map((e) => Math.exp(row[e] - row[chosen[0]]));
        return chosen.reduce((sum, e, k) => sum + (shares[k] / (1 + shares[1])) * parts[e][i], 0);
      }),
  },
  {
    name: "embedding",
    shapes: [[11, 5]],
    op: (table) => embedding(table as tf.Tensor2D, ids),
    reference: (table) =>
      Float64Array.from(
        { length: ids.length * 5 },
        (_, i) => table[ids[Math.floor(i / 5)] * 5 + (i % 5)],
      ),
  },
  {
    name: "cross-entropy",
    shapes: [
      [6, 5],
      [11, 5],
    ],
    op: (hidden, unembed) => crossEntropy(hidden as tf.Tensor2D, unembed as tf.Tensor2D, ids),
    reference: (hidden, unembed) => Float64Array.of(mean(tokenLosses(hidden, unembed, 5, ids))),
  },
];

/** −log softmax(hidden · unembedᵀ)[target] for each row of `d` numbers, in f64. */
export function tokenLosses(
  hidden: Float64Array, // [n, d]
  unembed: Float64Array, // [V, d]
  d: number,
  targets: Int32Array, // [n]
): Float64Array {
  const vocab = unembed.length / d;
  return Float64Array.from(targets, (target, i) => {
    const logits = product(
      hidden.subarray(i * d, (i + 1) * d),
      unembed,
      d,
      (k, j) => j * d + k,
      new Float64Array(vocab),
    );
    return Math.log(sum(logits.map(Math.exp))) - logits[target];
  });
}

/** x [n, d] · w + b [m], w's number at (k, j) being where `at` says. */
function product(
  x: Float64Array,
  w: Float64Array,
  d: number,
  at: (k: number, j: number) => number,
  b: Float64Array,
): Float64Array {
  return rowwise(x, d, (row) =>
    b.map((bias, j) => {
      let total = bias;
      for (let k = 0; k < d; k++) total += row[k] * w[at(k, j)];
      return total;
    }),
  );
}

// one query head after another, from the definition
function attention(
  { batch, context, heads, headDim, kvHeads = heads, rotary: turns }: AttentionShape,
  q: Float64Array, // [B·T, H·dh]
  k: Float64Array, // [B·T, KV·dh]
  v: Float64Array,
): Float64Array {
  const frequencies = turns?.frequencies ?? [];
  const half = frequencies.length;
  const head = (x: Float64Array, token: number, h: number, count: number): Float64Array =>
    x.subarray((token * count + h) * headDim, (token * count + h + 1) * headDim);
  const turn = (x: Float64Array, t: number): Float64Array =>
    x.map((value, i) => {
      if (i >= 2 * half) return value;
      const angle = t * frequencies[i % half];
      return value * Math.cos(angle) + (i < half ? -x[i + half] : x[i - half]) * Math.sin(angle);
    });
  const z = new Float64Array(batch * context * heads * headDim);
  for (let token = 0; token < batch * context; token++) {
    const t = token % context;
    for (let h = 0; h < heads; h++) {
      const from = Math.floor((h * kvHeads) / heads);
      const query = turn(head(q, token, h, heads), t);
      const weights = Float64Array.from({ length: t + 1 }, (_, s) => {
        const key = turn(head(k, token - t + s, from, kvHeads), s);
        return Math.exp(sum(query.map((value, i) => value * key[i])) / Math.sqrt(headDim));
      });
      const total = sum(weights);
      const out = head(z, token, h, heads);
      weights.forEach((weight, s) => {
        const value = head(v, token - t + s, from, kvHeads);
        for (let i = 0; i < headDim; i++) out[i] += (weight / total) * value[i];
      });
    }
  }
  return z;
}

/** The function's Taylor series; as good as f64 for the few units that the checks draw. */
function erf(x: number): number {
  let term = x;
  let total = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(total); n++) {
    term *= (-x * x) / n;
    total += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
}

function rowwise(
  x: Float64Array,
  width: number,
  body: (row: Float64Array) => Float64Array,
): Float64Array {
  const rows = Array.from({ length: x.length / width }, (_, i) =>
    body(x.subarray(i * width, (i + 1) * width)),
  );
  const out = new Float64Array(rows.length * (rows[0]?.length ?? 0));
  for (const [i, row] of rows.entries()) out.set(row, i * row.length);
  return out;
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: Float64Array): number {
  return sum(values) / values.length;
}
