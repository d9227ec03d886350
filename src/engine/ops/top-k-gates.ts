/**
 * Top-k routing of tokens to experts (Mixtral; Jiang et al. 2024): the k largest probabilities of each row, divided by
 * their sum. The same numbers as a softmax over the k largest logits. Which entries are chosen is a constant to the
 * gradient. Of equal ones the lower index is chosen.
 */
import { hasHostMemory, hostOp } from "../host-memory.ts";
import { tf } from "../tf.ts";

/** p [n, N] → gates [n, N]: p over the row's chosen sum for the `k` largest entries, 0 elsewhere. 1 ≤ k ≤ N. Differentiable. */
export function topKGates(p: tf.Tensor2D, k: number): tf.Tensor2D {
  return tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [from] = args as tf.Tensor2D[];
    const save = args[1] as tf.GradSaveFunc;
    const chosen = topKMask(from, k);
    const kept = tf.mul(from, chosen);
    const total = tf.sum(kept, 1, true); // [n, 1]
    const gates = tf.div(kept, total);
    save([chosen, total, gates]);
    return {
      value: gates,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [mask, sum, g] = saved;
        const mean = tf.sum(tf.mul(dy, g), 1, true);
        return tf.div(tf.mul(tf.sub(dy, mean), mask), sum);
      },
    };
  })(p) as tf.Tensor2D;
}

/** 1 at the `k` largest entries of each row of p [n, N], 0 elsewhere. Its gradient is zero. */
export function topKMask(p: tf.Tensor2D, k: number): tf.Tensor2D {
  const [, width] = p.shape;
  if (!(Number.isInteger(k) && k >= 1 && k <= width)) {
    throw new Error(`internal: ${k} of ${width} experts can't be chosen`);
  }
  return tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const [from] = args as tf.Tensor2D[];
    (args[1] as tf.GradSaveFunc)([]);
    return {
      value: hasHostMemory() ? largest(from, k) : topKMaskComposite(from, k),
      gradFunc: (dy: tf.Tensor) => tf.zerosLike(dy),
    };
  })(p) as tf.Tensor2D;
}

function largest(p: tf.Tensor2D, k: number): tf.Tensor2D {
  const [, width] = p.shape;
  const [mask] = hostOp([p.shape], [p], ([out], [values]) => {
    out.fill(0);
    for (let row = 0; row < values.length; row += width) {
      for (let chosen = 0; chosen < k; chosen++) {
        let best = -1;
        for (let i = row; i < row + width; i++) {
          if (out[i] === 0 && (best < 0 || values[i] > values[best])) best = i;
        }
        out[best] = 1;
      }
    }
  });
  return mask as tf.Tensor2D;
}

/** `topKMask` out of the engine's own operations. */
export function topKMaskComposite(p: tf.Tensor2D, k: number): tf.Tensor2D {
  const { indices } = tf.topk(p, k);
  // one place at a time: webgpu can't sum over the middle axis of whole numbers
  const chosen = tf.unstack(indices, 1).map((each) => {
    return tf.cast(tf.oneHot(each as tf.Tensor1D, p.shape[1]), "float32");
  });
  return tf.addN(chosen) as tf.Tensor2D;
}
