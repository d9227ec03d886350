/**
 * Models as Hugging Face folders: `config.json` and the weights. Reading is strict: every parameter must be there
 * with its shape, and a tensor that the model has no use for is an error. Half-precision numbers are widened.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  type FloatDtype,
  type HostTensor,
  readJson,
  UsageError,
  writeJsonAtomic,
} from "../io/index.ts";
import type { ModelConfig } from "./config.ts";
import { familyOf, parseConfig } from "./families.ts";
import { type HostModel, parameterShapes, unembeddingName } from "./model.ts";
import { readWeightFiles, type WeightFileOptions, writeWeightFiles } from "./weight-files.ts";

const configFile = "config.json";

/** Reads a checkpoint folder's configuration alone. Errors: UsageError naming file and field. */
export function loadConfig(dir: string): ModelConfig {
  const path = join(dir, configFile);
  if (!existsSync(path)) {
    throw new UsageError({
      code: "no-model",
      where: dir,
      expected: `a model folder with ${configFile} and model.safetensors`,
      got: existsSync(dir) ? `no ${configFile} in it` : "no such folder",
    });
  }
  return parseConfig(readJson(path), path);
}

/**
 * Reads a checkpoint folder of any family. Names without the model's prefix are accepted, so is an unembedding
 * that equals the embedding it is tied to. Errors: UsageError naming file and field.
 */
export function loadModel(dir: string): HostModel {
  const config = loadConfig(dir);
  const family = familyOf(config);
  const shapes = parameterShapes(config);
  const bad = (where: string, expected: string, got: string): UsageError =>
    new UsageError({
      code: "bad-checkpoint",
      where,
      expected,
      got,
      hint: `The checkpoint is not a ${family.title} as transformers stores it, or it is damaged.`,
    });
  const found = new Map<string, HostTensor>();
  let head: { readonly where: string; readonly tensor: HostTensor } | undefined;
  let last = join(dir, "model.safetensors");
  for (const { name: stored, path, tensor } of readWeightFiles(dir)) {
    const name = family.canonicalName(stored);
    const where = `${path}: ${name}`;
    last = path;
    const shape = shapes.get(name);
    if (!shape) {
      if (name === family.unembedding && !head) head = { where, tensor };
      else if (!family.isBuffer(name)) {
        throw bad(where, "only parameters of this model", "a tensor it has no use for");
      }
      continue;
    }
    if (found.has(name)) throw bad(where, "each parameter once", "it under two names");
    if (tensor.shape.join() !== shape.join()) {
      throw bad(where, `shape [${shape}]`, `[${tensor.shape}]`);
    }
    if (!(tensor.data instanceof Float32Array)) {
      throw bad(where, "floating-point numbers of at most 32 bits", "another type");
    }
    found.set(name, tensor);
  }
  const weights = new Map<string, HostTensor>();
  for (const [name, shape] of shapes) {
    const tensor = found.get(name);
    if (!tensor) throw bad(`${last}: ${name}`, `a tensor [${shape}]`, "nothing");
    weights.set(name, tensor);
  }
  if (head) {
    const table = weights.get(unembeddingName(config)) as HostTensor;
    const { shape, data } = head.tensor;
    const same =
      shape.join() === table.shape.join() &&
      (table.data as Float32Array).every((x, i) => x === data[i]);
    if (!same) throw bad(head.where, "the embedding again (tied)", "other numbers");
  }
  return { config, weights };
}

/** Names of the types in `config.json`. */
const torchNames: Readonly<Record<FloatDtype, string>> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
};

/** Writes a model as a Hugging Face folder, file by file atomically. */
export function saveModel(dir: string, model: HostModel, options: WeightFileOptions = {}): void {
  mkdirSync(dir, { recursive: true });
  writeWeightFiles(dir, model.weights, options);
  writeJsonAtomic(join(dir, configFile), {
    ...familyOf(model.config).json(model.config),
    torch_dtype: torchNames[options.dtype ?? "F32"],
  });
}
