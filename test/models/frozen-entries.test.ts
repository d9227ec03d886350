// Freezing: frozen entries keep their bytes under weight decay, the others move as they would, patterns find parameters.
import { beforeAll, describe, expect, test } from "vitest";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import {
  createLmTrainer,
  type FrozenEntries,
  frozenByPattern,
  gpt2Config,
  type HostModel,
  initGpt2,
  type LmTrainOptions,
  lmTrainDefaults,
  parameterShapes,
} from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const config = gpt2Config({ vocab_size: 17, n_positions: 8, n_embd: 8, n_layer: 2, n_head: 2 });
const context = 9;
const options: LmTrainOptions = { ...lmTrainDefaults, steps: 20, lr: 1e-2, warmup: 0 };
const names = [...parameterShapes(config).keys()];
const host = initGpt2(config, createRng("init"));

async function trained(frozen: FrozenEntries, steps: number, change: Partial<LmTrainOptions> = {}) {
  const trainer = createLmTrainer(host, { ...options, ...change, frozen });
  const rng = createRng("batches");
  for (let i = 0; i < steps; i++) {
    const ids = Int32Array.from({ length: 3 * context }, () => rng.int(17));
    await trainer.step({ ids, context });
  }
  const state = await trainer.state();
  trainer.dispose();
  return state;
}

const valuesOf = ({ weights }: HostModel, name: string): Float32Array =>
  weights.get(name)!.data as Float32Array;

const name = "transformer.h.0.mlp.c_fc.weight"; // [8, 32]
const mask = Uint8Array.from({ length: 8 * 32 }, (_, i) => (i % 3 === 0 ? 1 : 0));

test.each([testBackend, "cpu" as const])(
  "frozen parameters and entries keep their bytes, the others move (%s)",
  async (backend) => {
    await useBackend(backend);
    try {
      const whole = "transformer.wte.weight";
      const frozen = new Map<string, "all" | Uint8Array>([
        [whole, "all"],
        [name, mask],
      ]);
      const tensors = tf.memory().numTensors;
      const { model, optimizer } = await trained(frozen, 5);
      expect(tf.memory().numTensors).toBe(tensors);
      expect(valuesOf(model, whole)).toEqual(valuesOf(host, whole));
      const [before, after] = [valuesOf(host, name), valuesOf(model, name)];
      mask.forEach((isFrozen, i) => {
        if (isFrozen === 1) expect(after[i]).toBe(before[i]);
        else expect(after[i]).not.toBe(before[i]);
      });
      const other = "transformer.h.1.mlp.c_fc.weight";
      expect(valuesOf(model, other)).not.toEqual(valuesOf(host, other));
      expect([...model.weights.keys()]).toEqual([...host.weights.keys()]);
      // no moments where nothing is trained, zeros on frozen entries
      expect(optimizer.m.has(whole)).toBe(false);
      mask.forEach((isFrozen, i) => {
        if (isFrozen === 1) expect(optimizer.v.get(name)![i]).toBe(0);
      });
    } finally {
      await useBackend(testBackend);
    }
  },
);

test("what is left moves in the first step as without freezing, where no gradient is clipped", async () => {
  const change = { clip: 1e9 };
  const [all, part] = [
    await trained(new Map(), 1, change),
    await trained(new Map([[name, mask]]), 1, change),
  ];
  for (const other of names) {
    const [a, b] = [valuesOf(all.model, other), valuesOf(part.model, other)];
    if (other !== name) expect(b, other).toEqual(a);
    else
      mask.forEach((isFrozen, i) => {
        expect(b[i]).toBe(isFrozen ? valuesOf(host, name)[i] : a[i]);
      });
  }
});

test("frozen gradients have no part in the norm that is clipped", async () => {
  const trainer = createLmTrainer(host, {
    ...options,
    frozen: new Map(names.slice(1).map((other) => [other, "all"])),
  });
  const ids = Int32Array.from({ length: 2 * context }, (_, i) => (i * 5) % 17);
  const { gradNorm } = await trainer.step({ ids, context });
  const free = createLmTrainer(host, options);
  expect(gradNorm).toBeLessThan((await free.step({ ids, context })).gradNorm);
  trainer.dispose();
  free.dispose();
});

test("moments of an earlier training go on with their count, the rate begins anew", async () => {
  const { model, optimizer } = await trained(new Map(), 4);
  const warmed = { ...options, warmup: 0.5 };
  const ids = Int32Array.from({ length: 2 * context }, (_, i) => (i * 7) % 17);
  const trainer = createLmTrainer({ model, optimizer, taken: 0 }, warmed);
  const { step, lr } = await trainer.step({ ids, context });
  expect([step, lr]).toEqual([1, 1e-3]);
  const state = await trainer.state();
  expect([state.taken, state.optimizer.step]).toEqual([1, 5]);
  // m ← β₁ m + (1 − β₁) g: what was carried is still in it
  const reset = createLmTrainer(model, warmed);
  await reset.step({ ids, context });
  const fresh = (await reset.state()).optimizer;
  for (const name of names) {
    const [old, carried, own] = [optimizer.m, state.optimizer.m, fresh.m].map((m) => m.get(name)!);
    expect(carried, name).toBeAllclose(
      old.map((value, i) => Math.fround(0.9 * value + own[i])),
      { rtol: 1e-5, atol: 1e-8 },
    );
  }
  trainer.dispose();
  reset.dispose();
});

test("with everything frozen there is nothing to train", () => {
  expect(() =>
    createLmTrainer(host, { ...options, frozen: new Map(names.map((other) => [other, "all"])) }),
  ).toThrow("all 28 of them frozen");
});

describe("patterns", () => {
  const found = (...patterns: string[]) => [...frozenByPattern(names, patterns, "freeze").keys()];

  test("a star stands for any characters, a question mark for one, everything else for itself", () => {
    expect(found("*.wte.weight")).toEqual(["transformer.wte.weight"]);
    expect(found("transformer.h.?.mlp.c_fc.bias")).toEqual([
      "transformer.h.0.mlp.c_fc.bias",
      "transformer.h.1.mlp.c_fc.bias",
    ]);
    expect(found("*.h.1.*")).toHaveLength(12);
    expect(found("*.wpe.*", "*.wte.*").sort()).toEqual([
      "transformer.wpe.weight",
      "transformer.wte.weight",
    ]);
    expect(() => found("transformerXwte.weight")).toThrow();
  });

  test("one that matches nothing is an error with a name that looks like it", () => {
    expect(() => found("*.wte.*", "*.h.0.mpl.c_fc.*")).toThrow(
      /freeze: expected patterns.*got \*\.h\.0\.mpl\.c_fc\.\*/,
    );
    try {
      found("*.mlp.c_fc.wieght");
    } catch (error) {
      expect((error as { hint: string }).hint).toContain("mlp.c_fc.weight");
    }
  });
});
