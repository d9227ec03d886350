// Training: the schedule by hand, resuming bit for bit, what a lost loss does, and no leak.
import { beforeAll, describe, expect, test } from "vitest";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import { RunError } from "../../src/io/index.ts";
import {
  createLmTrainer,
  gpt2Config,
  heldOutLoss,
  initGpt2,
  type LmState,
  type LmTrainer,
  type LmTrainOptions,
  learningRate,
  lmTrainDefaults,
  placeModel,
  shift,
} from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const config = gpt2Config({ vocab_size: 17, n_positions: 8, n_embd: 8, n_layer: 2, n_head: 2 });
const context = 9;
const options: LmTrainOptions = { ...lmTrainDefaults, steps: 60, lr: 1e-2 };

/** The batch of a step: a pure function of it. */
function batchOf(step: number): { ids: Int32Array; context: number } {
  const rng = createRng("batches").fork(step);
  return { ids: Int32Array.from({ length: 3 * context }, () => rng.int(17)), context };
}

async function train(trainer: LmTrainer, to: number): Promise<number[]> {
  const losses: number[] = [];
  while (trainer.taken < to) losses.push((await trainer.step(batchOf(trainer.taken))).loss);
  return losses;
}

describe("learningRate", () => {
  // 5 steps of warm-up (0.05 · 100), then a cosine from 2 to 0.2 over 95
  const plan: LmTrainOptions = { ...lmTrainDefaults, steps: 100, lr: 2, warmup: 0.05 };

  test("rises linearly, peaks at the end of the warm-up, and ends at the floor", () => {
    expect([1, 2, 5].map((step) => learningRate(step, plan))).toEqual([0.4, 0.8, 2]);
    // halfway down the cosine, and at its end
    expect(learningRate(52.5, plan)).toBeCloseTo(1.1, 12);
    expect(learningRate(100, plan)).toBeCloseTo(0.2, 12);
    // a third of the way: 0.2 + 1.8 · (1 + cos 60°)/2
    expect(learningRate(5 + 95 / 3, plan)).toBeCloseTo(0.2 + 1.8 * 0.75, 12);
    expect(learningRate(130, plan)).toBeCloseTo(0.2, 12);
  });

  test("a run of one step, or one that is all warm-up, has a rate too", () => {
    expect(learningRate(1, { ...plan, steps: 1 })).toBe(2);
    expect(learningRate(1, { ...plan, warmup: 0 })).toBe(2);
    expect(learningRate(50, { ...plan, warmup: 1 })).toBe(1);
  });
});

test("sequences are split into inputs and the targets one further on", () => {
  const { inputs, targets, batch } = shift(Int32Array.of(1, 2, 3, 4, 5, 6), 3);
  expect([[...inputs], [...targets], batch]).toEqual([[1, 2, 4, 5], [2, 3, 5, 6], 2]);
  expect(() => shift(Int32Array.of(1, 2, 3), 2)).toThrow("internal: 3 ids");
  expect(() => shift(Int32Array.of(1, 2, 3), 1)).toThrow("internal: 3 ids");
});

test("a step says what it did: its number, the loss before it, the rate", async () => {
  const host = initGpt2(config, createRng("init"));
  const trainer = createLmTrainer(host, options);
  const { ids } = batchOf(0);
  const model = placeModel(host);
  const { loss } = await heldOutLoss(model, ids, context);
  model.dispose();
  const done = await trainer.step({ ids, context });
  expect(done.step).toBe(1);
  expect(done.loss).toBeCloseTo(loss, 5);
  expect(done.lr).toBe(learningRate(1, options));
  expect(done.gradNorm).toBeGreaterThan(0);
  expect(trainer.taken).toBe(1);
  trainer.dispose();
});

test("a trainer resumed from its state goes on bit for bit as one never stopped", async () => {
  const whole = createLmTrainer(initGpt2(config, createRng("init")), options);
  const wanted = await train(whole, 12);
  const first = createLmTrainer(initGpt2(config, createRng("init")), options);
  const head = await train(first, 5);
  const state = await first.state();
  // what goes on in the first trainer must not reach into the state that was taken out
  await train(first, 7);
  first.dispose();
  const second = createLmTrainer(state, options);
  expect(second.taken).toBe(5);
  const tail = await train(second, 12);
  expect([...head, ...tail]).toEqual(wanted);
  expect(bytesOf(await second.state())).toEqual(bytesOf(await whole.state()));
  whole.dispose();
  second.dispose();
});

