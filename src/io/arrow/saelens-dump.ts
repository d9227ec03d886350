/**
 * @file SAELens's layout of cached activations: a Hugging Face dataset saved to disk, one row per sequence,
 * `<hook>` as Array2D(context, width) and `token_ids`. `datasets.load_from_disk` opens the folder.
 * Source: sae_lens/cache_activations_runner.py; datasets/features (Array2DExtensionType); stream format.
 */
import { mkdirSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { writeJsonAtomic } from "../atomic-file.ts";
import { UsageError } from "../errors.ts";
import { writeProblem } from "../file-errors.ts";
import { sha256, sha256File } from "../hash.ts";
import type { DumpHook } from "./activation-dump.ts";
import type { Column } from "./column.ts";
import { ShardedArrowWriter } from "./sharded-writer.ts";
import { type ArrowField, type ArrowType, fixedList, float32, int32 } from "./types.ts";

/** What a dump in SAELens's layout holds. */
export interface SaelensDumpSpec {
  readonly hooks: readonly DumpHook[];
  /** Tokens in each sequence. */
  readonly context: number;
}

/** n sequences. */
export interface SequenceBatch {
  readonly tokenIds: Int32Array; // [n, context]
  readonly activations: ReadonlyMap<string, Float32Array>; // by hook, [n, context, width]
}

export interface SaelensDumpOptions {
  /** Default 256 MB; `datasets` has trouble past 2 GB. */
  readonly shardBytes?: number;
}

const batchBytes = 16 * 2 ** 20;

/** Writes the dataset into `folder`, which must be empty or new; `state.json`, which makes it one, comes last. */
export async function writeSaelensDump(
  folder: string,
  { hooks, context }: SaelensDumpSpec,
  batches: Iterable<SequenceBatch> | AsyncIterable<SequenceBatch>,
  options: SaelensDumpOptions = {},
): Promise<void> {
  prepareFolder(folder);
  const features = {
    ...Object.fromEntries(
      hooks.map(({ name, width }) => [
        name,
        { shape: [context, width], dtype: "float32", _type: "Array2D" },
      ]),
    ),
    token_ids: { feature: { dtype: "int32", _type: "Value" }, length: context, _type: "Sequence" },
  };
  const fields = [
    ...hooks.map(({ name, width }) => array2d(name, context, width)),
    { name: "token_ids", type: nullableItems(fixedList(int32, context)), nullable: true },
  ];
  const metadata = { huggingface: JSON.stringify({ info: { features } }) };
  const writer = new ShardedArrowWriter(
    join(folder, "data.arrow"),
    { fields, metadata },
    { format: "stream", alwaysNumbered: true, ...options },
  );
  const width = hooks.reduce((sum, hook) => sum + hook.width, 0);
  const rowsPerBatch = Math.max(1, Math.floor(batchBytes / (4 * context * width)));
  try {
    for await (const batch of batches) {
      const rows = batch.tokenIds.length / context;
      for (let start = 0; start < rows; start += rowsPerBatch) {
        const end = Math.min(start + rowsPerBatch, rows);
        writer.write(columnsOf(folder, hooks, context, batch, start, end));
      }
    }
  } catch (error) {
    writer.abort();
    throw error;
  }
  const files = writer.commit();
  writeJsonAtomic(join(folder, "dataset_info.json"), {
    citation: "",
    description: "",
    features,
    homepage: "",
    license: "",
  });
  writeJsonAtomic(join(folder, "state.json"), {
    _data_files: files.map((file) => ({ filename: basename(file) })),
    // `datasets` caches under it, so it must follow the content
    _fingerprint: sha256(files.map(sha256File).join()).slice(0, 16),
    _format_columns: null,
    _format_kwargs: {},
    _format_type: null,
    _output_all_columns: false,
    _split: null,
  });
}

function prepareFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    const [found] = readdirSync(folder);
    if (found === undefined) return;
    throw new UsageError({
      code: "folder-not-empty",
      where: folder,
      expected: "an empty or new folder",
      got: `a folder that holds ${found}`,
      hint: `Remove it or choose another folder beside it in ${dirname(folder)}`,
    });
  } catch (error) {
    throw writeProblem(error, folder);
  }
}

function columnsOf(
  folder: string,
  hooks: readonly DumpHook[],
  context: number,
  { tokenIds, activations }: SequenceBatch,
  start: number,
  end: number,
): Column[] {
  const rows = end - start;
  const columns: Column[] = hooks.map(({ name, width }) => {
    const all = activations.get(name);
    if (all?.length !== tokenIds.length * width) {
      throw new Error(`internal: ${folder}: ${all?.length} activations at ${name}, width ${width}`);
    }
    const values = all.subarray(start * context * width, end * context * width);
    const numbers: Column = { kind: "number", values, valid: null };
    return lists(rows, context, lists(rows * context, width, numbers));
  });
  const tokens = tokenIds.subarray(start * context, end * context);
  const item: Column = { kind: "number", values: tokens, valid: null };
  columns.push({ kind: "fixed_list", length: rows, size: context, item, valid: null });
  return columns;
}

/** Lists of variable length that all hold `size` items. */
function lists(rows: number, size: number, item: Column): Column {
  const offsets = Int32Array.from({ length: rows + 1 }, (_, i) => i * size);
  return { kind: "list", offsets, item, valid: null };
}

/** `datasets` stores Array2D as list<list<float>> and knows it by the extension's name. */
function array2d(name: string, context: number, width: number): ArrowField {
  const rows: ArrowType = { kind: "list", large: false, item: nullableItem(float32) };
  return {
    name,
    type: { kind: "list", large: false, item: nullableItem(rows) },
    nullable: true,
    metadata: {
      "ARROW:extension:name": "datasets.features.features.Array2DExtensionType",
      "ARROW:extension:metadata": JSON.stringify([[context, width], "float32"]),
    },
  };
}

function nullableItem(type: ArrowType): ArrowField {
  return { name: "item", type, nullable: true };
}

function nullableItems(type: ReturnType<typeof fixedList>): ArrowType {
  return { ...type, item: { ...type.item, nullable: true } };
}
