// A block's branches: plain f64 loops with their finite differences, the composite, and what passes beside them.
import { beforeAll, describe, expect, test } from "vitest";
import {
  type AttentionShape,
  attentionBranch,
  attentionBranchComposite,
  type BranchWeights,
  mlpBranch,
  mlpBranchComposite,
  tf,
  useBackend,
  valueAndGrads,
} from "../../../src/engine/index.ts";
import { affineF64, attentionF64, geluNew, layerNormF64 } from "../../support/gpt2-f64.ts";
import {
  checkedBackends,
  expectReference,
  expectSame,
  type Op,
  random,
} from "../../support/operations.ts";

const eps = 1e-2;

/** A branch over the tensors that it is made of. */
function asOp(branch: (x: tf.Tensor2D, weights: BranchWeights) => tf.Tensor2D): Op {
  return (x, gain, shift, w, b, v, c) =>
    branch(x as tf.Tensor2D, {
      norm: { gain: gain as tf.Tensor1D, bias: shift as tf.Tensor1D, eps },
      into: { weight: w as tf.Tensor2D, bias: b as tf.Tensor1D },
      back: { weight: v as tf.Tensor2D, bias: c as tf.Tensor1D },
    });
}

/** x [n, d] and the weights of a branch that has `width` numbers before its middle and `inner` after it. */
const inputs = (n: number, d: number, width: number, inner: number): tf.Tensor[] =>
  [[n, d], [d], [d], [d, width], [width], [inner, d], [d]].map((shape) => random(...shape));

/** The branch in plain f64 loops. */
function reference(middle: (entering: Float64Array) => Float64Array) {
  return (...[x, gain, shift, w, b, v, c]: Float64Array[]): Float64Array => {
    const left = middle(affineF64(layerNormF64(x, gain, shift, eps), w, b, gain.length));
    const added = affineF64(left, v, c, v.length / c.length);
    return x.map((value, i) => value + added[i]);
  };
}

function attentionMiddle({ batch, context, heads, headDim }: AttentionShape) {
  const wide = heads * headDim;
  return (entering: Float64Array): Float64Array => {
    const one = (b: number): number[] => {
      const [q, k, v] = [0, 1, 2].map((part) =>
        Float64Array.from({ length: context * wide }, (_, i) => {
          const row = b * context + Math.floor(i / wide);
          return entering[row * 3 * wide + part * wide + (i % wide)];
        }),
      );
      return [...attentionF64(q, k, v, context, heads).z];
    };
    return Float64Array.from(Array.from({ length: batch }, (_, b) => one(b)).flat());
  };
}

const mlp = asOp(mlpBranch);
const mlpSpecified = asOp(mlpBranchComposite);

describe.each(checkedBackends)("on %s", (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  test.each([
    [1, 1, 1],
    [5, 6, 7],
  ])("the MLP's branch of [%i, %i] over %i neurons is x + MLP(norm x)", async (n, d, m) => {
    const given = inputs(n, d, m, m);
    await expectReference(
      mlp,
      reference((entering) => entering.map(geluNew)),
      given,
    );
    await expectSame(mlp, mlpSpecified, given);
    expect(await mlp(...given).data()).toEqual(await mlpSpecified(...given).data());
  });

  test.each([
    [{ batch: 1, context: 1, heads: 1, headDim: 1 }, 2],
    [{ batch: 2, context: 5, heads: 2, headDim: 3 }, 5],
  ])("attention's branch of %j over a stream of %i is x + attention(norm x)", async (shape, d) => {
    const wide = shape.heads * shape.headDim;
    const given = inputs(shape.batch * shape.context, d, 3 * wide, wide);
    const branch = asOp((x, weights) => attentionBranch(x, weights, shape));
    const specified = asOp((x, weights) => attentionBranchComposite(x, weights, shape));
    await expectReference(branch, reference(attentionMiddle(shape)), given);
    await expectSame(branch, specified, given);
    expect(await branch(...given).data()).toEqual(await specified(...given).data());
  });

  test("a stream through three branches, read beside one of them, has the composite's gradients", async () => {
    const [n, d, m] = [37, 19, 23];
    const [x, ...weights] = inputs(n, d, m, m);
    const lossOf = (branch: Op) => (): tf.Scalar => {
      const first = branch(x, ...weights);
      const second = tf.add(branch(first, ...weights), tf.square(first));
      return tf.mean(tf.mul(branch(second, ...weights), tf.add(second, x))) as tf.Scalar;
    };
    const before = tf.memory().numTensors;
    const [got, want] = [mlp, mlpSpecified].map((branch) =>
      valueAndGrads(lossOf(branch), [x, ...weights]),
    );
    expect(tf.memory().numTensors).toBe(before + 2 * 8);
    expect(await got.value.data()).toEqual(await want.value.data());
    for (let i = 0; i < 7; i++) {
      expect(await got.grads[i].data()).toBeAllclose(await want.grads[i].data(), {
        rtol: 1e-4,
        atol: 1e-4,
      });
    }
  });
});
