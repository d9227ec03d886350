// A GPT-2 whose induction circuit is known because its weights were written by hand: layer 0's first head copies the
// token before into a subspace of its own, layer 1's first head looks for the current token there and writes what
// follows. Tokens, positions and previous tokens have a coordinate each, so that norms are the same everywhere. The
// other heads and the MLPs have small random weights.
import type { TaskSource } from "../../circuits/index.ts";
import { createRng } from "../../src/engine/index.ts";
import { type Gpt2Config, gpt2Config, type HostModel, initGpt2 } from "../../src/models/index.ts";

const vocabulary = 26;
const context = 25;
const positionAt = vocabulary;
const previousAt = vocabulary + context;
const heads = 6;
/** A head's width is the vocabulary's size, so that a token has a coordinate there too. */
const d = heads * vocabulary;
const noise = 0.3;

/** Random text: the model needs none, the task takes its tokens from it. */
export function randomSource(): TaskSource {
  const rng = createRng("random text");
  const rows = (nSeq: number): TaskSource["train"] => ({
    ids: Int32Array.from({ length: nSeq * context }, (_, i) =>
      i % context === 0 ? 0 : 1 + rng.int(vocabulary - 1),
    ),
    nSeq,
    context,
  });
  const tokens = Array.from({ length: vocabulary }, (_, i) =>
    i === 0 ? "<|endoftext|>" : ` t${i}`,
  );
  return { tokens, endOfText: 0, train: rows(60), heldOut: rows(20) };
}

/** The model. `sharpness` is what an attention score that should win is ahead by, before the square root of d. */
export function compiledInduction(sharpness = 8): HostModel<Gpt2Config> {
  const config = gpt2Config({
    ...{ vocab_size: vocabulary, n_positions: context, n_embd: d, n_layer: 2, n_head: heads },
  });
  const model = initGpt2(config, createRng(0));
  const weights = new Map(model.weights);
  for (const [name, { shape, data }] of model.weights) {
    const isEmbedding = /(wte|wpe)\.weight$/.test(name);
    const isMatrix = shape.length === 2 && !isEmbedding;
    const scale = isMatrix ? noise : isEmbedding ? 0 : 1;
    weights.set(name, { shape, data: (data as Float32Array).map((value) => scale * value) });
  }
  // [from, to] of matrices applied as x W; c_attn has queries, keys and values side by side.
  const set = (name: string, columns: number, from: number, to: number, value: number): void => {
    (weights.get(`transformer.${name}.weight`)!.data as Float32Array)[from * columns + to] += value;
  };
  for (let v = 0; v < vocabulary; v++) set("wte", d, v, v, 1);
  for (let t = 0; t < context; t++) set("wpe", d, t, positionAt + t, 1);
  for (let t = 0; t < context; t++) {
    if (t > 0) set("h.0.attn.c_attn", 3 * d, positionAt + t, t - 1, sharpness);
    set("h.0.attn.c_attn", 3 * d, positionAt + t, d + t, 1);
  }
  for (let v = 0; v < vocabulary; v++) {
    set("h.0.attn.c_attn", 3 * d, v, 2 * d + v, 1);
    set("h.0.attn.c_proj", d, v, previousAt + v, 0.2);
    set("h.1.attn.c_attn", 3 * d, v, v, sharpness);
    set("h.1.attn.c_attn", 3 * d, previousAt + v, d + v, 1);
    set("h.1.attn.c_attn", 3 * d, v, 2 * d + v, 1);
    set("h.1.attn.c_proj", d, v, v, 1);
  }
  return { config, weights };
}
