/**
 * Widening a GPT-2 of random weights by a whole factor, in memory (with noise on the copies where `noise` is 1) or, where
 * `files` is 1, from a checkpoint on disk to another, flushed; and copying as many bytes as the child has.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createRng } from "../../src/engine/index.ts";
import { expandCheckpoint, expandModel } from "../../src/expansion/index.ts";
import {
  type Gpt2Config,
  gpt2Config,
  gpt2Shapes,
  type HostModel,
  initGpt2,
  openCheckpoint,
  saveModel,
} from "../../src/models/index.ts";
import type { PrepareTask } from "./task.ts";

/** Sizes layers, heads, width, vocab, context, factor, noise, files. The numbers told are Σ|w| of two of the child's tensors. */
export const prepareExpand: PrepareTask = async ({ variant, sizes, folder }) => {
  const { layers, heads, width, vocab, context, factor } = sizes;
  const size = { vocab_size: vocab, n_positions: context, n_layer: layers };
  if (variant === "copy") {
    const grown = gpt2Config({ ...size, n_embd: factor * width, n_head: factor * heads });
    const sources = [...gpt2Shapes(grown).values()].map((shape) =>
      new Float32Array(shape.reduce((a, b) => a * b)).fill(1),
    );
    return async (count) => {
      for (let i = 0; i < count; i++) for (const source of sources) source.slice();
      return undefined;
    };
  }
  const config = gpt2Config({ ...size, n_embd: width, n_head: heads });
  const parent = initGpt2(config, createRng("model"));
  saveModel(join(folder, "model"), parent);
  const options = {
    width: factor * width,
    heads: factor * heads,
    method: "lemon",
    depth_method: "identity",
    positions: "interleaved",
    noise_db: sizes.noise === 1 ? 0 : null,
  } as const;
  if (sizes.files === 1) {
    return async (count) => {
      for (let i = 0; i < count; i++) {
        const out = join(folder, "ours");
        rmSync(out, { recursive: true, force: true });
        mkdirSync(out);
        const opened = openCheckpoint(join(folder, "model"));
        await expandCheckpoint(opened, out, options, createRng("growth"));
      }
      return undefined;
    };
  }
  return async (count) => {
    let child: HostModel<Gpt2Config> | undefined;
    for (let i = 0; i < count; i++) {
      child = undefined; // a child at a time, as on the other side
      ({ child } = await expandModel(parent, options, createRng("growth")));
    }
    return { losses: child ? digest(child) : [] };
  };
};

let told: { of: number; losses: number[] } | undefined;

/** Σ|w| of the embedding and the first MLP's input weights. The child is the same each time: summed once. */
function digest({ weights, config }: HostModel<Gpt2Config>): number[] {
  if (told?.of !== config.n_embd) {
    const losses = ["transformer.wte.weight", "transformer.h.0.mlp.c_fc.weight"].map((name) => {
      let sum = 0;
      for (const value of weights.get(name)!.data) sum += Math.abs(Number(value));
      return sum;
    });
    told = { of: config.n_embd, losses };
  }
  return told.losses;
}
