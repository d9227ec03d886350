/**
 * @file Says what an Arrow or safetensors file holds from its headers alone.
 */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { ArrowReader } from "./arrow/reader.ts";
import { typeName } from "./arrow/types.ts";
import { readProblem } from "./file-errors.ts";
import { readSafetensorsHeader } from "./safetensors.ts";

/** What an Arrow file holds. */
export interface ArrowSummary {
  readonly kind: "arrow";
  readonly format: "file" | "stream";
  readonly bytes: number;
  readonly rows: number;
  readonly batches: number;
  readonly columns: readonly { name: string; type: string; nullable: boolean }[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** What a safetensors file holds. */
export interface SafetensorsSummary {
  readonly kind: "safetensors";
  readonly bytes: number;
  readonly tensors: readonly { name: string; dtype: string; shape: readonly number[] }[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** Schema, rows and metadata. A UsageError where the file is neither, or is damaged. */
export function inspectFile(path: string): ArrowSummary | SafetensorsSummary {
  let bytes: number;
  try {
    bytes = statSync(path).size;
  } catch (error) {
    throw readProblem(error, path);
  }
  return looksLikeSafetensors(path) ? inspectSafetensors(path, bytes) : inspectArrow(path, bytes);
}

function inspectSafetensors(path: string, bytes: number): SafetensorsSummary {
  const { tensors, metadata } = readSafetensorsHeader(path);
  return {
    kind: "safetensors",
    bytes,
    tensors: tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
    metadata,
  };
}

function inspectArrow(path: string, bytes: number): ArrowSummary {
  const reader = new ArrowReader(path);
  try {
    const { fields, metadata } = reader.schema;
    const columns = fields.map(({ name, type, nullable }) => {
      return { name, type: typeName(type), nullable };
    });
    return {
      kind: "arrow",
      format: reader.format,
      bytes,
      ...reader.countRows(),
      columns,
      metadata,
    };
  } finally {
    reader.close();
  }
}

/** By its name, or by the brace that begins the header. */
function looksLikeSafetensors(path: string): boolean {
  if (path.endsWith(".safetensors")) return true;
  try {
    const fd = openSync(path, "r");
    try {
      const start = new Uint8Array(9);
      return readSync(fd, start) === 9 && start[8] === 0x7b;
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw readProblem(error, path);
  }
}
