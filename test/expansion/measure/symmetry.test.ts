import { beforeAll, describe, expect, it } from "vitest";
import { createRng, tf, useBackend } from "../../../src/engine/index.ts";
import {
  copySpread,
  type ExpandOptions,
  type ExpansionMap,
  expandModel,
  type GrowthFlags,
  mapVectors,
  offImageEnergy,
  parseGrowth,
  planExpansion,
} from "../../../src/expansion/index.ts";
import {
  activationsAt,
  createLmTrainer,
  gpt2Config,
  type HostModel,
  initGpt2,
  initModel,
  llamaConfig,
  lmTrainDefaults,
  type ModelConfig,
  placeModel,
} from "../../../src/models/index.ts";
import { testBackend } from "../../support/backend.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const config = gpt2Config({
  vocab_size: 32,
  n_positions: 16,
  n_embd: 16,
  n_head: 2,
  n_layer: 2,
  layer_norm_epsilon: 1e-5,
});
const families: Readonly<Record<string, ModelConfig>> = {
  gpt2: config,
  llama: llamaConfig({
    vocab_size: 32,
    max_position_embeddings: 16,
    hidden_size: 16,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 4,
    intermediate_size: 40,
    rms_norm_eps: 1e-5,
    rope: { theta: 500, share: 1, scaling: null },
  }),
};
const options: ExpandOptions = {
  method: "lemon",
  depth_method: "identity",
  positions: "interleaved",
  noise_db: 10,
};
const hook = "blocks.1.hook_resid_post";

/** Sequences that count up by a step: there is something to learn. */
function batchOf(seed: number): { ids: Int32Array; context: number } {
  const rng = createRng(seed);
  const ids = new Int32Array(8 * 16);
  for (let row = 0; row < 8; row++) {
    const start = rng.int(32);
    const stride = 1 + rng.int(3);
    for (let t = 0; t < 16; t++) ids[row * 16 + t] = (start + stride * t) % 32;
  }
  return { ids, context: 16 };
}

async function train(model: HostModel, steps: number): Promise<HostModel> {
  const trainer = createLmTrainer(model, { ...lmTrainDefaults, steps });
  for (let step = 0; step < steps; step++) await trainer.step(batchOf(step));
  const trained = await trainer.model();
  trainer.dispose();
  return trained;
}

async function measure(child: HostModel, map: ExpansionMap, at = hook) {
  const model = placeModel(child);
  const { ids } = batchOf(999);
  const values = activationsAt(model, ids, 8, at);
  model.dispose();
  const entry = map.hooks.find(({ from }) => from === at)!;
  const result = {
    offImage: await offImageEnergy(map, entry.tensor, values),
    spread: await copySpread(map, entry.tensor, values),
  };
  values.dispose();
  return result;
}

