// Attention with grouped queries and rotary positions: plain f64 loops with their finite differences, and the composite.
import { beforeAll, describe, expect, test } from "vitest";
import {
  type AttentionShape,
  attentionComposite,
  attentionPattern,
  causalAttention,
  type Projections,
  rotary,
  tf,
  useBackend,
} from "../../../src/engine/index.ts";
import {
  checkedBackends,
  expectReference,
  expectSame,
  type Op,
  random,
} from "../../support/operations.ts";

/** Attention of one query head after another, written from the definition. */
function reference(
  shape: AttentionShape,
  q: Float64Array,
  k: Float64Array,
  v: Float64Array,
): Float64Array {
  const { batch, context, heads, headDim, kvHeads = heads } = shape;
  const frequencies = shape.rotary?.frequencies ?? [];
  const half = frequencies.length;
  const head = (x: Float64Array, b: number, t: number, h: number, count: number): Float64Array =>
    x.subarray(
      ((b * context + t) * count + h) * headDim,
      ((b * context + t) * count + h + 1) * headDim,
    );
  const turn = (x: Float64Array, t: number): Float64Array =>
    x.map((value, i) => {
      if (i >= 2 * half) return value;
      const angle = t * frequencies[i % half];
      const other = i < half ? -x[i + half] : x[i - half];
      return value * Math.cos(angle) + other * Math.sin(angle);
    });
  const z = new Float64Array(batch * context * heads * headDim);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const from = Math.floor((h * kvHeads) / heads);
      for (let t = 0; t < context; t++) {
        const query = turn(head(q, b, t, h, heads), t);
        const weights = Array.from({ length: t + 1 }, (_, s) => {
          const key = turn(head(k, b, s, from, kvHeads), s);
          return Math.exp(
            query.reduce((sum, value, i) => sum + value * key[i], 0) / Math.sqrt(headDim),
          );
        });
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const out = head(z, b, t, h, heads);
        for (let s = 0; s <= t; s++) {
          const value = head(v, b, s, from, kvHeads);
          for (let i = 0; i < headDim; i++) out[i] += (weights[s] / total) * value[i];
        }
      }
    }
  }
  return z;
}

const shapes: readonly (readonly [string, AttentionShape])[] = [
  ["one token of one head of one number", { batch: 1, context: 1, heads: 1, headDim: 1 }],
  ["plain heads", { batch: 2, context: 5, heads: 3, headDim: 3 }],
  ["grouped queries", { batch: 2, context: 4, heads: 4, headDim: 3, kvHeads: 2 }],
  ["one key head for all", { batch: 1, context: 3, heads: 3, headDim: 2, kvHeads: 1 }],
  ["rotary", { batch: 2, context: 5, heads: 2, headDim: 4, rotary: rotary(4, 100) }],
  ["partial rotary", { batch: 1, context: 6, heads: 2, headDim: 5, rotary: rotary(2, 10) }],
  [
    "grouped queries with rotary",
    { batch: 2, context: 4, heads: 4, headDim: 6, kvHeads: 2, rotary: rotary(6) },
  ],
];

/** q, k and v of a shape. */
function three({ batch, context, heads, headDim, kvHeads = heads }: AttentionShape): tf.Tensor[] {
  return [heads, kvHeads, kvHeads].map((count) => random(batch * context, count * headDim));
}

const apart =
  (shape: AttentionShape): Op =>
  (q, k, v) =>
    causalAttention([q, k, v] as unknown as Projections, shape);
const joint =
  (shape: AttentionShape): Op =>
  (q, k, v) =>
    causalAttention(tf.concat([q, k, v], 1) as tf.Tensor2D, shape);

test("two numbers turn by a quarter, and what lies past them stays", async () => {
  await useBackend("wasm");
  const shape = {
    batch: 1,
    context: 2,
    heads: 1,
    headDim: 3,
    rotary: { frequencies: [Math.PI / 2] },
  };
  const q = tf.tensor2d([
    [0, 0, 0],
    [1, 0, 1],
  ]);
  const k = tf.tensor2d([
    [0, 1, 0],
    [0, 2, 2],
  ]);
  // the second query turns to (0, 1, 1), the second key to (−2, 0, 2), the first key stays: scores 1 and 2, over √3
  const pattern = await attentionPattern([q, k, k], shape).data();
  const share = 1 / (1 + Math.exp(1 / Math.sqrt(3)));
  expect(pattern).toBeAllclose([1, 0, share, 1 - share]);
});

describe.each(checkedBackends)("on %s", (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  test.each(shapes)("%s: values and gradients are those of plain f64 loops", async (_, shape) => {
    for (const op of [apart(shape), joint(shape)]) {
      await expectReference(op, (q, k, v) => reference(shape, q, k, v), three(shape));
    }
  });

  test.each([
    ["plain", { batch: 2, context: 67, heads: 2, headDim: 8 }],
    [
      "grouped and rotary",
      { batch: 1, context: 131, heads: 4, headDim: 10, kvHeads: 2, rotary: rotary(8) },
    ],
  ] as const)("over more than one block of rows it equals its composite: %s", async (_, shape) => {
    const composite: Op = (q, k, v) =>
      attentionComposite([q, k, v] as unknown as Projections, shape);
    await expectSame(apart(shape), composite, three(shape), 1e-4);
    await expectSame(joint(shape), composite, three(shape), 1e-4);
  });

  test("a token that isn't a number shows in every row that sees it", async () => {
    const shape = { batch: 1, context: 3, heads: 1, headDim: 2 };
    const k = tf.tensor2d([1, 2, Number.NaN, 1, 1, 1], [3, 2]);
    const z = causalAttention([random(3, 2) as tf.Tensor2D, k, tf.ones([3, 2])], shape);
    expect([...(await z.data()).slice(2)].every(Number.isNaN)).toBe(true);
  });
});
