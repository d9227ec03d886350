// Transcoders from their training to their files on small models. What they should do is worked out apart: an MLP's last
// matrix is a skip connection by itself, carried ones are compared with
// their parents.
import { readFileSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import {
  appendLatents,
  architectureNames,
  architectures,
  carrySae,
  checkCarry,
  createSaeTrainer,
  encodeAsync,
  evaluateSae,
  fold,
  initialiseSae,
  loadSae,
  modelActivations,
  modelSequences,
  reconstruct,
  rowActivations,
  type Sae,
  type SaeArchitecture,
  saeConfig,
  saeFormats,
  saveSae,
  sharedActivations,
} from "../../sae/index.ts";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import {
  type ExpandOptions,
  expandModel,
  hookEntry,
  mapVectors,
} from "../../src/expansion/index.ts";
import { decodeSafetensors, encodeSafetensors, sha256, UsageError } from "../../src/io/index.ts";
import { activationsAtAll, hookWidth, modelSizes, placeModel } from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { temporaryFolder } from "../support/folder.ts";
import { everyFamily, roughModel, roughVocabulary } from "../support/rough-models.ts";
import { draw } from "./support/random-sae.ts";
import { randomTranscoder, transcoderHooks } from "./support/random-transcoder.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const folder = temporaryFolder();
const [nSeq, context] = [12, 14];
const tokens = createRng("transcoder tokens");
const set = {
  ids: Int32Array.from({ length: nSeq * context }, () => tokens.int(roughVocabulary)),
  nSeq,
  context,
};
const [read, written] = transcoderHooks;

async function outputs(sae: Sae, rows: Float32Array) {
  const x = tf.tensor2d(rows, [rows.length / sae.cfg.d_in, sae.cfg.d_in]);
  const codes = await encodeAsync(sae, x);
  const y = await reconstruct(sae, codes, x);
  x.dispose();
  return { codes, y };
}

test("a skip connection that is an MLP's last matrix replaces the MLP without a trace", async () => {
  const host = roughModel(everyFamily.gpt2, "skip");
  const model = placeModel(host);
  const { dMlp, dModel } = modelSizes(host.config);
  const hooks = ["blocks.1.mlp.hook_post", written];
  const sae = randomTranscoder("batchtopk", { d_in: dMlp, d_out: dModel, d_sae: 8 }, { hooks });
  const matrix = host.weights.get("transformer.h.1.mlp.c_proj.weight")!.data as Float32Array; // [dMlp, dModel]
  const exact: Sae = {
    ...sae,
    W_dec: new Float32Array(sae.W_dec.length),
    b_dec: host.weights.get("transformer.h.1.mlp.c_proj.bias")!.data as Float32Array,
    W_skip: Float32Array.from(
      { length: matrix.length },
      (_, at) => matrix[(at % dMlp) * dModel + Math.floor(at / dMlp)],
    ),
  };
  const figures = await evaluateSae(exact, model, set);
  expect(figures.hook_name_out).toBe(written);
  expect(figures.fvu).toBeLessThan(1e-9);
  expect(figures.ce_sae).toBeCloseTo(figures.ce_orig, 5);
  expect(figures.ce_loss_score_zero).toBeCloseTo(1, 4);
  expect(figures.l2_ratio).toBeCloseTo(1, 5);
  // without the skip connection all is left but the mean of nothing
  const { W_skip: _, ...bare } = exact;
  const none = {
    ...bare,
    cfg: { ...exact.cfg, skip_connection: false },
    b_dec: exact.b_dec.map(() => 0),
  };
  const zero = await evaluateSae(none, model, set);
  expect(zero.ce_sae).toBeCloseTo(figures.ce_zero, 6);
  expect(zero.fvu).toBeGreaterThan(0.9);
  model.dispose();
});

describe("right after an exact expansion", () => {
  const plain: ExpandOptions = {
    ...{ method: "lemon", depth_method: "identity", positions: "interleaved", noise_db: 10 },
  };
  for (const family of ["gpt2", "neox", "llama", "mixtral"]) {
    const config = everyFamily[family];
    const { dModel, nHead, headDim, dMlp, nLayer, experts } = modelSizes(config);
    const step = /gpt2|neox/.test(family) ? headDim : nHead;
    const growths: Record<string, Partial<ExpandOptions>> = {
      "a width with a remainder": { width: 2 * dModel + step, ...(!experts && { mlp: dMlp + 9 }) },
      "identity layers": { layers: nLayer + 2 },
    };
    for (const [kind, growth] of Object.entries(growths)) {
      test(`${family}, ${kind}: a carried transcoder has its latents and its FVU`, async () => {
        const host = roughModel(config, "carried transcoder");
        const grown = await expandModel(host, { ...plain, ...growth }, createRng("grow"));
        const [parent, child] = [placeModel(host), placeModel(grown.child)];
        const entry = hookEntry(grown.map, read);
        expect(entry).toMatchObject({ exact: true });
        const [before] = activationsAtAll(parent, set.ids, nSeq, [read]);
        const [after] = activationsAtAll(child, set.ids, nSeq, [entry!.to[0]]);
        const mapped = mapVectors(grown.map, entry!.tensor, (await before.data()) as Float32Array);
        expect((await after.data()) as Float32Array).toBeAllclose(mapped, {
          rtol: 1e-4,
          atol: 1e-4,
        });
        tf.dispose([before, after]);
        for (const architecture of architectureNames) {
          for (const from of [read, "blocks.0.hook_resid_post"]) {
            const sizes = { d_in: dModel, d_out: dModel, d_sae: 20 };
            const sae = randomTranscoder(architecture, sizes, { hooks: [from, written] });
            const carried = carrySae(sae, grown.map);
            const { d_in, d_out } = carried.sae.cfg;
            expect([d_in, d_out]).toEqual(
              [carried.sae.cfg.hook_name, carried.sae.cfg.hook_name_out!].map((hook) =>
                hookWidth(child.config, hook),
              ),
            );
            const check = await checkCarry(sae, carried, grown.map, parent, child, set);
            const what = `${architecture} from ${from}`;
            expect(check.same_latents, what).toBeGreaterThan(0.999);
            expect(Math.abs(check.fvu_parent_frame / check.fvu_parent - 1), what).toBeLessThan(
              1e-5,
            );
          }
        }
        parent.dispose();
        child.dispose();
      });
    }
  }
});

describe("training", () => {
  const [d, dOut, n] = [10, 7, 2048];
  const x = draw("x", n * d);
  const linear = draw("linear", dOut * d);
  const bent = draw("bent", dOut * d);
  /** y = A x + Σ_j relu(x_j − 1) b_j + c: linear but for what ten latents can say. */
  const y = Float32Array.from({ length: n * dOut }, (_, at) => {
    const [t, o] = [Math.floor(at / dOut), at % dOut];
    let sum = 3;
    for (let j = 0; j < d; j++) {
      sum += linear[o * d + j] * x[t * d + j];
      sum += 3 * bent[o * d + j] * Math.max(0, x[t * d + j] - 1);
    }
    return sum;
  });
  const job = (architecture: SaeArchitecture, skip: boolean, d_sae = 24) => ({
    name: `${architecture}${skip}`,
    config: saeConfig({
      ...{ architecture, d_in: d, d_out: dOut, d_sae, skip_connection: skip },
      ...{ k: architectures[architecture].k === "none" ? null : 4 },
      ...{ hook_name: read, hook_name_out: written },
    }),
    init: null,
    rng: createRng("job"),
    pinNorms: false,
  });
  const source = () => rowActivations(x, d, 256, y);

  test("a fresh transcoder begins as sparsify's: silent, at the mean of its targets, pre-activations centred", () => {
    const { config, rng } = job("topk", true);
    const sae = initialiseSae(config, x, rng, y);
    for (const array of [sae.W_dec, sae.W_skip!]) expect(array.every((w) => w === 0)).toBe(true);
    const mean = (rows: Float32Array, width: number, j: number) =>
      rows.reduce((sum, value, at) => (at % width === j ? sum + value / n : sum), 0);
    for (let o = 0; o < dOut; o++) expect(sae.b_dec[o]).toBeCloseTo(mean(y, dOut, o), 4);
    for (const latent of [0, 23]) {
      let pre = sae.b_enc[latent];
      for (let j = 0; j < d; j++) pre += mean(x, d, j) * sae.W_enc[j * 24 + latent];
      expect(pre).toBeCloseTo(0, 5);
    }
  });

  test("a skip connection takes the linear part, and what is resumed ends with the same bytes", async () => {
    const jobs = [job("batchtopk", true), job("jumprelu", true), job("batchtopk", false)];
    const options = { steps: 240, lr: 0.02, targetL0: 4, deadAfterTokens: 4000 };
    const whole = await createSaeTrainer(source(), jobs, options);
    let state = whole.state();
    let last = await whole.step();
    while (whole.taken < options.steps) {
      if (whole.taken === 111) state = decodeSafetensors(encodeSafetensors(whole.state())).tensors;
      last = await whole.step();
    }
    const [withSkip, , without] = last.saes;
    expect(withSkip.fvu).toBeLessThan(0.1);
    expect(without.fvu).toBeGreaterThan(2 * withSkip.fvu);
    const second = await createSaeTrainer(source(), jobs, { ...options, state });
    expect(second.taken).toBe(111);
    while (second.taken < options.steps) await second.step();
    const hash = (of: typeof whole) => sha256(encodeSafetensors(of.state()));
    expect(hash(second)).toBe(hash(whole));
    // what was trained in the scaled frame does in the raw one what the last step said
    const sae = whole.saes().get("batchtopktrue") as Sae;
    const { y: out, codes } = await outputs(sae, x);
    let [error, variance] = [0, 0];
    for (let at = 0; at < y.length; at++) {
      error += (y[at] - out[at]) ** 2;
      variance += (y[at] - sae.b_dec[at % dOut]) ** 2;
    }
    expect(error / variance).toBeLessThan(0.12);
    expect(codes.latent.length / n).toBeGreaterThan(3);
    expect(codes.latent.length / n).toBeLessThan(5);
  });

  test("new latents lower what is left of the targets and leave the old ones alone", async () => {
    const old = (await trained("batchtopk")) as Sae;
    const grown = await appendLatents(old, x, 6, createRng("grow"), y);
    expect(grown.W_skip).toEqual(old.W_skip);
    expect(grown.W_dec.slice(0, old.W_dec.length)).toEqual(old.W_dec);
    const left = async (sae: Sae) =>
      (await outputs(sae, x)).y.reduce((sum, value, at) => sum + (y[at] - value) ** 2, 0);
    expect(await left(grown)).toBeLessThan(0.98 * (await left(old)));
  });

  // at a rate that leaves something for new latents to do
  async function trained(architecture: SaeArchitecture): Promise<Sae | undefined> {
    const trainer = await createSaeTrainer(source(), [job(architecture, true, 4)], {
      steps: 60,
      lr: 4e-3,
    });
    while (trainer.taken < 60) await trainer.step();
    return trainer.saes().values().next().value;
  }

  test("a stream without targets is no stream for a transcoder", async () => {
    const plainRows = rowActivations(x, d, 256);
    await expect(createSaeTrainer(plainRows, [job("topk", false)], { steps: 1 })).rejects.toThrow(
      /is a transcoder, its stream has no targets/,
    );
  });
});

test("a stream of two hooks has the rows of the same tokens, those left out for their norm at either missing from both", async () => {
  const model = placeModel(roughModel(everyFamily.llama, "stream"));
  const options = { batchSize: 16, rng: createRng("stream"), chunkBatches: 3 };
  const whole = activationsAtAll(model, set.ids, nSeq, [read, written]);
  const [all, allOut] = await Promise.all(whole.map(async (t) => (await t.data()) as Float32Array));
  tf.dispose(whole);
  const d = modelSizes(model.config).dModel;
  const outOf = new Map<string, string>();
  for (let row = 0; row < set.ids.length; row++) {
    const at = (rows: Float32Array) =>
      [...rows.subarray(row * d, (row + 1) * d)].map((v) => v.toFixed(3)).join();
    outOf.set(at(all), at(allOut));
  }
  const streams = [null, 1.1].map((maxNormRatio) =>
    sharedActivations(modelSequences(model, [read, written], set), { ...options, maxNormRatio }).at(
      read,
      written,
    ),
  );
  streams.push(modelActivations(model, read, set, { ...options, target: written }));
  for (const stream of streams) {
    for (const step of [0, 2]) {
      const [batch, target] = [await stream.batch(step), await stream.target!.batch(step)];
      const [rows, outs] = [
        (await batch.data()) as Float32Array,
        (await target.data()) as Float32Array,
      ];
      for (let row = 0; row < 16; row++) {
        const at = (of: Float32Array) =>
          [...of.subarray(row * d, (row + 1) * d)].map((v) => v.toFixed(3)).join();
        expect(outOf.get(at(rows))).toBe(at(outs));
      }
      tf.dispose([batch, target]);
    }
    stream.dispose();
  }
  model.dispose();
});

test("folding changes neither latents nor outputs, skip connection included", async () => {
  const rows = draw("rows", 50 * 9);
  for (const architecture of architectureNames) {
    const sae = randomTranscoder(architecture, { d_in: 9, d_out: 6, d_sae: 15 });
    const factors = Float64Array.from({ length: 15 }, (_, i) =>
      architecture === "topk" ? 3 : [0.1, 1, 10][i % 3],
    );
    const [was, is] = [await outputs(sae, rows), await outputs(fold(sae, factors), rows)];
    expect(is.codes.latent).toEqual(was.codes.latent);
    expect(is.y).toBeAllclose(was.y, { rtol: 1e-4, atol: 1e-4 });
  }
});

describe("files", () => {
  const sizes = { d_in: 9, d_out: 6, d_sae: 15 };
  const problem = (body: () => unknown): UsageError => {
    try {
      body();
    } catch (error) {
      if (error instanceof UsageError) return error;
      throw error;
    }
    throw new Error("nothing was refused");
  };

  test("every transcoder comes back from SAELens's layout as it was", () => {
    for (const architecture of architectureNames) {
      for (const skip of [false, true]) {
        const sae = randomTranscoder(architecture, sizes, { skip });
        const dir = folder(`${architecture}${skip}`);
        saveSae(dir, sae);
        expect(loadSae(dir)).toEqual(sae);
      }
    }
  });

  test("a transcoder whose encoder is said to subtract b_dec, or whose W_skip has no place, is refused", () => {
    const dir = folder("sae");
    saveSae(dir, randomTranscoder("jumprelu", sizes));
    const path = `${dir}/cfg.json`;
    const cfg = JSON.parse(readFileSync(path, "utf8"));
    writeFileSync(path, JSON.stringify({ ...cfg, apply_b_dec_to_input: true }));
    expect(problem(() => loadSae(dir)).where).toMatch(/apply_b_dec_to_input$/);
    writeFileSync(path, JSON.stringify({ ...cfg, architecture: "jumprelu_transcoder" }));
    expect(problem(() => loadSae(dir))).toMatchObject({ got: "also W_skip" });
    writeFileSync(path, JSON.stringify({ ...cfg, architecture: "jumprelu" }));
    expect(problem(() => loadSae(dir)).code).toBe("sae-tensor");
  });

  test("sparsify has TopK transcoders of one width, dictionary_learning none", () => {
    const square = { ...sizes, d_out: 9 };
    for (const skip of [false, true]) {
      const sae = randomTranscoder("topk", square, { skip });
      const dir = folder(`skip ${skip}`);
      saeFormats.sparsify.save(dir, sae);
      expect(saeFormats.sparsify.load(dir)).toEqual(sae);
    }
    const { save } = saeFormats.sparsify;
    const refused = (sae: Sae) => problem(() => save(folder("no"), sae));
    expect(refused(randomTranscoder("topk", sizes))).toMatchObject({
      code: "sae-inexact",
      got: "6",
    });
    expect(refused(randomTranscoder("jumprelu", square)).got).toBe("jumprelu");
    const toDictionary = () =>
      saeFormats.dictionary_learning.save(folder("no"), randomTranscoder("topk", square));
    expect(problem(toDictionary)).toMatchObject({ code: "sae-inexact", got: "a skip transcoder" });
  });
});