test("a state can be resumed from twice, also where the backend keeps the arrays it is given", async () => {
  await useBackend("cpu");
  try {
    const first = createLmTrainer(initGpt2(config, createRng("init")), options);
    await train(first, 2);
    const state = await first.state();
    const once = createLmTrainer(state, options);
    const again = createLmTrainer(state, options);
    expect(await train(once, 4)).toEqual(await train(again, 4));
    expect(bytesOf(await once.state())).toEqual(bytesOf(await again.state()));
    for (const trainer of [first, once, again]) trainer.dispose();
  } finally {
    await useBackend(testBackend);
  }
});

test("the loss falls far below chance on a batch that is repeated", async () => {
  const trainer = createLmTrainer(initGpt2(config, createRng("init")), options);
  const losses: number[] = [];
  for (let i = 0; i < 60; i++) losses.push((await trainer.step(batchOf(0))).loss);
  expect(losses[0]).toBeGreaterThan(Math.log(17) - 0.5);
  expect(losses[59]).toBeLessThan(0.5 * losses[0]);
  trainer.dispose();
});

test("no tensor is left behind by 50 steps, nor after dispose", async () => {
  const empty = tf.memory().numTensors;
  const trainer = createLmTrainer(initGpt2(config, createRng("init")), options);
  await train(trainer, 1);
  const before = tf.memory().numTensors;
  await train(trainer, 51);
  await trainer.state();
  expect(tf.memory().numTensors).toBe(before);
  trainer.dispose();
  expect(tf.memory().numTensors).toBe(empty);
});

test("a loss that is no number is a run error with the step; the weights stay as they were", async () => {
  const host = initGpt2(config, createRng("init"));
  const weights = new Map(host.weights);
  const name = "transformer.h.1.mlp.c_proj.bias";
  weights.set(name, { shape: [8], data: new Float32Array(8).fill(Number.NaN) });
  const trainer = createLmTrainer({ config, weights }, options);
  const before = bytesOf(await trainer.state());
  const tensors = tf.memory().numTensors;
  const error = await trainer.step(batchOf(0)).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(RunError);
  expect(error).toMatchObject({ code: "nan-loss", where: "language model, step 1", exitCode: 1 });
  expect(trainer.taken).toBe(0);
  expect(bytesOf(await trainer.state())).toEqual(before);
  expect(tf.memory().numTensors).toBe(tensors);
  trainer.dispose();
});

test("fresh weights: gains one, biases zero, matrices at GPT-2's deviation for the width", () => {
  const wide = gpt2Config({ vocab_size: 101, n_positions: 9, n_embd: 48, n_layer: 3, n_head: 4 });
  const { weights } = initGpt2(wide, createRng("deviation"));
  const of = (name: string): number[] => [
    ...(weights.get(`transformer.${name}`)!.data as Float32Array),
  ];
  expect(new Set(of("h.1.ln_2.weight"))).toEqual(new Set([1]));
  expect(new Set([...of("h.1.ln_2.bias"), ...of("h.0.mlp.c_fc.bias")])).toEqual(new Set([0]));
  const deviation = (name: string): number => {
    const values = of(name);
    return Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
  };
  const wanted = 0.02 * Math.sqrt(768 / 48); // 0.08
  expect(Math.abs(deviation("wte.weight") / wanted - 1)).toBeLessThan(0.05);
  expect(Math.abs(deviation("h.2.mlp.c_fc.weight") / wanted - 1)).toBeLessThan(0.05);
  expect(Math.abs((deviation("h.2.mlp.c_proj.weight") * Math.sqrt(6)) / wanted - 1)).toBeLessThan(
    0.05,
  );
  // the same stream whatever else the model has
  const deeper = initGpt2({ ...wide, n_layer: 4 }, createRng("deviation"));
  expect(deeper.weights.get("transformer.wte.weight")).toEqual(
    weights.get("transformer.wte.weight"),
  );
});

/** Every number of a state as bytes, for comparison bit for bit. */
function bytesOf({ model, optimizer }: LmState): Record<string, string> {
  const hex = (data: ArrayBufferView): string =>
    Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex");
  const out: Record<string, string> = { step: String(optimizer.step) };
  for (const [name, { data }] of model.weights) out[`w ${name}`] = hex(data);
  for (const [name, data] of optimizer.m) out[`m ${name}`] = hex(data);
  for (const [name, data] of optimizer.v) out[`v ${name}`] = hex(data);
  return out;
}
