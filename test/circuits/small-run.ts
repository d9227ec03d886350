// A small language model trained for a second on text made of fixed pairs, and an SAE.
import type { TaskSource } from "../../circuits/index.ts";
import { type Sae, saeConfig } from "../../sae/index.ts";
import { createRng, type Rng } from "../../src/engine/index.ts";
import { createLmTrainer, gpt2Config, type HostModel, initGpt2 } from "../../src/models/index.ts";

const context = 24;
const pairs = 10;

/** Text of " a3 b3 f5 a7 b7 f0 …": each a is always followed by its b, a filler by anything. */
export function pairedSource(seed = "text"): TaskSource {
  const tokens = ["<|endoftext|>"];
  for (const letter of "abf") {
    for (let i = 0; i < pairs; i++) tokens.push(` ${letter}${i}`);
  }
  const rows = (rng: Rng, nSeq: number): TaskSource["train"] => {
    const ids = new Int32Array(nSeq * context);
    for (let s = 0; s < nSeq; s++) {
      for (let t = 1; t < context; t++) {
        const place = (t - 1) % 3;
        const at = s * context + t;
        ids[at] =
          place === 1 ? ids[at - 1] + pairs : 1 + (place === 2 ? 2 * pairs : 0) + rng.int(pairs);
      }
    }
    return { ids, nSeq, context };
  };
  const rng = createRng(seed);
  return { tokens, endOfText: 0, train: rows(rng, 300), heldOut: rows(rng, 60) };
}

/** 2 layers × 24, 3 heads, after 120 steps. */
export async function trainedModel(source: TaskSource): Promise<HostModel> {
  const sizes = { vocab_size: source.tokens.length, n_positions: 40, n_embd: 24 };
  const config = gpt2Config({ ...sizes, n_layer: 2, n_head: 3 });
  const options = { steps: 120, lr: 1e-2, warmup: 0.1, minLrRatio: 0.1, weightDecay: 0.1 };
  const trainer = createLmTrainer(initGpt2(config, createRng(0)), {
    ...options,
    ...{ clip: 1, beta1: 0.9, beta2: 0.95 },
  });
  for (let step = 0; step < options.steps; step++) {
    const from = ((step * 12) % source.train.nSeq) * context;
    await trainer.step({ ids: source.train.ids.subarray(from, from + 12 * context), context });
  }
  const model = await trainer.model();
  trainer.dispose();
  return model;
}

/** An SAE with random directions: what it finds doesn't matter, that it is carried exactly does. */
export function randomSae(dIn: number, dSae: number, hook: string): Sae {
  const rng = createRng("sae");
  const draw = (n: number, scale: number): Float32Array =>
    Float32Array.from({ length: n }, () => scale * rng.normal());
  return {
    cfg: saeConfig({ architecture: "topk", d_in: dIn, d_sae: dSae, k: 6, hook_name: hook }),
    W_enc: draw(dIn * dSae, 0.3),
    b_enc: draw(dSae, 0.1),
    W_dec: draw(dIn * dSae, 0.3),
    b_dec: draw(dIn, 0.1),
    threshold: null,
  };
}
