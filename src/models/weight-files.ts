/**
 * A model's weights on disk as Hugging Face stores them: one `model.safetensors`, or shards
 * `model-00001-of-0000N.safetensors` with `model.safetensors.index.json`, which says where each tensor lies. The index
 * is untrusted: shards are files beside it, and hold exactly the tensors it names.
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  type FloatDtype,
  type HostTensor,
  readJson,
  readSafetensors,
  UsageError,
  writeJsonAtomic,
  writeSafetensors,
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

/** A tensor and the file it came from. */
export interface StoredTensor {
  readonly name: string;
  readonly path: string;
  readonly tensor: HostTensor;
}

/**
 * Every stored tensor, one file at a time. The single file wins where there are both, as in transformers.
 * Errors: UsageError for what is missing, damaged, or not as the index says.
 */
export function* readWeightFiles(dir: string): Generator<StoredTensor> {
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
    for (const [name, tensor] of readSafetensors(single).tensors) {
      yield { name, path: single, tensor };
    }
    return;
  }
  for (const [file, names] of readIndex(indexPath)) {
    const path = join(dir, file);
    const wanted = new Set(names);
    for (const [name, tensor] of readSafetensors(path).tensors) {
      if (!wanted.delete(name)) throw bad(`${path}: ${name}`, `a tensor that ${indexFile} names`);
      yield { name, path, tensor };
    }
    for (const name of wanted) throw bad(`${path}: ${name}`, `the tensor, as ${indexFile} says`);
  }
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

/**
 * Writes weights, each file atomically, the index last; files of an older checkpoint that would be read in
 * their place are removed first. Tensors stay in their order, so the same weights make the same bytes.
 */
export function writeWeightFiles(
  dir: string,
  weights: ReadonlyMap<string, HostTensor>,
  { dtype = "F32", maxShardBytes = 5e9 }: WeightFileOptions = {},
): void {
  const width = dtype === "F32" ? 4 : 2;
  const shards: Map<string, HostTensor>[] = [];
  let room = 0;
  let total = 0;
  for (const [name, tensor] of weights) {
    const bytes = tensor.data.length * width;
    if (shards.length === 0 || bytes > room) {
      shards.push(new Map());
      room = maxShardBytes;
    }
    shards[shards.length - 1].set(name, tensor);
    room -= bytes;
    total += bytes;
  }
  const metadata = { format: "pt" };
  if (shards.length === 1) {
    writeSafetensors(join(dir, singleFile), weights, metadata, { dtype });
    removeShards(dir);
    return;
  }
  removeShards(dir);
  rmSync(join(dir, singleFile), { force: true });
  const files: [name: string, file: string][] = [];
  shards.forEach((shard, i) => {
    const number = (n: number): string => String(n).padStart(5, "0");
    const file = `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    writeSafetensors(join(dir, file), shard, metadata, { dtype });
    for (const name of shard.keys()) files.push([name, file]);
  });
  writeJsonAtomic(join(dir, indexFile), {
    metadata: { total_size: total },
    weight_map: Object.fromEntries(files),
  });
}

function removeShards(dir: string): void {
  for (const file of readdirSync(dir)) {
    if (file === indexFile || shardFile.test(file)) rmSync(join(dir, file));
  }
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
