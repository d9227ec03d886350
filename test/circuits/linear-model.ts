// A model small enough to work out by hand: one layer, two heads of width 1, all of it linear.
import type { CircuitModel, Dictionary } from "../../circuits/circuit-model.ts";
import { headHook, mlpHook } from "../../circuits/circuit-model.ts";
import { type PromptSet, packPrompts } from "../../circuits/tasks/prompts.ts";
import { tf } from "../../src/engine/index.ts";
import type { Hook } from "../../src/models/index.ts";

export const residHook = "blocks.0.hook_resid_post";

/** e = table[id]; z = 2 e; mlp = 3 z; x = e + z + mlp; metric = x at the last position · (1, 10). */
export const linearModel: CircuitModel = {
  nLayer: 1,
  nHead: 2,
  metric(ids, { n, length }, hooks) {
    const at = (name: string, value: tf.Tensor): tf.Tensor =>
      (hooks as Record<string, Hook>)[name]?.(value, name) ?? value;
    const table = [
      [0, 0],
      [1, 2],
      [3, 5],
      [-1, 4],
    ];
    const e = at("hook_embed", tf.tensor2d(Array.from(ids, (id) => table[id])));
    const z = at(headHook(0), tf.mul(e, 2));
    const mlp = at(mlpHook(0), tf.mul(z, 3));
    const x = at(residHook, tf.add(e, tf.add(z, mlp)));
    const last = tf.slice(tf.reshape(x, [n, length, 2]), [0, length - 1, 0], [n, 1, 2]);
    return tf.sum(tf.mul(tf.reshape(last, [n, 2]), tf.tensor2d([[1, 10]])), 1);
  },
};

/** Two latents: f0 = ReLU(x0 − 1) on direction (1, 0), f1 = ReLU(x1) on direction (.5, .5). */
export const dictionary: Dictionary = {
  hook: residHook,
  layer: 0,
  dIn: 2,
  dSae: 2,
  W_dec: Float32Array.of(1, 0, 0.5, 0.5),
  encode(x) {
    const values = x.dataSync();
    const [rowStart, latent, value] = [[0], [] as number[], [] as number[]];
    for (let row = 0; row < x.shape[0]; row++) {
      const f = [values[row * 2] - 1, values[row * 2 + 1]];
      for (const [i, activation] of f.entries()) {
        if (activation <= 0) continue;
        latent.push(i);
        value.push(activation);
      }
      rowStart.push(latent.length);
    }
    return {
      nTokens: x.shape[0],
      dSae: 2,
      rowStart: Int32Array.from(rowStart),
      latent: Int32Array.from(latent),
      value: Float32Array.from(value),
    };
  },
};

/** Two prompts of two tokens: (0 1 | 0 2) and (1 3 | 1 1); clean | corrupted. */
export const prompts: PromptSet = packPrompts("bigram", [
  { clean: [0, 1], corrupted: [0, 2], answer: 0, wrong: 1 },
  { clean: [1, 3], corrupted: [1, 1], answer: 0, wrong: 1 },
]);
