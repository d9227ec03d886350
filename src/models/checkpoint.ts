/**
 * Models as Hugging Face folders: `config.json` and `model.safetensors`. Reading is strict: every
 * parameter must be there with its shape, and a tensor that the model has no use for is an error.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  type HostTensor,
  readJson,
  readSafetensors,
  UsageError,
  writeJsonAtomic,
  writeSafetensors,
} from "../io/index.ts";
import { gpt2ConfigJson, parseGpt2Config } from "./gpt2-config.ts";
import { gpt2Shapes, type HostModel } from "./gpt2-weights.ts";

const configFile = "config.json";
const weightsFile = "model.safetensors";

/** Attention masks that old GPT-2 checkpoints store as tensors; they hold no parameter. */
const maskBuffer = /^transformer\.h\.\d+\.attn\.(bias|masked_bias)$/;

/**
 * Reads a GPT-2 checkpoint folder. Names without the `transformer.` prefix are accepted, so is an
 * `lm_head.weight` that equals the embedding. Errors: UsageError naming file and field.
 */
export function loadModel(dir: string): HostModel {
  const configPath = join(dir, configFile);
  if (!existsSync(configPath)) {
    throw new UsageError({
      code: "no-model",
      where: dir,
      expected: `a model folder with ${configFile} and ${weightsFile}`,
      got: existsSync(dir) ? `no ${configFile} in it` : "no such folder",
    });
  }
  const config = parseGpt2Config(readJson(configPath), configPath);
  const path = join(dir, weightsFile);
  const stored = new Map<string, HostTensor>();
  for (const [short, tensor] of readSafetensors(path).tensors) {
    const name = /^(transformer|lm_head)\./.test(short) ? short : `transformer.${short}`;
    if (stored.has(name)) {
      throw bad(`${path}: ${name}`, "each parameter once", "it with and without its prefix");
    }
    stored.set(name, tensor);
  }
  const weights = new Map<string, HostTensor>();
  for (const [name, shape] of gpt2Shapes(config)) {
    const tensor = stored.get(name);
    if (!tensor) throw bad(`${path}: ${name}`, `a tensor [${shape}]`, "nothing");
    if (tensor.shape.join() !== shape.join()) {
      throw bad(`${path}: ${name}`, `shape [${shape}]`, `[${tensor.shape}]`);
    }
    if (!(tensor.data instanceof Float32Array)) {
      throw bad(`${path}: ${name}`, "floating-point numbers of at most 32 bits", "another type");
    }
    weights.set(name, tensor);
    stored.delete(name);
  }
  const head = stored.get("lm_head.weight");
  if (head) {
    const table = weights.get("transformer.wte.weight") as HostTensor;
    const same =
      head.shape.join() === table.shape.join() &&
      (table.data as Float32Array).every((x, i) => x === head.data[i]);
    if (!same) {
      throw bad(`${path}: lm_head.weight`, "the embedding again (tied)", "other numbers");
    }
    stored.delete("lm_head.weight");
  }
  for (const name of stored.keys()) {
    if (!maskBuffer.test(name)) {
      throw bad(`${path}: ${name}`, "only parameters of this model", "a tensor it has no use for");
    }
  }
  return { config, weights };
}

/** Writes a model as a Hugging Face folder, file by file atomically. */
export function saveModel(dir: string, model: HostModel): void {
  mkdirSync(dir, { recursive: true });
  writeSafetensors(join(dir, weightsFile), model.weights, { format: "pt" });
  writeJsonAtomic(join(dir, configFile), gpt2ConfigJson(model.config));
}

function bad(where: string, expected: string, got: string): UsageError {
  return new UsageError({
    code: "bad-checkpoint",
    where,
    expected,
    got,
    hint: "The checkpoint is not a GPT-2 as transformers stores it, or it is damaged.",
  });
}
