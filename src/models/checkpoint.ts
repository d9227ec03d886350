/**
 * Models as Hugging Face folders: `config.json` and the weights. Reading is strict: every parameter must be there
 * with its shape, and a tensor that the model has no use for is an error. Half-precision numbers are widened.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { tf } from "../engine/index.ts";
import {
  type FloatDtype,
  type HostTensor,
  readJson,
  replaceFolderSync,
  sizeOf,
  UsageError,
  writeJsonAtomic,
} from "../io/index.ts";
import type { ModelConfig } from "./config.ts";
import { familyOf, parseConfig } from "./families.ts";
import { type HostModel, type Model, parameterShapes, unembeddingName } from "./model.ts";
import {
  isWeightFile,
  type StoredTensor,
  storedTensors,
  type WeightFileOptions,
  WeightSink,
} from "./weight-files.ts";

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

/** A checkpoint whose headers were read and checked; tensors are read when they are asked for. */
export interface Checkpoint {
  readonly config: ModelConfig;
  /** The widest of the types its parameters are stored as. */
  readonly dtype: FloatDtype;
  /** Bytes of its largest parameter, widened to f32. */
  readonly largestBytes: number;
  /** One parameter, by its canonical name. Errors: UsageError where its numbers are damaged. */
  read(name: string): HostTensor;
}

/**
 * Opens a checkpoint folder of any family. Names without the model's prefix are accepted, so is an unembedding
 * that equals the embedding it is tied to. Errors: UsageError naming file and field.
 */
export function openCheckpoint(dir: string): Checkpoint {
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
  const found = new Map<string, StoredTensor>();
  let head: { readonly where: string; readonly tensor: StoredTensor } | undefined;
  let last = join(dir, "model.safetensors");
  for (const tensor of storedTensors(dir)) {
    const name = family.canonicalName(tensor.name);
    const where = `${tensor.path}: ${name}`;
    last = tensor.path;
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
    if (!floatTypes.some((dtype) => dtype === tensor.dtype)) {
      throw bad(where, "floating-point numbers of at most 32 bits", tensor.dtype);
    }
    found.set(name, tensor);
  }
  for (const [name, shape] of shapes) {
    if (!found.has(name)) throw bad(`${last}: ${name}`, `a tensor [${shape}]`, "nothing");
  }
  const read = (name: string): HostTensor => {
    const tensor = found.get(name);
    if (!tensor) throw new Error(`internal: the checkpoint has no parameter ${name}`);
    return tensor.read();
  };
  if (head) {
    const table = read(unembeddingName(config));
    const { shape, data } = head.tensor.read();
    const same =
      shape.join() === table.shape.join() &&
      (table.data as Float32Array).every((x, i) => x === data[i]);
    if (!same) throw bad(head.where, "the embedding again (tied)", "other numbers");
  }
  const stored = new Set([...found.values()].map(({ dtype }) => dtype as FloatDtype));
  const [only] = stored;
  return {
    config,
    dtype: stored.size === 1 ? only : "F32",
    largestBytes: 4 * Math.max(...[...shapes.values()].map(sizeOf)),
    read,
  };
}

/** Reads a checkpoint folder whole. Errors: those of `openCheckpoint`. */
export function loadModel(dir: string): HostModel {
  return readCheckpoint(openCheckpoint(dir));
}

/** Reads every parameter of an open checkpoint. Errors: UsageError for damaged numbers. */
export function readCheckpoint({ config, read }: Checkpoint): HostModel {
  const weights = new Map<string, HostTensor>();
  for (const name of parameterShapes(config).keys()) weights.set(name, read(name));
  return { config, weights };
}

/** Reads every parameter onto the engine, one at a time; the caller disposes the model. */
export function placeCheckpoint({ config, read }: Checkpoint): Model {
  const params = new Map<string, tf.Tensor>();
  for (const name of parameterShapes(config).keys()) {
    const { shape, data } = read(name);
    params.set(name, tf.tensor(data as Float32Array, [...shape], "float32"));
  }
  return { config, params, dispose: () => tf.dispose([...params.values()]) };
}

const floatTypes: readonly FloatDtype[] = ["F32", "F16", "BF16"];

/** Names of the types in `config.json`. */
const torchNames: Readonly<Record<FloatDtype, string>> = {
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
};

/** A checkpoint that is written parameter by parameter, in any order and in pieces. */
export interface CheckpointSink {
  /** Writes `data` from element `first` of a parameter. Errors: RunError for numbers that can't be stored. */
  write(name: string, first: number, data: Float32Array): void;
  /** Writes the configuration, when all parameters are there. */
  commit(): void;
  /** Gives up what isn't whole yet. */
  abort(): void;
}

/** Begins a checkpoint in an empty folder; it is one when `commit` has returned. */
export function checkpointSink(
  dir: string,
  config: ModelConfig,
  options: WeightFileOptions = {},
): CheckpointSink {
  const sink = new WeightSink(dir, parameterShapes(config), options);
  return {
    write: (name, first, data) => sink.write(name, first, data),
    abort: () => sink.abort(),
    commit() {
      sink.commit();
      writeJsonAtomic(join(dir, configFile), {
        ...familyOf(config).json(config),
        torch_dtype: torchNames[options.dtype ?? "F32"],
      });
    },
  };
}

/**
 * Writes a model as a Hugging Face folder, in one step: what was there before is whole until the new one is. Other
 * files in the folder stay.
 */
export function saveModel(dir: string, model: HostModel, options: WeightFileOptions = {}): void {
  const write = (folder: string): void => {
    const sink = checkpointSink(folder, model.config, options);
    try {
      for (const name of parameterShapes(model.config).keys()) {
        const data = model.weights.get(name)?.data;
        if (!(data instanceof Float32Array)) throw new Error(`internal: ${name} is no f32 tensor`);
        sink.write(name, 0, data);
      }
      sink.commit();
    } catch (error) {
      sink.abort();
      throw error;
    }
  };
  replaceFolderSync(dir, write, (name) => name === configFile || isWeightFile(name));
}
