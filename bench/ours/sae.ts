/** SAE training steps through the public trainer: one SAE, a constant rate, no latent old enough to count as dead. */
import { createSaeTrainer, rowActivations, saeConfig } from "../../sae/index.ts";
import { createRng } from "../../src/engine/index.ts";
import { syntheticRows } from "./data.ts";
import { writeRaw } from "./raw.ts";
import type { PrepareTask } from "./task.ts";

/** Batches that the steps go through by turns; the peers read the same file. */
const batches = 4;

/** Sizes d_in, d_sae, k, batch, and batch_wide 1 for BatchTopK. The losses are the steps'. */
export const prepareSae: PrepareTask = async ({ sizes, folder }) => {
  const { d_in, d_sae, k, batch, batch_wide } = sizes;
  const rows = syntheticRows(batches * batch, d_in, batch, "rows");
  const config = saeConfig({
    architecture: batch_wide === 1 ? "batchtopk" : "topk",
    d_in,
    d_sae,
    k,
    hook_name: "blocks.0.hook_resid_post",
  });
  const job = { name: "bench", config, init: null, rng: createRng("sae"), pinNorms: false };
  const trainer = await createSaeTrainer(rowActivations(rows, d_in, batch), [job], {
    // the peers' constants; dead latents as dictionary_learning and sparsify count them
    steps: 1_000_000,
    lr: 1e-3,
    warmup: 0,
    decay: 0,
    beta1: 0.9,
    beta2: 0.999,
    deadAfterTokens: 10_000_000,
  });
  const start = trainer.saes().get("bench");
  if (!start) throw new Error("internal: the trainer has no SAE of this name");
  writeRaw(folder, "rows", rows);
  for (const name of ["W_enc", "b_enc", "W_dec", "b_dec"] as const) {
    writeRaw(folder, name, start[name]);
  }
  return async (count) => {
    const losses: number[] = [];
    for (let i = 0; i < count; i++) losses.push((await trainer.step()).saes[0].loss);
    return { losses };
  };
};
