/**
 * @file Writes activation dumps: one row per token with `doc`, `pos`, `token_id`, `token`, a fixed-size list per
 * hook and, optionally, the sparse codes of SAEs as `sae/<name>`. One batch is in memory at a time.
 */
import { RunError } from "../errors.ts";
import type { DumpBatch, DumpHook } from "./activation-dump.ts";
import type { Column, NumberColumn } from "./column.ts";
import { ShardedArrowWriter, type ShardOptions } from "./sharded-writer.ts";
import {
  type ArrowField,
  dictionary,
  fixedList,
  float16,
  float32,
  int32,
  list,
  struct,
} from "./types.ts";
import { batchRows } from "./write-table.ts";

const maxFloat32 = (2 - 2 ** -23) * 2 ** 127;

/** What a dump holds. */
export interface DumpSpec {
  readonly hooks: readonly DumpHook[];
  /** Names of SAEs whose codes go along. Default none. */
  readonly saes?: readonly string[];
  /** One printable string per token id. */
  readonly vocab: readonly string[];
  /** Stored under `sae_carry.<key>`: model hash, corpus, seed… */
  readonly metadata: Readonly<Record<string, string>>;
  /** Default float32; DuckDB doesn't read float16. */
  readonly dtype?: "float32" | "float16";
}

/**
 * Writes a dump and returns the paths of its files: `path`, or its shards. Nothing has its name before
 * all is written. A non-finite activation, or one too large for float16, is a RunError.
 */
export async function writeActivationDump(
  path: string,
  spec: DumpSpec,
  batches: Iterable<DumpBatch> | AsyncIterable<DumpBatch>,
  options: ShardOptions = {},
): Promise<string[]> {
  const { hooks, saes = [], vocab, metadata, dtype = "float32" } = spec;
  const notNull = (name: string, type: ArrowField["type"]) => ({ name, type, nullable: false });
  const fields = [
    notNull("doc", int32),
    notNull("pos", int32),
    notNull("token_id", int32),
    notNull("token", dictionary(vocab)),
    ...hooks.map(({ name, width }) =>
      notNull(name, fixedList(dtype === "float16" ? float16 : float32, width)),
    ),
    ...saes.map((name) => notNull(`sae/${name}`, list(struct({ latent: int32, value: float32 })))),
  ];
  const named = Object.entries({ format_version: "1", dtype, ...metadata });
  const schema = {
    fields,
    metadata: Object.fromEntries(named.map(([key, value]) => [`sae_carry.${key}`, value])),
  };
  const writer = new ShardedArrowWriter(path, schema, options);
  try {
    for await (const batch of batches) {
      const rows = batch.doc.length;
      for (let start = 0; start < rows; start += batchRows) {
        writer.write(columnsOf(path, spec, batch, start, Math.min(start + batchRows, rows)));
      }
    }
  } catch (error) {
    writer.abort();
    throw error;
  }
  return writer.commit();
}

/** Rows start … end of a batch as columns that share its memory. */
function columnsOf(
  path: string,
  { hooks, saes = [], vocab, dtype }: DumpSpec,
  batch: DumpBatch,
  start: number,
  end: number,
): Column[] {
  const length = end - start;
  const number = (values: Int32Array | Float32Array): NumberColumn => {
    return { kind: "number", values, valid: null };
  };
  const tokens = batch.tokenId.subarray(start, end);
  const wrong = tokens.findIndex((id) => id < 0 || id >= vocab.length);
  if (wrong >= 0 || batch.pos.length !== batch.doc.length || tokens.length !== length) {
    throw new Error(`internal: ${path}: token ${tokens[wrong]} of ${vocab.length}, or uneven rows`);
  }
  const columns: Column[] = [
    number(batch.doc.subarray(start, end)),
    number(batch.pos.subarray(start, end)),
    number(tokens),
    { kind: "dictionary", indices: tokens, values: vocab, valid: null },
  ];
  for (const { name, width } of hooks) {
    const all = batch.activations.get(name);
    if (all?.length !== width * batch.doc.length) {
      throw new Error(`internal: ${path}: ${all?.length} activations at ${name}, width ${width}`);
    }
    const values = all.subarray(start * width, end * width);
    checkStorable(
      values,
      `${path}: column ${name}`,
      dtype === "float16" ? 65504 : Number.MAX_VALUE,
    );
    columns.push({ kind: "fixed_list", length, size: width, item: number(values), valid: null });
  }
  for (const name of saes) {
    const codes = batch.latents?.get(name);
    if (codes?.rowStart.length !== batch.doc.length + 1) {
      throw new Error(`internal: ${path}: no codes of ${name} for each row`);
    }
    const first = codes.rowStart[start];
    const last = codes.rowStart[end];
    const fields = new Map<string, Column>([
      ["latent", number(codes.latent.subarray(first, last))],
      ["value", number(codes.value.subarray(first, last))],
    ]);
    columns.push({
      kind: "list",
      offsets: codes.rowStart.slice(start, end + 1).map((offset) => offset - first),
      item: { kind: "struct", length: last - first, fields, valid: null },
      valid: null,
    });
  }
  return columns;
}

function checkStorable(values: Float32Array, where: string, largest: number): void {
  if (!anyBeyond(values, largest)) return;
  const wrong = values.find((value) => !(Math.abs(value) <= largest)) as number;
  throw new RunError({
    code: "non-finite",
    where,
    expected: `numbers up to ${largest}`,
    got: String(wrong),
    hint: Number.isFinite(wrong) ? "Dump as float32" : "The dump was not written",
  });
}

/**
 * Whether some |value| is larger than `largest`, or NaN. Without their sign floats are ordered as their bits
 * are, infinities and NaN on top: a difference of integers turns negative, and no number is branched on,
 * which takes a quarter of the time.
 */
function anyBeyond(values: Float32Array, largest: number): boolean {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  const limit = new Int32Array(Float32Array.of(Math.min(largest, maxFloat32)).buffer)[0];
  let differences = 0;
  for (let i = 0; i < bits.length; i++) differences |= limit - (bits[i] & 0x7fffffff);
  return differences < 0;
}
