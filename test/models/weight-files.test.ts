// Weights on disk: single and in shards, in half precision, and every kind of damage named by file.
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  type HostTensor,
  readSafetensorsHeader,
  UsageError,
  writeSafetensors,
} from "../../src/io/index.ts";
import { loadModel, saveModel } from "../../src/models/index.ts";
import { temporaryFolder } from "../support/folder.ts";
import { roughConfigs, roughModel } from "../support/rough-models.ts";

const at = temporaryFolder();
const model = roughModel(roughConfigs.llama, 1);
const index = "model.safetensors.index.json";

function problemOf(dir: string): UsageError {
  try {
    loadModel(dir);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

function shards(dir: string): string[] {
  return readdirSync(dir).filter((name) => /^model-.*\.safetensors$/.test(name));
}

test.each(Object.entries(roughConfigs))("%s comes back bit for bit", (name, config) => {
  const rough = roughModel(config, name);
  saveModel(at("model"), rough);
  expect(loadModel(at("model"))).toEqual(rough);
});

test("shards are filled in order up to the limit, and come back bit for bit", () => {
  saveModel(at("a"), model, { maxShardBytes: 12_000 });
  const files = shards(at("a"));
  expect(files.length).toBeGreaterThan(2);
  expect(files[0]).toBe(`model-00001-of-0000${files.length}.safetensors`);
  for (const file of files) {
    const { tensors } = readSafetensorsHeader(at("a", file));
    expect(tensors.length === 1 || tensors[tensors.length - 1].end <= 12_000).toBe(true);
  }
  const { metadata, weight_map } = JSON.parse(readFileSync(at("a", index), "utf8"));
  expect(Object.keys(weight_map)).toEqual([...model.weights.keys()]);
  const numbers = [...model.weights.values()].reduce((sum, { data }) => sum + data.length, 0);
  expect(metadata.total_size).toBe(4 * numbers);
  expect(loadModel(at("a"))).toEqual(model);
  saveModel(at("b"), loadModel(at("a")), { maxShardBytes: 12_000 });
  for (const file of [...files, index, "config.json"]) {
    expect(readFileSync(at("b", file)).equals(readFileSync(at("a", file)))).toBe(true);
  }
});

test("writing over another layout leaves nothing that would be read in its place", () => {
  saveModel(at("model"), roughModel(roughConfigs.llama, 2), { maxShardBytes: 12_000 });
  saveModel(at("model"), model);
  expect(readdirSync(at("model")).sort()).toEqual(["config.json", "model.safetensors"]);
  saveModel(at("model"), roughModel(roughConfigs.llama, 2), { maxShardBytes: 12_000 });
  expect(readdirSync(at("model"))).not.toContain("model.safetensors");
  expect(loadModel(at("model"))).toEqual(roughModel(roughConfigs.llama, 2));
});

test.each([
  ["F16", "float16", 2 ** -11],
  ["BF16", "bfloat16", 2 ** -8],
] as const)(
  "in %s numbers are rounded to nearest and the configuration says so",
  (dtype, name, unit) => {
    saveModel(at("half"), model, { dtype });
    expect(JSON.parse(readFileSync(at("half", "config.json"), "utf8")).torch_dtype).toBe(name);
    const { tensors } = readSafetensorsHeader(at("half", "model.safetensors"));
    expect(new Set(tensors.map((tensor) => tensor.dtype))).toEqual(new Set([dtype]));
    const back = loadModel(at("half"));
    let worst = 0;
    for (const [key, { data }] of model.weights) {
      const got = back.weights.get(key)!.data as Float32Array;
      (data as Float32Array).forEach((x, i) => {
        if (Math.abs(x) > 1e-3) worst = Math.max(worst, Math.abs(got[i] - x) / Math.abs(x));
      });
    }
    expect(worst).toBeGreaterThan(unit / 4);
    expect(worst).toBeLessThanOrEqual(unit);
    saveModel(at("again"), back, { dtype });
    const file = "model.safetensors";
    expect(readFileSync(at("again", file)).equals(readFileSync(at("half", file)))).toBe(true);
  },
);

test("a checkpoint is replaced whole: a failure half-way leaves the one before, and other files stay", () => {
  const limits = { maxShardBytes: 12_000 };
  saveModel(at("model"), model, limits);
  writeFileSync(at("model", "tokenizer.json"), "{}");
  mkdirSync(at("model", "notes"));
  writeFileSync(at("model", "notes", "a.txt"), "kept");
  const before = readdirSync(at("model")).sort();
  const weights = new Map(roughModel(roughConfigs.llama, 2).weights);
  const last = [...weights.keys()].at(-1) as string;
  const { shape, data } = weights.get(last)!;
  weights.set(last, { shape, data: (data as Float32Array).map(() => 1e6) });
  const large = { ...model, weights };
  expect(() => saveModel(at("model"), large, { ...limits, dtype: "F16" })).toThrow(/F16/);
  expect(readdirSync(at("model")).sort()).toEqual(before);
  expect(readdirSync(at()).filter((name) => name.startsWith("."))).toEqual([]);
  expect(loadModel(at("model"))).toEqual(model);
  saveModel(at("model"), large);
  expect(readdirSync(at("model")).sort()).toEqual(
    ["config.json", "model.safetensors", "notes", "tokenizer.json"].sort(),
  );
  expect(readFileSync(at("model", "notes", "a.txt"), "utf8")).toBe("kept");
  expect(loadModel(at("model"))).toEqual(large);
});

test("numbers beyond float16 are refused, and bfloat16 takes them", () => {
  const weights = new Map(model.weights);
  weights.set("model.norm.weight", { shape: [28], data: new Float32Array(28).fill(7e4) });
  const large = { ...model, weights };
  expect(() => saveModel(at("f16"), large, { dtype: "F16" })).toThrow(/model\.norm\.weight.*F16/);
  saveModel(at("bf16"), large, { dtype: "BF16" });
  const norm = loadModel(at("bf16")).weights.get("model.norm.weight")!;
  expect(norm.data[0]).toBeCloseTo(7e4, -3);
});

describe("damage is named by file and tensor", () => {
  const first = "model-00001-of-00007.safetensors";

  function sharded(): string {
    saveModel(at("model"), model, { maxShardBytes: 9000 });
    expect(shards(at("model"))[0]).toBe(first);
    return at("model");
  }

  function changeIndex(change: (map: Record<string, unknown>) => unknown): string {
    const dir = sharded();
    const json = JSON.parse(readFileSync(at("model", index), "utf8"));
    json.weight_map = change(json.weight_map) ?? json.weight_map;
    writeFileSync(at("model", index), JSON.stringify(json));
    return dir;
  }

  test("a shard that isn't there", () => {
    const dir = sharded();
    rmSync(at("model", first));
    expect(problemOf(dir).where).toBe(`${dir}/${first}`);
  });

  test("a tensor that the index has and the shard hasn't, and the other way round", () => {
    const more = changeIndex((map) => {
      map["model.extra"] = first;
    });
    expect(problemOf(more)).toMatchObject({ where: `${more}/${first}: model.extra` });
    const less = changeIndex((map) => {
      delete map["model.embed_tokens.weight"];
    });
    expect(problemOf(less)).toMatchObject({ where: `${less}/${first}: model.embed_tokens.weight` });
  });

  test.each([["../model.safetensors"], ["/etc/passwd"], ["a/b.safetensors"], [7], ["weights.bin"]])(
    "%j as the name of a shard",
    (file) => {
      const dir = changeIndex((map) => {
        map["model.norm.weight"] = file;
      });
      expect(problemOf(dir).where).toBe(`${dir}/${index}: weight_map.model.norm.weight`);
    },
  );

  test("an index without a map", () => {
    expect(problemOf(changeIndex(() => [])).where).toBe(`${at("model", index)}: weight_map`);
  });

  test("a tensor in two shards", () => {
    const dir = sharded();
    const norm = model.weights.get("model.norm.weight") as HostTensor;
    rmSync(at("model", index));
    mkdirSync(at("extra"));
    writeSafetensors(at("model", "again.safetensors"), new Map([["norm.weight", norm]]));
    const files = shards(dir).flatMap((file) =>
      readSafetensorsHeader(at("model", file)).tensors.map(({ name }) => [name, file]),
    );
    const weight_map = { ...Object.fromEntries(files), "norm.weight": "again.safetensors" };
    writeFileSync(at("model", index), JSON.stringify({ weight_map }));
    expect(problemOf(dir)).toMatchObject({ expected: "each parameter once" });
    expect(problemOf(dir).where).toContain("model.norm.weight");
  });

  test("weights as a pickle only", () => {
    saveModel(at("model"), model);
    renameSync(at("model", "model.safetensors"), at("model", "pytorch_model.bin"));
    expect(problemOf(at("model"))).toMatchObject({ code: "no-safetensors" });
  });

  test("constants that old checkpoints carry along are left out; other tensors are not", () => {
    const rough = roughModel(roughConfigs.neox, 1);
    saveModel(at("model"), rough);
    const weights = new Map(rough.weights);
    const at0 = "gpt_neox.layers.0.attention";
    const table = weights.get("embed_out.weight")!;
    weights.delete("embed_out.weight");
    weights.set("lm_head.weight", table); // transformers 5's name
    weights.set(`${at0}.bias`, { shape: [1, 1, 2, 2], data: new Uint8Array(4) });
    weights.set(`${at0}.masked_bias`, { shape: [], data: Float32Array.of(-1e9) });
    weights.set(`${at0}.rotary_emb.inv_freq`, { shape: [2], data: Float32Array.of(1, 0.1) });
    writeSafetensors(at("model", "model.safetensors"), weights);
    expect(loadModel(at("model"))).toEqual(rough);
    weights.set(`${at0}.rotary_emb.scale`, { shape: [1], data: Float32Array.of(1) });
    writeSafetensors(at("model", "model.safetensors"), weights);
    expect(problemOf(at("model"))).toMatchObject({ got: "a tensor it has no use for" });
  });
});
