// Growth from disk to disk: the same numbers as in memory, whatever the backend, and memory for a few tensors only.
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { createRng, useBackend } from "../../src/engine/index.ts";
import { type ExpandOptions, expandCheckpoint, expandModel } from "../../src/expansion/index.ts";
import { RunError, UsageError } from "../../src/io/index.ts";
import {
  checkpointSink,
  type Gpt2Config,
  gpt2Config,
  type HostModel,
  loadModel,
  openCheckpoint,
  parameterShapes,
  saveModel,
} from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { temporaryFolder } from "../support/folder.ts";
import { heldBytes } from "../support/held-memory.ts";
import { roughConfigs, roughModel } from "../support/rough-models.ts";

const at = temporaryFolder();

beforeAll(async () => {
  await useBackend(testBackend);
});

const options: ExpandOptions = {
  mlp: 161,
  layers: 3,
  method: "lemon",
  depth_method: "identity",
  positions: "interleaved",
  noise_db: 10,
};

test.each(["neox", "llama", "mixtral"] as const)(
  "%s grows from disk to disk as it does in memory, also into shards",
  async (name) => {
    const parent = roughModel(roughConfigs[name], 3);
    saveModel(at("parent"), parent, { maxShardBytes: 9000 });
    const growth = { ...options, width: 2 * widthOf(parent) };
    const { child } = await expandModel(parent, growth, createRng("seed"));
    await expandCheckpoint(openCheckpoint(at("parent")), at("one"), growth, createRng("seed"));
    expect(loadModel(at("one"))).toEqual(child);
    const shares: number[] = [];
    await expandCheckpoint(openCheckpoint(at("parent")), at("many"), growth, createRng("seed"), {
      maxShardBytes: 20_000,
      onProgress: (share) => shares.push(share),
    });
    expect(loadModel(at("many"))).toEqual(child);
    expect(shares.at(-1)).toBe(1);
    saveModel(at("saved"), child, { maxShardBytes: 20_000 });
    const files = readdirSync(at("saved"));
    expect(readdirSync(at("many")).sort()).toEqual(files.sort());
    expect(files.length).toBeGreaterThan(4);
    for (const file of files) {
      expect(readFileSync(at("many", file)).equals(readFileSync(at("saved", file)))).toBe(true);
    }
  },
);

function widthOf({ weights }: HostModel): number {
  const [table] = weights.values();
  return table.shape[1];
}

test("numbers that float16 can't hold end it, and nothing is left under the name of a weight file", async () => {
  const parent = roughModel(roughConfigs.llama, 4);
  const weights = new Map(parent.weights);
  const [name] = [...weights.keys()].slice(-1);
  const { shape, data } = weights.get(name)!;
  weights.set(name, { shape, data: (data as Float32Array).map(() => 1e6) });
  saveModel(at("large"), { ...parent, weights });
  const growth = { ...options, mlp: undefined };
  const grown = expandCheckpoint(openCheckpoint(at("large")), at("small"), growth, createRng(1), {
    dtype: "F16",
  });
  await expect(grown).rejects.toThrow(RunError);
  expect(readdirSync(at("small"))).toEqual([]);
});

test("a shard that was cut short after it was opened is named", async () => {
  saveModel(at("cut"), roughModel(roughConfigs.llama, 5));
  const checkpoint = openCheckpoint(at("cut"));
  const file = at("cut", "model.safetensors");
  writeFileSync(file, readFileSync(file).subarray(0, 2000));
  const grown = expandCheckpoint(
    checkpoint,
    at("never"),
    { ...options, mlp: undefined },
    createRng(1),
  );
  await expect(grown).rejects.toThrow(UsageError);
  await expect(grown).rejects.toThrow(/model\.safetensors: tensor/);
});

test("memory stays at a few tensors, however many there are", async () => {
  const config = gpt2Config({
    vocab_size: 500,
    n_positions: 16,
    n_embd: 256,
    n_head: 4,
    n_layer: 12,
  });
  writeParent(at("parent"), config);
  mkdirSync(at("child"));
  const parent = openCheckpoint(at("parent"));
  const growth = { ...options, mlp: undefined, layers: undefined, width: 384, noise_db: null };
  const before = heldBytes();
  let [calls, most] = [0, 0];
  await expandCheckpoint(parent, at("child"), growth, createRng(1), {
    maxShardBytes: 20e6,
    onProgress: () => {
      if (calls++ % 16 === 0) most = Math.max(most, heldBytes() - before);
    },
  });
  const size = (name: string): number =>
    readdirSync(at(name)).reduce((sum, file) => sum + statSync(at(name, file)).size, 0);
  expect(readdirSync(at("child"))).toContain("model.safetensors.index.json");
  expect(calls).toBeGreaterThan(100);
  expect(size("parent")).toBeGreaterThan(36e6);
  expect(size("child")).toBeGreaterThan(80e6);
  expect(most).toBeLessThan(24e6); // the block of 8 MiB that is written, and a few tensors: 15.4 MB when measured
});

/** A checkpoint of small numbers, written without holding it. */
function writeParent(dir: string, config: Gpt2Config): void {
  mkdirSync(dir, { recursive: true });
  const sink = checkpointSink(dir, config);
  for (const [name, shape] of parameterShapes(config)) {
    const size = shape.reduce((a, b) => a * b);
    sink.write(
      name,
      0,
      Float32Array.from({ length: size }, (_, i) => ((i % 199) - 99) / 1000),
    );
  }
  sink.commit();
}
