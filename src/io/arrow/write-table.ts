/**
 * @file Small tables (features.arrow, lineage.arrow, persistence/<name>.arrow) in one call, in batches of
 * at most 4096 rows.
 */
import { buildColumn } from "./build.ts";
import { ArrowFileWriter } from "./file-writer.ts";
import type { ArrowType } from "./types.ts";

/** A column and its values: a typed array, or plain values nested as the type is. */
export interface ColumnSpec {
  readonly name: string;
  readonly type: ArrowType;
  readonly values: ArrayLike<unknown>;
  /** Whether null, undefined and non-finite floats are allowed; they are stored as null. Default false. */
  readonly nullable?: boolean;
}

/** Rows in a batch of what we write. */
export const batchRows = 4096;

/** Writes a table atomically as an Arrow file; same columns, same bytes. */
export function writeArrowTable(
  path: string,
  columns: readonly ColumnSpec[],
  metadata: Readonly<Record<string, string>> = {},
): void {
  const rows = columns[0]?.values.length ?? 0;
  for (const { name, values } of columns) {
    if (values.length !== rows) {
      throw new Error(`internal: ${path}: column ${name} has ${values.length} rows, not ${rows}`);
    }
  }
  const fields = columns.map(({ name, type, nullable = false }) => ({ name, type, nullable }));
  const writer = new ArrowFileWriter(path, { fields, metadata });
  try {
    for (let start = 0; start < rows; start += batchRows) {
      const end = Math.min(start + batchRows, rows);
      writer.write(
        columns.map(({ name, type, values, nullable = false }) =>
          buildColumn(type, part(values, start, end), nullable, `${path}: column ${name}`),
        ),
      );
    }
  } catch (error) {
    writer.abort();
    throw error;
  }
  writer.commit();
}

function part(values: ArrayLike<unknown>, start: number, end: number): ArrayLike<unknown> {
  return Array.isArray(values)
    ? values.slice(start, end)
    : (values as Float32Array).subarray(start, end);
}
