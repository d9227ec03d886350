/**
 * @file Arrow files: tables, activation dumps, SAELens's cached activations.
 */
export {
  ActivationDump,
  type DumpBatch,
  type DumpCodes,
  type DumpHook,
  type DumpSpec,
  writeActivationDump,
} from "./activation-dump.ts";
export { type Column, rowsOf, valueAt } from "./column.ts";
export { ArrowFileWriter } from "./file-writer.ts";
export { ArrowReader, type ColumnBatch, type ReadArrowOptions, readArrow } from "./reader.ts";
export { type SaelensDumpSpec, type SequenceBatch, writeSaelensDump } from "./saelens-dump.ts";
export type { ShardOptions } from "./sharded-writer.ts";
export { ColumnTable } from "./table.ts";
export {
  type ArrowField,
  type ArrowSchema,
  type ArrowType,
  dictionary,
  fixedList,
  float16,
  float32,
  int32,
  list,
  struct,
  typeName,
  utf8,
} from "./types.ts";
export { type ColumnSpec, writeArrowTable } from "./write-table.ts";
