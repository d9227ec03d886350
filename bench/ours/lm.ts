/** Language-model training steps through the public trainer, on random tokens. */
import { join } from "node:path";
import { createRng } from "../../src/engine/index.ts";
import {
  createLmTrainer,
  gpt2Config,
  initGpt2,
  lmTrainDefaults,
  saveModel,
} from "../../src/models/index.ts";
import { writeRaw } from "./raw.ts";
import type { PrepareTask } from "./task.ts";

const batches = 4;

/** Sizes layers, heads, width, vocab, context, batch. The losses are the steps'; the checkpoint is the peers' start. */
export const prepareLm: PrepareTask = async ({ sizes, folder }) => {
  const { layers, heads, width, vocab, context, batch } = sizes;
  const config = gpt2Config({
    vocab_size: vocab,
    n_positions: context,
    n_embd: width,
    n_layer: layers,
    n_head: heads,
  });
  const model = initGpt2(config, createRng("model"));
  saveModel(join(folder, "model"), model);
  const rng = createRng("ids");
  const size = batch * (context + 1);
  const ids = Int32Array.from({ length: batches * size }, () => rng.int(vocab));
  writeRaw(folder, "ids", ids);
  const trainer = createLmTrainer(model, {
    ...lmTrainDefaults,
    steps: 1_000_000,
    lr: 1e-3,
    warmup: 0,
    minLrRatio: 1,
  });
  return async (count) => {
    const losses: number[] = [];
    for (let i = 0; i < count; i++) {
      const from = (trainer.taken % batches) * size;
      const step = await trainer.step({
        ids: ids.subarray(from, from + size),
        context: context + 1,
      });
      losses.push(step.loss);
    }
    return { losses };
  };
};
