/**
 * Attribution patching (Nanda 2023; Syed et al. 2023): to first order, corrupting a node changes the
 * metric by gradient · (corrupted − clean), so a node's score is Σ gradient · (clean − corrupted)
 * over its positions, averaged over prompts: about m(M) − m(node corrupted). With `steps` > 1 the
 * gradient is averaged along the straight line between the two token embeddings (EAP-IG, Hanna et
 * al. 2024; midpoints). Latents of the SAE score (f − f′) d · gradient, and the error node the rest,
 * so that all of them add up to the score of the whole hook. One gradient pass scores every node.
 */
import { tf } from "../src/engine/index.ts";
import type { Hook } from "../src/models/index.ts";
import { type Dictionary, embedHook, headHook, mlpHook, nodeHooks } from "./circuit-model.ts";
import { type CircuitNode, rankNodes } from "./nodes.ts";
import type { PatchSetting } from "./patching.ts";

/** How gradients are taken. */
export interface AttributionOptions {
  /** Points at which gradients are taken; 1 is the clean prompt alone. */
  readonly steps?: number;
}

/** The nodes whose value differs between the clean and the corrupted prompts, ranked by |score|. */
export function attribute(
  setting: PatchSetting,
  { steps = 5 }: AttributionOptions = {},
): CircuitNode[] {
  const { model, dictionary, prompts } = setting;
  const gradients = meanGradients(setting, steps);
  const nodes: CircuitNode[] = [];
  for (let layer = 0; layer < model.nLayer; layer++) {
    if (dictionary?.hook !== headHook(layer)) {
      const scores = blockScores(setting, gradients, headHook(layer), model.nHead);
      for (const [index, score] of scores.entries()) {
        nodes.push({ type: "head", layer, index, score });
      }
    }
    if (dictionary?.hook !== mlpHook(layer)) {
      const [score] = blockScores(setting, gradients, mlpHook(layer), 1);
      nodes.push({ type: "mlp", layer, index: 0, score });
    }
  }
  if (dictionary) nodes.push(...dictionaryScores(setting, gradients, dictionary));
  return rankNodes(nodes.map((node) => ({ ...node, score: node.score / prompts.n })));
}

type Gradients = ReadonlyMap<string, Float64Array>;

/** d(sum of the prompts' metrics)/d(hook), averaged over the steps, for every hook with nodes. */
function meanGradients(setting: PatchSetting, steps: number): Gradients {
  const { model, prompts, dictionary, clean } = setting;
  const names = nodeHooks(model, dictionary);
  const sums = new Map<string, Float64Array>();
  for (let step = 0; step < steps; step++) {
    tf.tidy(() => {
      const zeros = names.map((name) => tf.zeros(shapeOf(setting, name)));
      const hooks: Record<string, Hook> = {};
      if (steps > 1)
        hooks[embedHook] = (value) => mixedEmbedding(setting, step, steps, value.shape);
      const gradients = tf.grads((...deltas: tf.Tensor[]) => {
        for (const [i, name] of names.entries()) hooks[name] = (value) => tf.add(value, deltas[i]);
        return tf.sum(model.metric(prompts.clean, prompts, hooks));
      })(zeros);
      for (const [i, name] of names.entries()) {
        const data = gradients[i].dataSync();
        const sum = sums.get(name) ?? new Float64Array(clean.values.get(name)!.length);
        for (let j = 0; j < sum.length; j++) sum[j] += data[j] / steps;
        sums.set(name, sum);
      }
    });
  }
  return sums;
}

function shapeOf({ clean, prompts }: PatchSetting, hook: string): [number, number] {
  const rows = prompts.n * prompts.length;
  return [rows, clean.values.get(hook)!.length / rows];
}

/** clean + (step + ½)/steps · (corrupted − clean). */
function mixedEmbedding(
  { clean, corrupted }: PatchSetting,
  step: number,
  steps: number,
  shape: number[],
): tf.Tensor {
  const from = clean.values.get(embedHook)!;
  const to = corrupted.values.get(embedHook)!;
  const share = (step + 0.5) / steps;
  return tf.tensor(
    from.map((value, i) => value + share * (to[i] - value)),
    shape,
  );
}

/** Σ gradient · (clean − corrupted) over `blocks` equal column blocks of a hook. */
function blockScores(
  setting: PatchSetting,
  gradients: Gradients,
  hook: string,
  blocks: number,
): Float64Array {
  const clean = setting.clean.values.get(hook)!;
  const corrupted = setting.corrupted.values.get(hook)!;
  const gradient = gradients.get(hook)!;
  const [, width] = shapeOf(setting, hook);
  const scores = new Float64Array(blocks);
  for (let i = 0; i < clean.length; i++) {
    scores[Math.floor((i % width) / (width / blocks))] += gradient[i] * (clean[i] - corrupted[i]);
  }
  return scores;
}

/** Scores of the latents that fire in either run, and of the error node. */
function dictionaryScores(
  setting: PatchSetting,
  gradients: Gradients,
  { hook, layer, dIn, dSae, W_dec }: Dictionary,
): CircuitNode[] {
  const gradient = gradients.get(hook)!;
  const latents = new Float64Array(dSae);
  for (const [codes, sign] of [
    [setting.clean.codes!, 1],
    [setting.corrupted.codes!, -1],
  ] as const) {
    for (let row = 0; row < codes.nTokens; row++) {
      for (let e = codes.rowStart[row]; e < codes.rowStart[row + 1]; e++) {
        const latent = codes.latent[e];
        let effect = 0;
        for (let j = 0; j < dIn; j++) effect += gradient[row * dIn + j] * W_dec[latent * dIn + j];
        latents[latent] += sign * codes.value[e] * effect;
      }
    }
  }
  const [whole] = blockScores(setting, gradients, hook, 1);
  const error = whole - latents.reduce((sum, score) => sum + score, 0);
  return [
    ...Array.from(
      latents,
      (score, index): CircuitNode => ({ type: "latent", layer, index, score }),
    ),
    { type: "error", layer, index: 0, score: error },
  ];
}