describe("leaving the image of E", () => {
  it.each([
    ["copies and free coordinates", 40, 30],
    ["free coordinates only", 24, 30],
  ])("starts at rounding error and grows with training: %s", async (_, width, steps) => {
    const parent = await train(initGpt2(config, createRng(1)), 30);
    const { child, map } = await expandModel(parent, { ...options, width }, createRng(2));
    const before = await measure(child, map);
    expect(before.offImage).toBeLessThan(1e-10);
    expect(before.spread).toBeLessThan(1e-10);
    const after = await measure(await train(child, steps), map);
    expect(after.offImage).toBeGreaterThan(1e-4);
    expect(after.spread).toBeGreaterThan(1e-4);
  });

  it("never happens to exact copies without noise", async () => {
    const silent = { ...options, width: 32, noise_db: null };
    const { child, map } = await expandModel(initGpt2(config, createRng(1)), silent, createRng(2));
    expect((await measure(await train(child, 20), map)).spread).toBeLessThan(1e-10);
  });

  // A few short sequences: what counts is the number of steps.
  const few = (seed: number) => ({ ids: batchOf(seed).ids.subarray(0, 32), context: 16 });

  async function after200Steps(family: string, flags: GrowthFlags): Promise<(number | null)[]> {
    const parent = initModel(families[family], createRng(1));
    const { child, map } = await expandModel(
      parent,
      parseGrowth(flags, parent.config).options,
      createRng(2),
    );
    const trainer = createLmTrainer(child, { ...lmTrainDefaults, steps: 200 });
    for (let step = 0; step < 200; step++) await trainer.step(few(step));
    const trained = await trainer.model();
    trainer.dispose();
    const points = ["hook_resid_post", "attn.hook_z", "mlp.hook_post"];
    return await Promise.all(
      points.map(async (point) => (await measure(trained, map, `blocks.1.${point}`)).spread),
    );
  }

  it.each([
    ["lemon", "gpt2", { width: 24 }], // q = 1: copies of the mean alone
    ["lemon", "gpt2", { width: 32 }],
    ["hypercloning", "llama", { width: 32, heads: 8 }],
    ["gesmundo-maile", "llama", { width: 24 }],
    ["net2net", "gpt2", { width: 24 }],
    ["bert2bert-fpi", "gpt2", { width: 24 }],
    ["bert2bert-aki", "llama", { width: 24, mlp: 50 }],
  ] as [string, string, GrowthFlags][])(
    "reaches 1e-4 within 200 steps under the defaults of %s: %s to %o",
    async (method, family, sizes) => {
      const [stream, ...units] = await after200Steps(family, { ...sizes, method });
      expect(stream).toBeGreaterThanOrEqual(1e-4);
      // null where no unit was copied
      for (const spread of units) if (spread !== null) expect(spread).toBeGreaterThanOrEqual(1e-4);
    },
  );

  it("never happens to hypercloning without noise", async () => {
    const flags = { width: "2x", method: "hypercloning", "noise-db": false } as const;
    for (const spread of await after200Steps("gpt2", flags)) {
      expect(spread).not.toBeNull();
      expect(spread).toBeLessThanOrEqual(1e-10);
    }
  });

  it("tells copied neurons apart too", async () => {
    const parent = initGpt2(config, createRng(1));
    const { child, map } = await expandModel(parent, { ...options, mlp: 128 }, createRng(2));
    const at = "blocks.0.mlp.hook_post";
    expect((await measure(child, map, at)).spread).toBeLessThan(1e-10);
    expect((await measure(await train(child, 30), map, at)).spread).toBeGreaterThan(1e-4);
  });
});

describe("copySpread", () => {
  const map = planExpansion(config, { ...options, width: 40 }, createRng(1)).map;

  it("is the variance among equal coordinates over the mean square of all, by hand", async () => {
    // coordinate i and i + 16 are equal on the image, and so are the last 8
    const row = mapVectors(map, "residual", new Float64Array(16).fill(1));
    expect(row).toBeAllclose(new Float64Array(40).fill(1));
    row[0] += 1; // pair (2, 1): variance 1/4 each
    const want = (2 * 0.25) / 40 / ((39 + 4) / 40);
    expect(await copySpread(map, "residual", row)).toBeCloseTo(want, 12);
  });

  it("is null where no two coordinates are equal, as off-image energy is for the identity", async () => {
    const deeper = planExpansion(config, { ...options, layers: 3 }, createRng(1)).map;
    const row = new Float64Array(16).fill(1);
    expect(await copySpread(deeper, "identity", row)).toBeNull();
    expect(await offImageEnergy(deeper, "identity", row)).toBeNull();
  });
});

describe("offImageEnergy", () => {
  const map = planExpansion(config, { ...options, width: 40 }, createRng(1)).map;

  it("is 0 on the image, 1 across it, and the share in between, for tensors as for arrays", async () => {
    const inside = mapVectors(
      map,
      "residual",
      Float64Array.from({ length: 16 }, (_, i) => i + 1),
    );
    const across = new Float64Array(40);
    across[3] = 1;
    across[19] = -1; // two copies that cancel
    expect(await offImageEnergy(map, "residual", inside)).toBeCloseTo(0, 20);
    expect(await offImageEnergy(map, "residual", across)).toBeCloseTo(1, 12);
    const both = inside.map((value, i) => value + across[i]);
    const energy = both.reduce((sum, value) => sum + value ** 2, 0);
    expect(await offImageEnergy(map, "residual", both)).toBeCloseTo(2 / energy, 12);
    const tensor = tf.tensor2d(Float32Array.from(both), [1, 40]);
    expect(await offImageEnergy(map, "residual", tensor)).toBeCloseTo(2 / energy, 6);
    tensor.dispose();
  });
});
