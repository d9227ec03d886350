// Right after an exact expansion a carried SAE is the parent's: the same latents, the same FVU in the parent's frame,
// and taking a latent away changes the logits by as much. Every architecture at every hook through every kind of growth.
import { beforeAll, expect, test } from "vitest";
import {
  architectureNames,
  carrySae,
  decode,
  encode,
  preActivations,
  type Sae,
  type SparseCodes,
} from "../../sae/index.ts";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import {
  type ExpandOptions,
  type ExpansionMap,
  expandModel,
  hookEntry,
  pullBack,
} from "../../src/expansion/index.ts";
import {
  forwardLogits,
  type Hooks,
  hookNames,
  hookWidth,
  type Model,
  type ModelConfig,
  modelSizes,
  placeModel,
} from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { everyFamily, roughModel, roughVocabulary } from "../support/rough-models.ts";
import { fittedSae } from "./support/random-sae.ts";

const [nSeq, context] = [architectureNames.length, 14];
const tokens = createRng("exact carry");
const ids = Int32Array.from({ length: nSeq * context }, () => tokens.int(roughVocabulary));
// the first sequence once for every architecture, so that one pass takes a latent from each
const repeated = Int32Array.from(ids, (_, i) => ids[i % context]);

const plain: ExpandOptions = {
  method: "lemon",
  depth_method: "identity",
  positions: "interleaved",
  noise_db: 10,
};

const parents: Readonly<Record<string, ModelConfig>> = {
  gpt2: everyFamily.gpt2,
  neox: everyFamily.neox,
  llama: everyFamily.llama,
};

/** By name, those that are exact for the model. */
function growths(config: ModelConfig): Readonly<Record<string, Partial<ExpandOptions>>> {
  const { dModel, nHead, headDim, dMlp } = modelSizes(config);
  const isLlama = config.model_type === "llama";
  return {
    "lemon with a remainder": { width: 2 * dModel + (isLlama ? nHead : headDim), mlp: dMlp + 9 },
    hypercloning: { method: "hypercloning", width: 2 * dModel, mlp: 2 * dMlp },
    // a LayerNorm sees zeros beside the stream
    "gesmundo-maile": {
      method: "gesmundo-maile",
      mlp: dMlp + 13,
      ...(isLlama && { width: dModel + nHead }),
    },
    heads: isLlama ? { heads: 2 * nHead, width: 2 * dModel } : { heads: nHead + 1 },
    "head dimension": { headDim: 2 * headDim },
    neurons: { mlp: 2 * dMlp + 5 },
    "identity layers": { layers: 4, positions: [-1, 0] },
  };
}

const cases = Object.entries(parents).flatMap(([family, config]) =>
  Object.entries(growths(config)).map(([kind, growth]) => ({ family, kind, growth })),
);

beforeAll(async () => {
  await useBackend(testBackend);
});

/** Hooks in a block that an SAE may read: what the last block has, and the stream before it. */
function saeHooks(config: ModelConfig): string[] {
  const points = ["hook_resid_pre", "attn.hook_z", "hook_attn_out", "hook_resid_mid"];
  points.push("mlp.hook_post", "hook_mlp_out", "hook_resid_post");
  const known = hookNames(config);
  return points.map((point) => `blocks.1.${point}`).filter((hook) => known.includes(hook));
}

/** Values at hooks on `ids`, [rows, width] each. */
function activations(model: Model, hooks: readonly string[]): Map<string, Float32Array> {
  const seen = new Map<string, Float32Array>();
  const see: Hooks = Object.fromEntries(
    hooks.map((hook) => [
      hook,
      (value) => void seen.set(hook, value.dataSync().slice() as Float32Array),
    ]),
  );
  tf.tidy(() => void forwardLogits(model, ids, nSeq, { hooks: see }));
  return seen;
}

/** Logits of `repeated` [nSeq · context, vocabulary] with `taken` [nSeq · context, width] less at a hook. */
function logitsWithout(model: Model, hook: string, taken: Float32Array): Float32Array {
  const width = hookWidth(model.config, hook);
  return tf.tidy(() => {
    const less = tf.tensor2d(taken, [repeated.length, width]);
    const hooks: Hooks = { [hook]: (value) => tf.sub(value, less) };
    return forwardLogits(model, repeated, nSeq, { hooks }).dataSync().slice() as Float32Array;
  });
}

/** Codes of rows x, and the pre-activations they come from [n, d_sae]. */
function codesOf(sae: Sae, x: Float32Array): { codes: SparseCodes; pre: Float32Array } {
  const rows = tf.tensor2d(x, [x.length / sae.cfg.d_in, sae.cfg.d_in]);
  const value = preActivations(sae, rows);
  const [codes, pre] = [encode(sae, rows), value.dataSync().slice() as Float32Array];
  tf.dispose([rows, value]);
  return { codes, pre };
}

function fvu(x: Float32Array, xHat: Float32Array, width: number): number {
  const mean = new Float64Array(width);
  const n = x.length / width;
  for (let i = 0; i < x.length; i++) mean[i % width] += x[i] / n;
  let [error, variance] = [0, 0];
  for (let i = 0; i < x.length; i++) {
    error += (x[i] - xHat[i]) ** 2;
    variance += (x[i] - mean[i % width]) ** 2;
  }
  return error / variance;
}

