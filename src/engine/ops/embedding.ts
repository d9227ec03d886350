/** Table lookup with a gradient: `gather` has none on the wasm backend (UnsortedSegmentSum is missing there). */
import { addRows } from "../host/embedding.ts";
import { hostKernels } from "../host/kernels.ts";
import { hasHostMemory, hostOp, hostView } from "../host-memory.ts";
import { tf } from "../tf.ts";
import { takeGradient } from "../value-and-grads.ts";

/** Rows `ids` [n] of `table` [V, d] → [n, d]. Differentiable in the table. Errors: an id outside the table. */
export function embedding(table: tf.Tensor2D, ids: Int32Array): tf.Tensor2D {
  const [vocab, d] = table.shape;
  for (const id of ids) {
    if (id < 0 || id >= vocab) throw new Error(`internal: token id ${id} outside 0…${vocab - 1}`);
  }
  if (!hasHostMemory()) return embeddingComposite(table, ids);
  return tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    (args[1] as tf.GradSaveFunc)([]);
    const [rows] = hostOp([[ids.length, d]], [args[0] as tf.Tensor], ([out], [from]) => {
      for (let i = 0; i < ids.length; i++) {
        out.set(from.subarray(ids[i] * d, (ids[i] + 1) * d), i * d);
      }
    });
    return {
      value: rows,
      gradFunc: (dy: tf.Tensor) =>
        added(table, dy, ids) ??
        hostOp([[vocab, d]], [dy], ([out], [from]) =>
          hostKernels().embeddingBackward(from, ids, d, out),
        ),
    };
  })(table) as tf.Tensor2D;
}

/**
 * Where there is a gradient of the table already, as where the table unembeds too: that one with the lookup's few rows
 * added in place, instead of a second array as large as the table.
 */
function added(table: tf.Tensor2D, dy: tf.Tensor, ids: Int32Array): tf.Tensor | undefined {
  const known = hostKernels().updatesInPlace ? takeGradient(table) : undefined;
  if (!known) return undefined;
  const [slope, sum] = [dy, known].map(hostView);
  if (!slope || !sum) throw new Error("internal: expected gradients in host memory");
  addRows(slope, ids, table.shape[1], sum);
  return known;
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
