/**
 * A model's weights on disk as Hugging Face stores them: one `model.safetensors`, or shards
 * `model-00001-of-0000N.safetensors` with `model.safetensors.index.json`, which says where each tensor lies. The index
 * is untrusted: shards are files beside it, and hold exactly the tensors it names.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  type FloatDtype,
  floatBytes,
  type HostTensor,
  readJson,
  readSafetensor,
  readSafetensorsHeader,
  SafetensorsSink,
  sizeOf,
  UsageError,
  writeJsonAtomic,
} from "../io/index.ts";

const singleFile = "model.safetensors";
const indexFile = "model.safetensors.index.json";
const shardFile = /^model-\d{5}-of-\d{5}\.safetensors$/;

/** How weights are written. */
export interface WeightFileOptions {
  /** What the numbers are stored as. Default F32. */
  readonly dtype?: FloatDtype;
  /** Bytes of numbers in a file before the next is begun; a larger tensor has a file of its own. Default 5·10⁹, as in transformers. */
  readonly maxShardBytes?: number;
}

/** A tensor as its file's header describes it. */
export interface StoredTensor {
  readonly name: string;
  readonly path: string;
  readonly shape: readonly number[];
  /** As safetensors names it: F32, F16, BF16, I64, … */
  readonly dtype: string;
  /** Its numbers, read now; half precision is widened. Errors: UsageError naming file and tensor. */
  read(): HostTensor;
}

/**
 * Every stored tensor, read from the headers alone. The single file wins where there are both, as in transformers.
 * Errors: UsageError for what is missing, damaged, or not as the index says.
 */
export function storedTensors(dir: string): StoredTensor[] {
  const single = join(dir, singleFile);
  const indexPath = join(dir, indexFile);
  if (existsSync(single) || !existsSync(indexPath)) {
    if (!existsSync(single) && existsSync(join(dir, "pytorch_model.bin"))) {
      throw new UsageError({
        code: "no-safetensors",
        where: single,
        expected: "weights as safetensors",
        got: "pytorch_model.bin, which can run code when it is read",
        hint: "Load it with transformers and save it again with save_pretrained.",
      });
    }
    return tensorsOf(single);
  }
  return [...readIndex(indexPath)].flatMap(([file, names]) => {
    const path = join(dir, file);
    const wanted = new Set(names);
    const tensors = tensorsOf(path);
    for (const { name } of tensors) {
      if (!wanted.delete(name)) throw bad(`${path}: ${name}`, `a tensor that ${indexFile} names`);
    }
    for (const name of wanted) throw bad(`${path}: ${name}`, `the tensor, as ${indexFile} says`);
    return tensors;
  });
}

function tensorsOf(path: string): StoredTensor[] {
  const header = readSafetensorsHeader(path);
  return header.tensors.map((info) => {
    const { name, shape, dtype } = info;
    return { name, path, shape, dtype, read: () => readSafetensor(path, header, info) };
  });
}

/** Names by shard, in the order of the shards' names. */
function readIndex(path: string): Map<string, string[]> {
  const json = readJson(path);
  const map = (json as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    throw bad(`${path}: weight_map`, "an object of file names by tensor", JSON.stringify(map));
  }
  const shards = new Map<string, string[]>();
  for (const [name, file] of Object.entries(map)) {
    if (typeof file !== "string" || !/^[\w.-]+\.safetensors$/.test(file)) {
      const got = JSON.stringify(file);
      throw bad(`${path}: weight_map.${name}`, "the name of a safetensors file beside it", got);
    }
    shards.set(file, [...(shards.get(file) ?? []), name]);
  }
  return new Map([...shards].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Whether a file of this name is one of those that hold a model's weights. */
export function isWeightFile(name: string): boolean {
  return name === singleFile || name === indexFile || shardFile.test(name);
}

/**
 * A model's weight files, written tensor by tensor in any order and in pieces into an empty folder. Shards are filled
 * in the order of `shapes`, so the same weights make the same bytes.
 */
export class WeightSink {
  private readonly dir: string;
  private readonly sinks = new Map<string, SafetensorsSink>();
  private readonly shards: readonly Shard[];
  private readonly fileOf = new Map<string, Shard>();
  private readonly options: WeightFileOptions;

  constructor(
    dir: string,
    shapes: ReadonlyMap<string, readonly number[]>,
    options: WeightFileOptions = {},
  ) {
    this.dir = dir;
    this.options = options;
    this.shards = shardsOf(shapes, options);
    for (const shard of this.shards) {
      for (const name of shard.shapes.keys()) this.fileOf.set(name, shard);
    }
  }

  /** Writes `data` from element `first` of tensor `name`. Errors: RunError for numbers that can't be stored. */
  write(name: string, first: number, data: Float32Array): void {
    const shard = this.fileOf.get(name);
    if (!shard) throw new Error(`internal: the checkpoint has no tensor ${name}`);
    let sink = this.sinks.get(shard.file);
    if (!sink) {
      const { dtype = "F32" } = this.options;
      const path = join(this.dir, shard.file);
      sink = new SafetensorsSink(path, shard.shapes, { format: "pt" }, { dtype });
      this.sinks.set(shard.file, sink);
    }
    sink.write(name, first, data);
    if (sink.isWhole) sink.commit();
  }

  /** Writes the index where there are several files. Errors: internal where numbers are missing. */
  commit(): void {
    for (const { file } of this.shards) {
      if (!this.sinks.get(file)?.isWhole) throw new Error(`internal: ${file} is not complete`);
    }
    if (this.shards.length === 1) return;
    const files = this.shards.flatMap(({ file, shapes }) =>
      [...shapes.keys()].map((name): [string, string] => [name, file]),
    );
    writeJsonAtomic(join(this.dir, indexFile), {
      metadata: { total_size: this.shards.reduce((sum, { bytes }) => sum + bytes, 0) },
      weight_map: Object.fromEntries(files),
    });
  }

  /** Gives up: removes what is not whole yet. */
  abort(): void {
    for (const sink of this.sinks.values()) sink.abort();
  }
}

interface Shard {
  readonly file: string;
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly bytes: number;
}

function shardsOf(
  shapes: ReadonlyMap<string, readonly number[]>,
  { dtype = "F32", maxShardBytes = 5e9 }: WeightFileOptions,
): Shard[] {
  const shards: { shapes: Map<string, readonly number[]>; bytes: number }[] = [];
  for (const [name, shape] of shapes) {
    const bytes = sizeOf(shape) * floatBytes(dtype);
    let last = shards.at(-1);
    if (!last || last.bytes + bytes > maxShardBytes) {
      last = { shapes: new Map(), bytes: 0 };
      shards.push(last);
    }
    last.shapes.set(name, shape);
    last.bytes += bytes;
  }
  const number = (n: number): string => String(n).padStart(5, "0");
  return shards.map((shard, i) => ({
    ...shard,
    file:
      shards.length === 1
        ? singleFile
        : `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`,
  }));
}

function bad(where: string, expected: string, got = "nothing of the kind"): UsageError {
  return new UsageError({
    code: "bad-checkpoint",
    where,
    expected,
    got,
    hint: "The checkpoint is not complete, or it is damaged.",
  });
}
