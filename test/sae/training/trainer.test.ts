import { beforeAll, expect, test } from "vitest";
import {
  createSaeTrainer,
  encode,
  rowActivations,
  type Sae,
  type SaeConfig,
  type SaeJob,
  saeConfig,
  trainSaes,
} from "../../../sae/index.ts";
import { rowNorms } from "../../../sae/kernels/row-norms.ts";
import { createRng, tf, useBackend } from "../../../src/engine/index.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  type HostTensor,
  RunError,
  sha256,
  UsageError,
} from "../../../src/io/index.ts";
import { testBackend } from "../../support/backend.ts";
import { plant, plantedSource, recovered } from "../support/planted.ts";
import { draw, randomSae } from "../support/random-sae.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const d = 32;
const planted = plant(16_384, d, 64, 4);
const source = plantedSource(planted, d, 1024);

function job(name: string, config: Partial<SaeConfig> = {}, rest: Partial<SaeJob> = {}): SaeJob {
  return {
    name,
    config: saeConfig({
      architecture: "batchtopk",
      d_in: d,
      d_sae: 64,
      k: 4,
      hook_name: "hook_embed",
      ...config,
    }),
    init: null,
    rng: createRng(name),
    pinNorms: false,
    ...rest,
  };
}

async function train(jobs: SaeJob[], steps: number, options = {}): Promise<Map<string, Sae>> {
  const trainer = await createSaeTrainer(source, jobs, { steps, ...options });
  while (trainer.taken < steps) await trainer.step();
  return trainer.saes();
}

test("both architectures find at least 90% of planted features, with few dead latents", async () => {
  const jobs = [job("batchtopk"), job("topk", { architecture: "topk" })];
  const steps = 500;
  const trainer = await createSaeTrainer(source, jobs, {
    steps,
    lr: 0.01,
    deadAfterTokens: 10_000,
  });
  let last = await trainer.step();
  while (trainer.taken < steps) last = await trainer.step();
  for (const figures of last.saes) {
    const sae = trainer.saes().get(figures.name) as Sae;
    expect(recovered(planted, sae.W_dec, d, 0.9)).toBeGreaterThanOrEqual(0.9);
    expect(figures.dead_fraction).toBeLessThanOrEqual(0.05);
    expect(figures.fvu).toBeLessThan(0.12);
    expect(figures.l0).toBe(4);
  }
  expect(last.tokens).toBe(steps * 1024);
});

test("a BatchTopK SAE's threshold makes about k latents fire in inference", async () => {
  const sae = (await train([job("a")], 200, { lr: 0.01 })).get("a") as Sae;
  const x = tf.tensor2d(planted.rows.slice(0, 4096 * d), [4096, d]);
  const codes = encode(sae, x);
  x.dispose();
  expect(codes.latent.length / 4096).toBeGreaterThan(3.8);
  expect(codes.latent.length / 4096).toBeLessThan(4.2);
});

test("over its warm-up k falls from d_in to what it is, but not where an SAE trains on", async () => {
  const init = randomSae({ architecture: "topk", d_in: d, d_sae: 64, k: 4 });
  const jobs = [
    job("batchtopk"),
    job("topk", { architecture: "topk" }),
    job("on", { architecture: "topk" }, { init, pinNorms: true }),
  ];
  const trainer = await createSaeTrainer(source, jobs, { steps: 8, kWarmup: 0.5 });
  const l0: number[][] = [];
  while (trainer.taken < 6) l0.push((await trainer.step()).saes.map((sae) => sae.l0));
  // 32 → 4 over 4 steps; half of a fresh encoder's pre-activations are positive, so that TopK keeps fewer
  expect(l0.map(([batchwide]) => Math.round(batchwide))).toEqual([25, 18, 11, 4, 4, 4]);
  expect(l0[1][1]).toBeGreaterThan(11);
  expect(l0[4][1]).toBe(4);
  expect(l0.map(([, , on]) => on <= 4)).toEqual(Array(6).fill(true));
});

test("without a norm an SAE trains in the frame of its activations", async () => {
  const trainer = await createSaeTrainer(source, [job("a")], { steps: 2, normalize: "none" });
  expect(trainer.state().get("scale")?.data[0]).toBe(1);
  const scaled = await createSaeTrainer(source, [job("a")], { steps: 2 });
  expect(scaled.state().get("scale")?.data[0]).not.toBeCloseTo(1, 1);
});

test("a run resumed from a stored state ends with the same bytes as one that was never stopped", async () => {
  const jobs = [job("a"), job("b", { architecture: "topk", d_sae: 48 })];
  const options = { steps: 30, deadAfterTokens: 4000 };
  const whole = await createSaeTrainer(source, jobs, options);
  while (whole.taken < 30) await whole.step();

  const first = await createSaeTrainer(source, jobs, options);
  while (first.taken < 13) await first.step();
  const bytes = encodeSafetensors(first.state());
  const state = decodeSafetensors(bytes).tensors;
  const second = await createSaeTrainer(source, jobs, { ...options, state });
  expect(second.taken).toBe(13);
  while (second.taken < 30) await second.step();

  // as hashes: a difference of these bytes takes minutes to print
  const hash = (state: ReadonlyMap<string, HostTensor>) => sha256(encodeSafetensors(state));
  expect(hash(second.state())).toBe(hash(whole.state()));
  expect(second.saes()).toEqual(whole.saes());
});

