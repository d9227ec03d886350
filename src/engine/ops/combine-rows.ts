/**
 * The outputs of experts put together: each expert worked on some rows, and a row's result is the sum of its experts'
 * outputs, each times the gate that the row gives to that expert. The composite form, in which every expert worked on
 * every row, is the specification.
 */
import { hasHostMemory, hostOp } from "../host-memory.ts";
import { tf } from "../tf.ts";

/** The rows that an expert worked on, ascending or not; null = all of them, in their order. */
export type ExpertRows = Int32Array | null;

/**
 * out [n, d]: row t is Σ over experts e and i with rows[e][i] = t of gates[t, e] · parts[e][i]. gates [n, N], parts[e]
 * [rows of e, d]. Differentiable in both. Without host memory every entry of `rows` must be null.
 */
export function combineRows(
  parts: readonly tf.Tensor2D[],
  rows: readonly ExpertRows[],
  gates: tf.Tensor2D,
): tf.Tensor2D {
  const isWhole = rows.every((row) => row === null);
  if (isWhole && !hasHostMemory()) return combineRowsComposite(parts, gates);
  const [n, width] = gates.shape;
  const d = parts[0].shape[1];
  return tf.customGrad((...args: (tf.Tensor | tf.GradSaveFunc)[]) => {
    const tensors = args.slice(0, -1) as tf.Tensor[];
    const save = args[args.length - 1] as tf.GradSaveFunc;
    save(tensors);
    const [value] = hostOp([[n, d]], tensors, ([out], arrays) => {
      out.fill(0);
      const weights = arrays[parts.length];
      for (let e = 0; e < parts.length; e++) {
        const part = arrays[e];
        for (let i = 0; i * d < part.length; i++) {
          const row = rows[e]?.[i] ?? i;
          const gate = weights[row * width + e];
          for (let j = 0; j < d; j++) out[row * d + j] += gate * part[i * d + j];
        }
      }
    });
    return {
      value,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
        hostOp(
          tensors.map(({ shape }) => shape),
          [dy, ...saved],
          (out, [slope, ...arrays]) => {
            const [weights, dWeights] = [arrays[parts.length], out[parts.length]];
            dWeights.fill(0);
            for (let e = 0; e < parts.length; e++) {
              const [part, dPart] = [arrays[e], out[e]];
              for (let i = 0; i * d < part.length; i++) {
                const row = rows[e]?.[i] ?? i;
                const gate = weights[row * width + e];
                let along = 0;
                for (let j = 0; j < d; j++) {
                  along += slope[row * d + j] * part[i * d + j];
                  dPart[i * d + j] = gate * slope[row * d + j];
                }
                dWeights[row * width + e] += along;
              }
            }
          },
        ),
    };
  })(...parts, gates) as tf.Tensor2D;
}

/** `combineRows` of experts that worked on every row, out of the engine's own operations. */
export function combineRowsComposite(
  parts: readonly tf.Tensor2D[],
  gates: tf.Tensor2D,
): tf.Tensor2D {
  const weighted = parts.map((part, e) => tf.mul(part, tf.slice(gates, [0, e], [-1, 1])));
  return weighted.reduce((sum, part) => tf.add(sum, part)) as tf.Tensor2D;
}
