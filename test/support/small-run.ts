// A text, an untrained GPT-2 with its tokenizer, and a random SAE, on disk: enough for the commands to work on.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Sae, saeConfig, saveSae } from "../../sae/index.ts";
import { openCorpus, Tokenizer, trainBpe } from "../../src/data/index.ts";
import { createRng } from "../../src/engine/index.ts";
import { gpt2Config, initGpt2, saveModel } from "../../src/models/index.ts";

/** Paths of what was made. */
export interface SmallRun {
  readonly text: string;
  readonly model: string;
  readonly sae: string;
  readonly hook: string;
}

const words =
  "the cat sat on a mat and then the dog ran to the red barn while rain fell on it".split(" ");

/** Text of `sentences` seeded sentences, a paragraph of five at a time. */
export function smallText(sentences: number): string {
  const rng = createRng("small text");
  return Array.from({ length: sentences }, (_, i) => {
    const sentence = Array.from({ length: 6 + rng.int(6) }, () => words[rng.int(words.length)]);
    return `${sentence.join(" ")}.${i % 5 === 4 ? "\n\n" : " "}`;
  }).join("");
}

/** Writes text, model (2 layers × 12, 3 heads, context 16) and SAE (24 latents) into `folder`. */
export async function makeSmallRun(folder: string): Promise<SmallRun> {
  mkdirSync(folder, { recursive: true });
  const text = join(folder, "my.txt");
  writeFileSync(text, smallText(2000));
  const texts = async function* (): AsyncGenerator<string> {
    for await (const document of openCorpus({ kind: "text", path: text }).documents())
      yield document.text;
  };
  const tokenizer = Tokenizer.load(await trainBpe(texts(), 280));
  const config = gpt2Config({
    vocab_size: tokenizer.vocabSize,
    n_positions: 16,
    n_embd: 12,
    n_layer: 2,
    n_head: 3,
    end_of_text: tokenizer.endOfText,
  });
  const model = join(folder, "model");
  const rng = createRng("small model");
  // Weights of the size of trained ones, so that the layers do something.
  const host = initGpt2(config, rng);
  for (const { data } of host.weights.values()) {
    if (data instanceof Float32Array && !data.every((x) => x === 0 || x === 1)) {
      data.forEach((x, i) => {
        data[i] = 4 * x;
      });
    }
  }
  saveModel(model, host);
  tokenizer.save(join(model, "tokenizer.json"));
  const hook = "blocks.0.hook_resid_post";
  const sae = join(folder, "resid");
  saveSae(sae, randomSae(12, 24, hook));
  return { text, model, sae, hook };
}

function randomSae(d_in: number, d_sae: number, hook_name: string): Sae {
  const rng = createRng("small sae");
  const normal = (n: number, scale: number): Float32Array =>
    Float32Array.from({ length: n }, () => rng.normal() * scale);
  return {
    cfg: saeConfig({ architecture: "batchtopk", d_in, d_sae, k: 4, hook_name, context_size: 16 }),
    W_enc: normal(d_in * d_sae, 0.5),
    b_enc: normal(d_sae, 0.1),
    W_dec: normal(d_sae * d_in, 0.5),
    b_dec: normal(d_in, 0.1),
    threshold: new Float32Array(d_sae).fill(0.3),
  };
}