test("SAEs trained side by side are those trained alone", async () => {
  const together = await train([job("a"), job("b", { d_sae: 48 })], 12);
  expect(together.get("a")).toEqual((await train([job("a")], 12)).get("a"));
  expect(together.get("b")).toEqual((await train([job("b", { d_sae: 48 })], 12)).get("b"));
});

test("fresh SAEs keep unit decoder rows, carried ones the norms that they came with", async () => {
  const init = randomSae({ architecture: "batchtopk", d_in: d, d_sae: 64, k: 4 });
  // one threshold for all: the carried norms then stay as they are
  init.threshold?.fill(0.5);
  const before = rowNorms(init.W_dec, d);
  const saes = await train([job("fresh"), job("carried", {}, { init, pinNorms: true })], 20);
  const norms = (name: string) => rowNorms((saes.get(name) as Sae).W_dec, d);
  expect(norms("fresh")).toBeAllclose(new Float32Array(64).fill(1), { rtol: 1e-5 });
  expect(norms("carried")).toBeAllclose(before, { rtol: 1e-5 });
  expect((saes.get("carried") as Sae).W_dec).not.toEqual(init.W_dec);
});

test.each(["topk", "batchtopk"] as const)(
  "a carried %s SAE that enters training and leaves it untrained is unchanged",
  async (architecture) => {
    const init = randomSae({ architecture, d_in: d, d_sae: 64, k: 4 });
    init.threshold?.fill(0.5);
    const trainer = await createSaeTrainer(
      source,
      [job("a", { architecture }, { init, pinNorms: true })],
      { steps: 1 },
    );
    const out = trainer.saes().get("a") as Sae;
    expect(out.W_enc).toEqual(init.W_enc);
    expect(out.W_dec).toEqual(init.W_dec);
    for (const name of ["b_enc", "b_dec"] as const) {
      expect(out[name]).toBeAllclose(init[name], { rtol: 1e-6, atol: 1e-9 });
    }
    if (init.threshold) expect(out.threshold).toBeAllclose(init.threshold, { rtol: 1e-6 });
  },
);

test("an SAE with zero learning rate only learns its threshold", async () => {
  const trainer = await createSaeTrainer(source, [job("a")], { steps: 3, lr: 0 });
  const before = trainer.saes().get("a") as Sae;
  while (trainer.taken < 3) await trainer.step();
  const after = trainer.saes().get("a") as Sae;
  expect(after.W_dec).toBeAllclose(before.W_dec, { atol: 1e-7 });
  expect(after.W_enc).toEqual(before.W_enc);
  expect(after.threshold?.[0]).toBeGreaterThan(0);
});

test("training as a generator yields every step and returns the SAEs", async () => {
  const run = trainSaes(source, [job("a")], { steps: 3 });
  const steps: number[] = [];
  let done = await run.next();
  for (; !done.done; done = await run.next()) steps.push(done.value.step);
  expect(steps).toEqual([1, 2, 3]);
  expect(done.value).toEqual(await train([job("a")], 3));
});

test("NaN activations stop the run with the SAE's name and step", async () => {
  const rows = draw("x", 64 * d);
  rows[40 * d] = Number.NaN;
  const trainer = await createSaeTrainer(rowActivations(rows, d, 32), [job("a")], { steps: 2 });
  await trainer.step();
  const failure = trainer.step();
  await expect(failure).rejects.toThrow(RunError);
  await expect(failure).rejects.toThrow(/SAE a, step 2/);
});

test("another width, a repeated name and another run's state are refused", async () => {
  const trainer = await createSaeTrainer(source, [job("a")], { steps: 1 });
  await expect(createSaeTrainer(source, [job("a", { d_in: 31 })], { steps: 1 })).rejects.toThrow(
    /SAE a: d_in: expected 32/,
  );
  await expect(createSaeTrainer(source, [job("a"), job("a")], { steps: 1 })).rejects.toThrow(
    /share/,
  );
  const state = trainer.state();
  await expect(createSaeTrainer(source, [job("b")], { steps: 1, state })).rejects.toThrow(
    UsageError,
  );
  const empty = new Map();
  await expect(createSaeTrainer(source, [job("a")], { steps: 1, state: empty })).rejects.toThrow(
    /taken/,
  );
});

test("no tensor outlives a step", async () => {
  const trainer = await createSaeTrainer(source, [job("a")], { steps: 3 });
  const before = tf.memory().numTensors;
  await trainer.step();
  expect(tf.memory().numTensors).toBe(before);
});

test("the cpu backend trains the same SAE within rounding", async () => {
  const jobs = [job("a", { d_sae: 16 }), job("b", { d_sae: 16, architecture: "topk" })];
  const wasm = await train(jobs, 2);
  await useBackend("cpu");
  try {
    const cpu = await train(jobs, 2);
    for (const name of ["a", "b"]) {
      const [got, want] = [cpu.get(name) as Sae, wasm.get(name) as Sae];
      expect(got.W_enc).toBeAllclose(want.W_enc, { rtol: 1e-3, atol: 1e-4 });
      expect(got.W_dec).toBeAllclose(want.W_dec, { rtol: 1e-3, atol: 1e-4 });
    }
  } finally {
    await useBackend(testBackend);
  }
});