/** (token, latent) firings as one number each. */
function firings({ nTokens, dSae, rowStart, latent }: SparseCodes): Set<number> {
  const found = new Set<number>();
  for (let row = 0; row < nTokens; row++) {
    for (let at = rowStart[row]; at < rowStart[row + 1]; at++) found.add(row * dSae + latent[at]);
  }
  return found;
}

/** How near a pre-activation is to where its latent goes on or off, over the largest of its row. */
function margin({ cfg, threshold, gate, b_enc }: Sae, pre: Float32Array, at: number): number {
  const i = at % cfg.d_sae;
  const row = pre.subarray(at - i, at - i + cfg.d_sae);
  const kth = () => [...row].sort((a, b) => b - a)[(cfg.k as number) - 1];
  const open = () => (gate ? b_enc[i] - gate.b_mag[i] / Math.exp(gate.r_mag[i]) : kth());
  const cut = threshold ? threshold[i] : Math.max(0, open());
  return Math.abs(pre[at] - cut) / Math.max(...row.map(Math.abs));
}

/** What a latent adds on the first sequence: [context, d_in]. */
function contribution(sae: Sae, { codes }: { codes: SparseCodes }, latent: number): Float32Array {
  const { d_in } = sae.cfg;
  const out = new Float32Array(context * d_in);
  for (let row = 0; row < context; row++) {
    for (let at = codes.rowStart[row]; at < codes.rowStart[row + 1]; at++) {
      if (codes.latent[at] !== latent) continue;
      for (let j = 0; j < d_in; j++) {
        out[row * d_in + j] = codes.value[at] * sae.W_dec[latent * d_in + j];
      }
    }
  }
  return out;
}

/** The latent that fires most on the first sequence. */
function busiest({ rowStart, latent, dSae }: SparseCodes): number {
  const counts = new Int32Array(dSae);
  for (const i of latent.subarray(0, rowStart[context])) counts[i]++;
  return counts.indexOf(Math.max(...counts));
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(parts.length * parts[0].length);
  parts.forEach((part, i) => {
    out.set(part, i * part.length);
  });
  return out;
}

interface Grown {
  readonly parent: Model;
  readonly child: Model;
  readonly map: ExpansionMap;
}

async function grow(family: string, growth: Partial<ExpandOptions>): Promise<Grown> {
  const host = roughModel(parents[family], family);
  const { child, map } = await expandModel(host, { ...plain, ...growth }, createRng(family));
  return { parent: placeModel(host), child: placeModel(child), map };
}

test.each(cases)("$family, $kind: carried SAEs do what they did", async ({ family, growth }) => {
  const { parent, child, map } = await grow(family, growth);
  const hooks = saeHooks(parent.config);
  const seen = activations(parent, hooks);
  const places = new Map(hooks.map((hook) => [hook, hookEntry(map, hook)!.to]));
  const seenBig = activations(child, [...places.values()].flat());
  const unchanged = [parent, child].map((model) =>
    logitsWithout(
      model,
      "hook_embed",
      new Float32Array(repeated.length * modelSizes(model.config).dModel),
    ),
  );
  const bigVocabulary = unchanged[1].length / repeated.length;
  for (const hook of hooks) {
    const tensor = hookEntry(map, hook)!.tensor;
    const x = seen.get(hook)!;
    const saes = architectureNames.map((name) => fittedSae(name, hook, x, ids.length));
    const small = saes.map((sae) => codesOf(sae, x));
    const latents = small.map(({ codes }) => busiest(codes));
    const change = logitsWithout(
      parent,
      hook,
      joined(saes.map((sae, i) => contribution(sae, small[i], latents[i]))),
    ).map((logit, i) => logit - unchanged[0][i]);
    for (const place of places.get(hook)!) {
      const X = seenBig.get(place)!;
      const carried = saes.map((sae) => carrySae(sae, map).sae);
      const big = carried.map((sae) => codesOf(sae, X));
      for (const [i, sae] of saes.entries()) {
        const what = `${sae.cfg.architecture} at ${hook} → ${place}`;
        const [was, is] = [firings(small[i].codes), firings(big[i].codes)];
        const moved = [...was, ...is].filter((at) => !(was.has(at) && is.has(at)));
        for (const at of moved) expect(margin(sae, small[i].pre, at), what).toBeLessThan(1e-5);
        expect(was.size, what).toBeGreaterThan(ids.length);
        const before = fvu(x, decode(sae, small[i].codes), sae.cfg.d_in);
        const pulled = pullBack(map, tensor, X);
        const after = fvu(
          pulled,
          pullBack(map, tensor, decode(carried[i], big[i].codes)),
          sae.cfg.d_in,
        );
        expect(Math.abs(after / before - 1), what).toBeLessThan(1e-5);
      }
      const without = logitsWithout(
        child,
        place,
        joined(carried.map((sae, i) => contribution(sae, big[i], latents[i]))),
      );
      for (const [i, { cfg }] of saes.entries()) {
        const what = `${cfg.architecture} at ${hook} → ${place}`;
        let [apart, most] = [0, 0];
        for (let row = i * context; row < (i + 1) * context; row++) {
          for (let v = 0; v < roughVocabulary; v++) {
            const [at, to] = [row * roughVocabulary + v, row * bigVocabulary + v];
            apart = Math.max(apart, Math.abs(without[to] - unchanged[1][to] - change[at]));
            most = Math.max(most, Math.abs(change[at]));
          }
        }
        expect(most, what).toBeGreaterThan(1e-2);
        expect(apart, what).toBeLessThan(1e-4 * (1 + most));
      }
    }
  }
  parent.dispose();
  child.dispose();
});
