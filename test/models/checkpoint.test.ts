// Checkpoint folders: bit for bit there and back, and every kind of damage named by file and tensor.
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  encodeSafetensors,
  type HostTensor,
  readSafetensors,
  UsageError,
  writeSafetensors,
} from "../../src/io/index.ts";
import { gpt2Config, gpt2ConfigJson, loadModel, saveModel } from "../../src/models/index.ts";
import { temporaryFolder } from "../support/folder.ts";
import { randomModel } from "../support/growth-f64.ts";

const at = temporaryFolder();

const config = gpt2Config({
  vocab_size: 7,
  n_positions: 5,
  n_embd: 6,
  n_layer: 2,
  n_head: 2,
  n_inner: 9,
  layer_norm_epsilon: 1e-3,
  end_of_text: 6,
});
const model = randomModel(config, "checkpoint");

/** A folder with the model's configuration and these tensors. */
function folderWith(tensors: ReadonlyMap<string, HostTensor>): string {
  mkdirSync(at("model"), { recursive: true });
  writeFileSync(at("model", "config.json"), JSON.stringify(gpt2ConfigJson(config)));
  writeFileSync(at("model", "model.safetensors"), encodeSafetensors(tensors));
  return at("model");
}

function changed(change: (weights: Map<string, HostTensor>) => void): string {
  const weights = new Map(model.weights);
  change(weights);
  return folderWith(weights);
}

