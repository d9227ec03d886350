// Ablation effects of pairs of latents: 1 right after an exact expansion, less for another latent, and as the definition has it.
import { afterAll, beforeAll, expect, test } from "vitest";
import { carrySae, encode, type Sae, type SparseCodes } from "../../../sae/index.ts";
import { ablationEffects } from "../../../sae/persistence/index.ts";
import { createRng, tf, useBackend } from "../../../src/engine/index.ts";
import { expandModel } from "../../../src/expansion/index.ts";
import {
  activationsAt,
  forwardLogits,
  type Model,
  modelSizes,
  placeModel,
} from "../../../src/models/index.ts";
import { testBackend } from "../../support/backend.ts";
import { everyFamily, roughModel, roughVocabulary } from "../../support/rough-models.ts";
import { dense, fittedSae } from "../support/random-sae.ts";

const hook = "blocks.0.hook_resid_post";
const [nSeq, context, skip] = [5, 9, 1];
const tokens = createRng("ablation");
const ids = Int32Array.from({ length: nSeq * context }, () => tokens.int(roughVocabulary));
const set = { ids, nSeq, context };

interface Side {
  readonly model: Model;
  readonly sae: Sae;
  readonly codes: SparseCodes;
}
let parent: Side;
let child: Side;

/** Codes of all but the first tokens. */
function side(model: Model, sae: Sae): Side {
  const width = sae.cfg.d_in;
  const kept = tf.tidy(() => {
    const all = activationsAt(model, ids, nSeq, sae.cfg.hook_name);
    const cube = tf.slice(tf.reshape(all, [nSeq, context, width]), [0, skip, 0], [-1, -1, -1]);
    return tf.reshape(cube, [-1, width]) as tf.Tensor2D;
  });
  const codes = encode(sae, kept);
  kept.dispose();
  return { model, sae, codes };
}

beforeAll(async () => {
  await useBackend(testBackend);
  const host = roughModel(everyFamily.gpt2, 1);
  const { dModel, nHead, headDim, vocabSize } = modelSizes(host.config);
  const growth = {
    width: 2 * dModel + headDim,
    heads: 2 * nHead + 1,
    layers: 3,
    vocab: vocabSize + 4,
  };
  const grown = await expandModel(
    host,
    { method: "lemon", depth_method: "identity", positions: "interleaved", noise_db: 0, ...growth },
    createRng(2),
  );
  const [small, big] = [placeModel(host), placeModel(grown.child)];
  const x = activationsAt(small, ids, nSeq, hook);
  const sae = fittedSae("topk", hook, x.dataSync() as Float32Array, ids.length);
  x.dispose();
  parent = side(small, sae);
  child = side(big, carrySae(sae, grown.map).sae);
});
afterAll(() => {
  parent.model.dispose();
  child.model.dispose();
});

const firing = (): number[] => [...new Set(parent.codes.latent)].sort((a, b) => a - b);

test("right after an exact expansion a carried latent does to the logits what the parent's did", async () => {
  const pairs = firing().map((i) => [i, i] as const);
  const { cos, ratio } = await ablationEffects(parent, child, set, pairs, { skip });
  expect(cos).toBeAllclose(new Float32Array(pairs.length).fill(1), { atol: 1e-4 });
  expect(ratio).toBeAllclose(new Float32Array(pairs.length).fill(1), { atol: 1e-3 });
});

test("another latent does something else, one that is silent nothing, one that never fires in the parent has no effect to compare", async () => {
  const [i, j] = firing();
  const weak = { ...child, sae: { ...child.sae, W_dec: child.sae.W_dec.map((w) => w / 2) } };
  const silent = { ...child, codes: { ...child.codes, value: child.codes.value.map(() => 0) } };
  const of = async (other: Side, to: number) =>
    ablationEffects(parent, other, set, [[i, to]], { skip });
  expect((await of(child, j)).cos[0]).toBeLessThan(0.9);
  const half = await of(weak, i);
  expect(half.cos[0]).toBeGreaterThan(0.9);
  expect(half.ratio[0]).toBeLessThan(0.8);
  expect(await of(silent, i)).toEqual({ cos: Float32Array.of(0), ratio: Float32Array.of(0) });
  const never = { ...parent, codes: silent.codes };
  const { cos, ratio } = await ablationEffects(never, child, set, [[i, i]], { skip });
  expect([...cos, ...ratio]).toEqual([Number.NaN, Number.NaN]);
});

test("cosine and ratio are those of the centred changes of all logits of the strongest sequence", async () => {
  const [i] = firing();
  const rows = context - skip;
  const f = dense(parent.codes);
  const strength = Array.from({ length: nSeq }, (_, s) => {
    let sum = 0;
    for (let t = 0; t < rows; t++) sum += f[(s * rows + t) * parent.codes.dSae + i];
    return sum;
  });
  const s = strength.indexOf(Math.max(...strength));
  const { rowStart, latent: fired } = child.codes;
  const there = fired.subarray(rowStart[s * rows], rowStart[(s + 1) * rows]);
  const j = there.find((latent) => latent !== i) as number;
  const one = ids.subarray(s * context, (s + 1) * context);
  const changes = ({ model, sae, codes }: Side, latent: number): Float64Array => {
    const values = dense(codes);
    const width = sae.cfg.d_in;
    const run = (on: number): Float32Array =>
      tf.tidy(() => {
        const taken = Float32Array.from({ length: context * width }, (_, at) => {
          const t = Math.floor(at / width) - skip;
          const code = t < 0 ? 0 : values[(s * rows + t) * codes.dSae + latent];
          return on * code * sae.W_dec[latent * width + (at % width)];
        });
        const less = tf.tensor2d(taken, [context, width]);
        const hooks = { [sae.cfg.hook_name]: (value: tf.Tensor) => tf.sub(value, less) };
        return forwardLogits(model, one, 1, { hooks }).dataSync().slice() as Float32Array;
      });
    const [without, all] = [run(1), run(0)];
    const vocab = all.length / context;
    const out = new Float64Array(context * roughVocabulary);
    for (let t = 0; t < context; t++) {
      let mean = 0;
      for (let v = 0; v < roughVocabulary; v++) {
        const at = t * vocab + v;
        out[t * roughVocabulary + v] = without[at] - all[at];
        mean += (without[at] - all[at]) / roughVocabulary;
      }
      for (let v = 0; v < roughVocabulary; v++) out[t * roughVocabulary + v] -= mean;
    }
    return out;
  };
  const [a, b] = [changes(parent, i), changes(child, j)];
  const product = (x: Float64Array, y: Float64Array) =>
    x.reduce((sum, v, at) => sum + v * y[at], 0);
  const [norm, other] = [Math.sqrt(product(a, a)), Math.sqrt(product(b, b))];
  const { cos, ratio } = await ablationEffects(parent, child, set, [[i, j]], { skip });
  expect([cos[0], ratio[0]]).toBeAllclose([product(a, b) / norm / other, other / norm], {
    rtol: 1e-3,
    atol: 1e-4,
  });
});
