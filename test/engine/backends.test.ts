// Choosing a backend, AdamW, and WebGPU on whatever adapter there is (in CI a software Vulkan driver).
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  AdamW,
  causalAttention,
  createRng,
  surveyBackends,
  tf,
  useBackend,
  withSynchronousReads,
} from "../../src/engine/index.ts";
import {
  createLmTrainer,
  gpt2Config,
  type HostModel,
  initGpt2,
  lmTrainDefaults,
} from "../../src/models/index.ts";
import { testWith } from "../support/require.ts";
import { roughConfigs, roughModel } from "../support/rough-models.ts";

describe("useBackend", () => {
  test("auto takes one that works and says why", async () => {
    const choice = await useBackend("auto");
    expect(choice.name).not.toBe("cpu");
    expect(choice.reason).toContain("first that works");
  });

  test("a backend with one thread says that a number of threads changes nothing", async () => {
    expect((await useBackend("wasm", { threads: 1 })).reason).toBe("asked for");
    expect((await useBackend("wasm", { threads: 4 })).reason).toContain("one thread");
    await expect(useBackend("wasm", { threads: 0 })).rejects.toMatchObject({ where: "--threads" });
  });

  test("work that reads synchronously stays where it can", async () => {
    await useBackend("cpu");
    expect(await withSynchronousReads(async () => tf.getBackend())).toBe("cpu");
  });

  test("a backend that can't be had is a usage error with advice", async () => {
    await expect(useBackend("tensorflow-gpu")).rejects.toMatchObject({
      name: "UsageError",
      where: "--backend tensorflow-gpu",
      hint: expect.stringContaining("npm install"),
    });
  });

  test("the survey names every backend with a reason, and wasm is always there", async () => {
    const findings = await surveyBackends();
    expect(findings.map((finding) => finding.name)).toEqual([
      "tensorflow-gpu",
      "native",
      "tensorflow",
      "webgpu",
      "wasm",
      "cpu",
    ]);
    for (const finding of findings) expect(finding.reason).not.toBe("");
    const wasm = findings.find((finding) => finding.name === "wasm");
    expect(wasm?.available).toBe(true);
    expect(wasm?.reason).toContain("one thread");
  });
});

describe("AdamW", () => {
  beforeAll(async () => {
    await useBackend("wasm");
  });

  test("its first step moves every weight by the learning rate against the gradient's sign", async () => {
    const params = new Map<string, tf.Tensor>([["b", tf.tensor1d([1, 1])]]);
    const adam = new AdamW(params, { clip: Number.POSITIVE_INFINITY });
    const { params: next } = await adam.step(params, new Map([["b", tf.tensor1d([3, -0.2])]]), 0.1);
    expect(await next.get("b")!.data()).toBeAllclose([0.9, 1.1], { atol: 1e-6 });
  });

  test("clips the global norm and decays matrices only", async () => {
    const params = new Map<string, tf.Tensor>([
      ["w", tf.tensor2d([[2]])],
      ["b", tf.tensor1d([2])],
    ]);
    const grads = new Map<string, tf.Tensor>([
      ["w", tf.tensor2d([[0]])],
      ["b", tf.tensor1d([0])],
    ]);
    const adam = new AdamW(params, { weightDecay: 0.5 });
    const still = await adam.step(params, grads, 0.1);
    expect(still.gradNorm).toBe(0);
    expect(await still.params.get("w")!.data()).toBeAllclose([1.9]);
    expect(await still.params.get("b")!.data()).toBeAllclose([2]);
    expect([...params.values(), ...grads.values()].every((tensor) => tensor.isDisposed)).toBe(true);
    grads.set("w", tf.tensor2d([[3]]));
    grads.set("b", tf.tensor1d([4]));
    expect((await adam.step(still.params, grads, 0.1)).gradNorm).toBeCloseTo(5);
    const { m } = await adam.state();
    expect(m.get("b")![0]).toBeCloseTo(0.1 * 0.8, 6);
  });
});

const smallGpt2 = initGpt2(
  gpt2Config({ vocab_size: 50, n_positions: 8, n_embd: 12, n_layer: 2, n_head: 2 }),
  createRng("backends"),
);

async function lossesAndNorms(
  backend: "wasm" | "cpu" | "webgpu",
  start: HostModel = smallGpt2,
): Promise<number[]> {
  await useBackend(backend);
  const trainer = createLmTrainer(start, {
    ...lmTrainDefaults,
    steps: 6,
  });
  const rng = createRng("ids");
  const ids = Int32Array.from({ length: 32 }, () => rng.int(50));
  const figures: number[] = [];
  for (let i = 0; i < 6; i++) {
    const { loss, gradNorm } = await trainer.step({ ids, context: 8 });
    figures.push(loss, gradNorm);
  }
  trainer.dispose();
  return figures;
}

test("wasm and cpu train alike", async () => {
  expect(await lossesAndNorms("wasm")).toBeAllclose(await lossesAndNorms("cpu"), { rtol: 1e-4 });
});

const webgpu = await (async () => {
  try {
    await useBackend("webgpu");
    return undefined;
  } catch (error) {
    return `webgpu can't be had: ${(error as { got?: string }).got}`;
  }
})();

describe("webgpu", () => {
  afterAll(async () => {
    await useBackend("wasm");
  });

  testWith("webgpu", webgpu)("is not what auto takes where its adapter is software", async () => {
    if (process.env.SAE_CARRY_WEBGPU_SOFTWARE !== "1") return;
    await useBackend("webgpu");
    expect((await useBackend("auto")).name).not.toBe("webgpu");
  });

  testWith("webgpu", webgpu)("trains as wasm does, through the composite operations", async () => {
    const want = await lossesAndNorms("wasm");
    expect(await lossesAndNorms("webgpu")).toBeAllclose(want, { rtol: 1e-3 });
  });

  testWith("webgpu", webgpu)("trains experts as wasm does, each on every token", async () => {
    const start = roughModel(roughConfigs.mixtral, 1);
    const want = await lossesAndNorms("wasm", start);
    expect(await lossesAndNorms("webgpu", start)).toBeAllclose(want, { rtol: 1e-3 });
  });

  testWith("webgpu", webgpu)(
    "hands work that reads synchronously to wasm, and goes on",
    async () => {
      await useBackend("webgpu");
      const seen = await withSynchronousReads(async () => [
        tf.getBackend(),
        tf.add(1, 1).dataSync()[0],
      ]);
      expect(seen).toEqual(["wasm", 2]);
      expect(tf.getBackend()).toBe("webgpu");
      const failure = withSynchronousReads(() => Promise.reject(new Error("of the work")));
      await expect(failure).rejects.toThrow("of the work");
      expect(await tf.add(1, 1).data()).toBeAllclose([2]);
      expect(tf.getBackend()).toBe("webgpu");
    },
  );

  testWith("webgpu", webgpu)("computes attention as wasm does", async () => {
    const shape = { batch: 2, context: 6, heads: 2, headDim: 4 };
    const rng = createRng("attention");
    const values = Float32Array.from({ length: 12 * 24 }, () => rng.normal());
    const run = async (backend: "wasm" | "webgpu"): Promise<Float32Array> => {
      await useBackend(backend);
      return (await causalAttention(tf.tensor2d(values, [12, 24]), shape).data()) as Float32Array;
    };
    expect(await run("webgpu")).toBeAllclose(await run("wasm"), { rtol: 1e-3, atol: 1e-4 });
  });
});
