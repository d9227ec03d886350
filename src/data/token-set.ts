/**
 * Token sequences of one length, ready for training or measuring, and their file (safetensors, int32).
 */
import { type HostTensor, readSafetensors, UsageError, writeSafetensors } from "../io/index.ts";

/** Sequences that each begin with <|endoftext|> and go on with a stretch of one document. */
export interface TokenSet {
  /** Row-major, [nSeq * context]; each row's first id is <|endoftext|>. */
  readonly ids: Int32Array;
  /** Document of each sequence, [nSeq]. */
  readonly doc: Int32Array;
  /** Where in its document each sequence begins, [nSeq]: position p >= 1 of the row is the document's token start + p - 1. */
  readonly start: Int32Array;
  readonly nSeq: number;
  readonly context: number;
}

const format = "sae-carry/tokens";

/** Writes a token set; `where` it came from can be noted in `metadata`. Same set, same bytes. */
export function writeTokenSet(
  path: string,
  set: TokenSet,
  metadata: Readonly<Record<string, string>> = {},
): void {
  const tensors = new Map<string, HostTensor>([
    ["ids", { shape: [set.nSeq, set.context], data: set.ids }],
    ["doc", { shape: [set.nSeq], data: set.doc }],
    ["start", { shape: [set.nSeq], data: set.start }],
  ]);
  writeSafetensors(path, tensors, { ...metadata, format, version: "1" });
}

/** Reads a token set. Errors: another kind of file, shapes that don't belong together, ids outside `vocabSize`. */
export function readTokenSet(path: string, vocabSize: number = 2 ** 31): TokenSet {
  const { tensors, metadata } = readSafetensors(path);
  const fail = (field: string, expected: string, got: string): never => {
    throw new UsageError({ code: "token-set", where: `${path}: ${field}`, expected, got });
  };
  if (metadata.format !== format || metadata.version !== "1") {
    fail("metadata", `${format} version 1`, `${metadata.format} version ${metadata.version}`);
  }
  const read = (name: string, shape: readonly number[]): Int32Array => {
    const tensor = tensors.get(name);
    const got = tensor === undefined ? "none" : `[${tensor.shape.join(", ")}]`;
    if (tensor === undefined || !(tensor.data instanceof Int32Array)) {
      return fail(name, "a tensor of type I32", tensor === undefined ? "none" : "another type");
    }
    if (shape.length !== tensor.shape.length || shape.some((n, i) => n !== tensor.shape[i])) {
      fail(name, `the shape [${shape.join(", ")}]`, got);
    }
    return tensor.data;
  };
  const shape = tensors.get("ids")?.shape ?? [];
  if (shape.length !== 2 || shape[1] < 2) fail("ids", "two dimensions", `[${shape.join(", ")}]`);
  const [nSeq, context] = shape;
  const ids = read("ids", [nSeq, context]);
  const doc = read("doc", [nSeq]);
  const start = read("start", [nSeq]);
  const bad = ids.find((id) => id < 0 || id >= vocabSize);
  if (bad !== undefined) fail("ids", `ids from 0 to ${vocabSize - 1}`, String(bad));
  for (const [name, values] of [
    ["doc", doc],
    ["start", start],
  ] as const) {
    const below = values.find((value) => value < 0);
    if (below !== undefined) fail(name, "positions from 0", String(below));
  }
  return { ids, doc, start, nSeq, context };
}
