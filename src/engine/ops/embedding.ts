/** Table lookup with a gradient: `gather` has none on the wasm backend (UnsortedSegmentSum is missing there). */
import { gradientOp } from "../gradient-op.ts";
import { hostKernels } from "../host/kernels.ts";
import { hasHostMemory, hostOp } from "../host-memory.ts";
import { tf } from "../tf.ts";

/** Rows `ids` [n] of `table` [V, d] → [n, d]. Differentiable in the table. Errors: an id outside the table. */
export function embedding(table: tf.Tensor2D, ids: Int32Array): tf.Tensor2D {
  const [vocab, d] = table.shape;
  for (const id of ids) {
    if (id < 0 || id >= vocab) throw new Error(`internal: token id ${id} outside 0…${vocab - 1}`);
  }
  if (!hasHostMemory()) return embeddingComposite(table, ids);
  return tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    (args[1] as tf.GradSaveFunc)([]);
    const [rows] = hostOp([[ids.length, d]], [args[0] as tf.Tensor], ([out], [from]) =>
      hostKernels().embeddingForward(from, ids, d, out),
    );
    return {
      value: rows,
      // where the table unembeds too, a second array as large as the table is spared
      gradFunc: (dy: tf.Tensor) =>
        gradientOp(table, [[vocab, d]], [dy], ([sum], [from], adds) =>
          hostKernels().embeddingBackward(from, ids, d, sum, adds),
        ),
    };
  })(table) as tf.Tensor2D;
}

/** `embedding` out of the engine's own operations: the gradient is a product with the one-hot matrix, transposed. */
export function embeddingComposite(table: tf.Tensor2D, ids: Int32Array): tf.Tensor2D {
  const vocab = table.shape[0];
  return tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    (args[1] as tf.GradSaveFunc)([]);
    return {
      value: tf.gather(args[0] as tf.Tensor2D, tf.tensor1d(ids, "int32")),
      gradFunc: (dy: tf.Tensor) => [
        tf.matMul(
          tf.transpose(tf.oneHot(tf.tensor1d(ids, "int32"), vocab)) as tf.Tensor2D,
          dy as tf.Tensor2D,
        ),
      ],
    };
  })(table) as tf.Tensor2D;
}
