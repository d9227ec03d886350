/**
 * Runs a circuit: clean prompts, where every node outside the circuit takes the value that it had on
 * the corrupted prompt (interchange patching, as in EAP-IG's evaluation; not mean ablation). Nodes
 * inside are recomputed from what reaches them. At the SAE's hook x = Σ f_i d_i + b_dec + error is
 * taken apart: latents outside take their corrupted activation, and so does the error node. With all
 * nodes in, the run is the clean one; with none and an SAE on the residual stream, the corrupted one.
 * Without an SAE the clean embedding reaches the end, and m(∅) is what it alone does.
 */
import type { SparseCodes } from "../sae/index.ts";
import { tf } from "../src/engine/index.ts";
import type { Hook } from "../src/models/index.ts";
import {
  type CircuitModel,
  type Dictionary,
  headHook,
  mlpHook,
  type Recording,
  record,
} from "./circuit-model.ts";
import { type NodeRef, nodeKey } from "./nodes.ts";
import type { PromptSet } from "./tasks/prompts.ts";

/** A model with its prompts, recorded on both versions of them. */
export interface PatchSetting {
  readonly model: CircuitModel;
  readonly prompts: PromptSet;
  readonly dictionary: Dictionary | null;
  readonly clean: Recording;
  readonly corrupted: Recording;
  /** Metric of each prompt with every node corrupted, [n]: the m(∅) that circuits are measured from. */
  readonly empty: Float32Array;
}

/** Records both runs and the empty circuit. */
export function patchSetting(
  model: CircuitModel,
  prompts: PromptSet,
  dictionary: Dictionary | null,
): PatchSetting {
  const clean = record(model, prompts.clean, prompts, dictionary);
  const corrupted = record(model, prompts.corrupted, prompts, dictionary);
  const setting = { model, prompts, dictionary, clean, corrupted, empty: corrupted.metric };
  return { ...setting, empty: runCircuit(setting, []) };
}

/** Metric of each prompt, [n], with the nodes of `circuit` clean; `complement` runs all the others instead. */
export function runCircuit(
  setting: PatchSetting,
  circuit: readonly NodeRef[],
  { complement = false }: { complement?: boolean } = {},
): Float32Array {
  const listed = new Set(circuit.map(nodeKey));
  const keeps = (node: NodeRef): boolean => listed.has(nodeKey(node)) !== complement;
  const { model, prompts, dictionary } = setting;
  return tf.tidy(() => {
    const hooks: Record<string, Hook> = {};
    for (let layer = 0; layer < model.nLayer; layer++) {
      const heads = Array.from({ length: model.nHead }, (_, index) =>
        keeps({ type: "head", layer, index }),
      );
      if (!heads.every(Boolean)) hooks[headHook(layer)] = headPatch(setting, heads);
      if (!keeps({ type: "mlp", layer, index: 0 })) {
        hooks[mlpHook(layer)] = (value, name) =>
          tf.tensor(corruptedValue(setting, name), value.shape);
      }
    }
    if (dictionary) {
      const latents = Uint8Array.from({ length: dictionary.dSae }, (_, index) =>
        Number(keeps({ type: "latent", layer: dictionary.layer, index })),
      );
      const error = keeps({ type: "error", layer: dictionary.layer, index: 0 });
      hooks[dictionary.hook] = dictionaryPatch(setting, dictionary, latents, error);
    }
    return model.metric(prompts.clean, prompts, hooks).dataSync().slice() as Float32Array;
  });
}

/** What `hook` held on the corrupted prompts. */
function corruptedValue({ corrupted }: PatchSetting, hook: string): Float32Array {
  const value = corrupted.values.get(hook);
  if (value === undefined) throw new Error(`internal: the model never reached ${hook}`);
  return value;
}

/** Replaces the columns of the heads that are false. */
function headPatch(setting: PatchSetting, heads: readonly boolean[]): Hook {
  return (value, name) => {
    const width = value.shape[1]!;
    const size = width / heads.length;
    const corrupted = corruptedValue(setting, name);
    const mixed = value.dataSync().slice();
    for (let i = 0; i < mixed.length; i++) {
      if (!heads[Math.floor((i % width) / size)]) mixed[i] = corrupted[i];
    }
    return tf.tensor(mixed, value.shape);
  };
}

/** x with the latents and the error outside the circuit replaced: with the error inside x + Σ_out (f′ − f) d, else x′ + Σ_in (f − f′) d. */
function dictionaryPatch(
  setting: PatchSetting,
  dictionary: Dictionary,
  latents: Uint8Array, // [dSae], 1 inside
  error: boolean,
): Hook {
  return (value, name) => {
    const recorded = corruptedValue(setting, name);
    const codes = setting.corrupted.codes;
    if (codes === null) throw new Error(`internal: no codes were recorded at ${name}`);
    const current = dictionary.encode(value as tf.Tensor2D);
    const x = error ? (value.dataSync().slice() as Float32Array) : recorded.slice();
    const moved = error ? 0 : 1;
    addDecoded(x, dictionary, current, error ? -1 : 1, latents, moved);
    addDecoded(x, dictionary, codes, error ? 1 : -1, latents, moved);
    return tf.tensor(x, value.shape);
  };
}

/** x += sign · Σ f_i d_i over the latents whose flag is `moved`. */
function addDecoded(
  x: Float32Array, // [rows, dIn]
  { dIn, W_dec }: Dictionary,
  codes: SparseCodes,
  sign: number,
  latents: Uint8Array,
  moved: number,
): void {
  for (let row = 0; row < codes.nTokens; row++) {
    for (let e = codes.rowStart[row]; e < codes.rowStart[row + 1]; e++) {
      const latent = codes.latent[e];
      if (latents[latent] !== moved) continue;
      const amount = sign * codes.value[e];
      for (let j = 0; j < dIn; j++) x[row * dIn + j] += amount * W_dec[latent * dIn + j];
    }
  }
}
