/**
 * What circuit work needs from a model: a differentiable metric of prompts, computed with hooks, and
 * recordings of what passed the hooks. The metric is the logit difference answer − wrong at the last
 * position, so the unembedding is applied to one row of a prompt only. A hand-made linear model can
 * take its place, as the tests do. Synchronous reads: not for the webgpu backend.
 */
import { encode, rowScales, type Sae, type SparseCodes } from "../sae/index.ts";
import { tf } from "../src/engine/index.ts";
import {
  forwardHidden,
  type Hook,
  type Model,
  modelSizes,
  unembedding,
} from "../src/models/index.ts";
import type { PromptSet } from "./tasks/prompts.ts";

/** A model seen through hooks named as TransformerLens names them. */
export interface CircuitModel {
  readonly nLayer: number;
  readonly nHead: number;
  /** logit[answer] − logit[wrong] of each prompt of `prompts` with the tokens `ids`; [n], differentiable. */
  metric(ids: Int32Array, prompts: PromptSet, hooks: Record<string, Hook>): tf.Tensor1D;
}

/** An SAE as circuits use it: where it sits, how it encodes, its decoder rows. */
export interface Dictionary {
  readonly hook: string;
  readonly layer: number;
  readonly dIn: number;
  readonly dSae: number;
  readonly W_dec: Float32Array; // [dSae, dIn]
  /** Codes f with x = Σ f_i W_dec[i, :] + what doesn't depend on latents + error. */
  encode(x: tf.Tensor2D): SparseCodes;
}

/** What passed the hooks in one run over the prompts. */
export interface Recording {
  readonly metric: Float32Array; // [n]
  readonly values: ReadonlyMap<string, Float32Array>; // hook → [n · length, width]
  readonly codes: SparseCodes | null;
}

/** The hook of all heads' outputs at a layer, [n · length, nHead · dHead]. */
export const headHook = (layer: number): string => `blocks.${layer}.attn.hook_z`;
/** The hook of an MLP's output, [n · length, dModel]. */
export const mlpHook = (layer: number): string => `blocks.${layer}.hook_mlp_out`;
/** The hook of the token embedding, [n · length, dModel]. */
export const embedHook = "hook_embed";

/** A language model as a circuit model. */
export function circuitModel(model: Model): CircuitModel {
  const { nLayer, nHead, dModel } = modelSizes(model.config);
  return {
    nLayer,
    nHead,
    metric(ids, { n, length, answer, wrong }, hooks) {
      const hidden = forwardHidden(model, ids, n, { hooks });
      const last = tf.reshape(
        tf.slice(tf.reshape(hidden, [n, length, dModel]), [0, length - 1, 0], [n, 1, dModel]),
        [n, dModel],
      );
      const unembed = unembedding(model);
      const direction = tf.sub(tf.gather(unembed, answer), tf.gather(unembed, wrong));
      return tf.sum(tf.mul(last, direction), 1);
    },
  };
}

/** An SAE as a dictionary; `hook` is its own unless the SAE was carried to another place. */
export function saeDictionary(sae: Sae, hook: string = sae.cfg.hook_name): Dictionary {
  const layer = /^blocks\.(\d+)\./.exec(hook)?.[1];
  return {
    hook,
    layer: layer === undefined ? 0 : Number(layer),
    dIn: sae.cfg.d_in,
    dSae: sae.cfg.d_sae,
    W_dec: sae.W_dec,
    encode: (x) => scaledCodes(sae, x),
  };
}

/** Codes in the activations' own units: where the SAE takes a norm off its rows, times what it gives back. */
function scaledCodes(sae: Sae, x: tf.Tensor2D): SparseCodes {
  const codes = encode(sae, x);
  const scales = tf.tidy(() => rowScales(sae, x)?.dataSync());
  if (scales === undefined) return codes;
  const value = codes.value.slice();
  for (let row = 0; row < codes.nTokens; row++) {
    for (let at = codes.rowStart[row]; at < codes.rowStart[row + 1]; at++) value[at] *= scales[row];
  }
  return { ...codes, value };
}

/** Runs the prompts once with the tokens `ids` and keeps the metric, the nodes' values and the codes. */
export function record(
  model: CircuitModel,
  ids: Int32Array,
  prompts: PromptSet,
  dictionary: Dictionary | null,
): Recording {
  const values = new Map<string, Float32Array>();
  let codes: SparseCodes | null = null;
  const keep: Hook = (value, name) => {
    values.set(name, value.dataSync().slice() as Float32Array);
    if (name === dictionary?.hook) codes = dictionary.encode(value as tf.Tensor2D);
    return undefined;
  };
  const metric = tf.tidy(() => {
    const hooks = Object.fromEntries(recordedHooks(model, dictionary).map((name) => [name, keep]));
    return model.metric(ids, prompts, hooks).dataSync().slice() as Float32Array;
  });
  return { metric, values, codes };
}

/** The embedding, and every hook at which nodes live. */
function recordedHooks(model: CircuitModel, dictionary: Dictionary | null): string[] {
  return [embedHook, ...nodeHooks(model, dictionary)];
}

/** The hooks at which nodes live, each once. */
export function nodeHooks(model: CircuitModel, dictionary: Dictionary | null): string[] {
  const layers = Array.from({ length: model.nLayer }, (_, layer) => layer);
  const names = layers.flatMap((layer) => [headHook(layer), mlpHook(layer)]);
  return [...new Set(dictionary ? [...names, dictionary.hook] : names)];
}