function problemOf(dir: string): UsageError {
  try {
    loadModel(dir);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

test("a model comes back bit for bit, and saving it again gives the same bytes", () => {
  saveModel(at("a"), model);
  const back = loadModel(at("a"));
  expect(back.config).toEqual(config);
  expect(back.weights).toEqual(model.weights);
  saveModel(at("b"), back);
  for (const name of ["config.json", "model.safetensors"]) {
    expect(readFileSync(at("b", name)).equals(readFileSync(at("a", name)))).toBe(true);
  }
});

test("names without the transformer prefix are read, as downloaded GPT-2 checkpoints have them", () => {
  const bare = new Map(
    [...model.weights].map(([name, tensor]) => [name.replace(/^transformer\./, ""), tensor]),
  );
  expect(loadModel(folderWith(bare)).weights).toEqual(model.weights);
});

test("a parameter that is there with and without the prefix is refused, not chosen from", () => {
  const dir = changed((weights) => {
    weights.set("wpe.weight", weights.get("transformer.wpe.weight")!);
  });
  expect(problemOf(dir)).toMatchObject({
    where: `${dir}/model.safetensors: transformer.wpe.weight`,
    expected: "each parameter once",
  });
});

test("an lm_head equal to the embedding is left out; another one is refused", () => {
  const table = model.weights.get("transformer.wte.weight")!;
  const tied = changed((weights) => weights.set("lm_head.weight", table));
  expect(loadModel(tied).weights).toEqual(model.weights);
  const other = Float32Array.from(table.data as Float32Array);
  other[3] += 1;
  for (const head of [
    { shape: table.shape, data: other },
    { shape: [...table.shape].reverse(), data: table.data },
    { shape: [1, 6], data: other.slice(0, 6) },
  ]) {
    const dir = changed((weights) => weights.set("lm_head.weight", head));
    expect(problemOf(dir)).toMatchObject({ where: `${dir}/model.safetensors: lm_head.weight` });
  }
});

test("the attention masks that old checkpoints store as tensors are left out", () => {
  const mask = { shape: [1, 1, 5, 5], data: new Uint8Array(25) };
  const dir = changed((weights) => {
    weights.set("h.0.attn.bias", mask);
    weights.set("transformer.h.1.attn.bias", mask);
    weights.set("h.1.attn.masked_bias", { shape: [], data: Float32Array.of(-1e4) });
  });
  expect(loadModel(dir).weights).toEqual(model.weights);
});

test("a missing tensor, one too many, and a wrong shape are named", () => {
  const name = "transformer.h.1.mlp.c_fc.weight";
  const tensor = model.weights.get(name)!;
  const missing = changed((weights) => weights.delete(name));
  expect(problemOf(missing)).toMatchObject({
    where: `${missing}/model.safetensors: ${name}`,
    expected: "a tensor [6,9]",
    got: "nothing",
  });
  const extra = changed((weights) => weights.set("score.weight", tensor));
  expect(problemOf(extra)).toMatchObject({
    where: `${extra}/model.safetensors: transformer.score.weight`,
    got: "a tensor it has no use for",
  });
  const turned = changed((weights) => weights.set(name, { ...tensor, shape: [9, 6] }));
  expect(problemOf(turned)).toMatchObject({
    where: `${turned}/model.safetensors: ${name}`,
    expected: "shape [6,9]",
    got: "[9,6]",
  });
});

test("parameters of more than 32 bits, or whole numbers, are refused and not rounded", () => {
  const name = "transformer.ln_f.bias";
  for (const data of [new Float64Array(6), new Int32Array(6)]) {
    const dir = changed((weights) => weights.set(name, { shape: [6], data }));
    expect(problemOf(dir).where).toBe(`${dir}/model.safetensors: ${name}`);
  }
});

test("half-precision parameters are widened", () => {
  const dir = folderWith(model.weights);
  const path = at("model", "model.safetensors");
  const name = "transformer.ln_f.bias";
  // 1, −2, 0.5 and zeros in bfloat16: the upper halves of their float32
  const half = Uint8Array.from([0x80, 0x3f, 0x00, 0xc0, 0x00, 0x3f, 0, 0, 0, 0, 0, 0]);
  writeFileSync(path, withRaw(readFileSync(path), name, "BF16", half));
  expect([...(loadModel(dir).weights.get(name)!.data as Float32Array)]).toEqual([
    1, -2, 0.5, 0, 0, 0,
  ]);
});

test("NaN, a cut file and a missing file are named", () => {
  const name = "transformer.wte.weight";
  const nan = Float32Array.from(model.weights.get(name)!.data as Float32Array);
  nan[2] = Number.NaN;
  const dir = changed((weights) => weights.set(name, { shape: [7, 6], data: nan }));
  expect(problemOf(dir)).toMatchObject({
    where: `${dir}/model.safetensors: tensor ${name}`,
    got: "NaN at element 2",
  });
  const cut = folderWith(model.weights);
  truncateSync(at("model", "model.safetensors"), 4000);
  expect(problemOf(cut)).toMatchObject({ code: "safetensors-truncated" });
  expect(problemOf(cut).where).toContain(`${cut}/model.safetensors: tensor transformer.`);
  expect(problemOf(at("nowhere"))).toMatchObject({ where: at("nowhere"), got: "no such folder" });
  mkdirSync(at("empty"));
  expect(problemOf(at("empty"))).toMatchObject({ code: "no-model", got: "no config.json in it" });
  writeFileSync(at("empty", "config.json"), JSON.stringify(gpt2ConfigJson(config)));
  expect(problemOf(at("empty")).where).toBe(at("empty", "model.safetensors"));
});

test("weights that are not finite are not written", () => {
  const weights = new Map(model.weights);
  weights.set("transformer.ln_f.bias", { shape: [6], data: new Float32Array(6).fill(Infinity) });
  expect(() => saveModel(at("bad"), { config, weights })).toThrow(/transformer\.ln_f\.bias/);
  writeSafetensors(at("ok.safetensors"), model.weights);
  expect(readSafetensors(at("ok.safetensors")).tensors.size).toBe(model.weights.size);
});

/** The bytes of a file with one tensor's type and bytes replaced, the tensor moved to the end. */
function withRaw(file: Buffer, name: string, dtype: string, raw: Uint8Array): Uint8Array {
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + length).toString()) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const pieces: Uint8Array[] = [];
  const out: typeof header = {};
  let to = 0;
  const put = (key: string, entry: (typeof header)[string], bytes: Uint8Array): void => {
    out[key] = { ...entry, data_offsets: [to, to + bytes.length] };
    pieces.push(bytes);
    to += bytes.length;
  };
  for (const [key, entry] of Object.entries(header)) {
    if (key === name || key === "__metadata__") continue;
    const [begin, end] = entry.data_offsets;
    put(key, entry, file.subarray(8 + length + begin, 8 + length + end));
  }
  put(name, { ...header[name], dtype }, raw);
  const json = Buffer.from(JSON.stringify(out));
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([head, json, ...pieces]);
}
