/** One product of the encoder's size on the active backend. */
import { createRng, linear, tf } from "../../src/engine/index.ts";
import type { PrepareTask } from "./task.ts";

/** Sizes rows, inner, columns. */
export const prepareGemm: PrepareTask = async ({ sizes }) => {
  const { rows, inner, columns } = sizes;
  const rng = createRng("gemm");
  const random = (n: number): Float32Array => Float32Array.from({ length: n }, () => rng.normal());
  const a = tf.tensor2d(random(rows * inner), [rows, inner]);
  const b = tf.tensor2d(random(inner * columns), [inner, columns]);
  const bias = tf.zeros<tf.Rank.R1>([columns]);
  return async (count) => {
    for (let i = 0; i < count; i++) {
      const product = linear(a, b, bias);
      await tf.slice(product, [0, 0], [1, 1]).data(); // a backend that only queues has to be waited for
      product.dispose();
    }
    return undefined;
  };
};
