/**
 * @file What other parts may use of file input and output.
 */
export {
  ActivationDump,
  type DumpBatch,
  type DumpCodes,
  type DumpHook,
} from "./arrow/activation-dump.ts";
export { type Column, rowsOf, valueAt } from "./arrow/column.ts";
export { DumpRowReader } from "./arrow/dump-row-reader.ts";
export { type DumpSpec, writeActivationDump } from "./arrow/dump-writer.ts";
export { ArrowFileWriter } from "./arrow/file-writer.ts";
export { ArrowReader, type ColumnBatch, type ReadArrowOptions, readArrow } from "./arrow/reader.ts";
export {
  type SaelensDumpSpec,
  type SequenceBatch,
  writeSaelensDump,
} from "./arrow/saelens-dump.ts";
export type { ShardOptions } from "./arrow/sharded-writer.ts";
export { ColumnTable } from "./arrow/table.ts";
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
} from "./arrow/types.ts";
export { type ColumnSpec, writeArrowTable } from "./arrow/write-table.ts";
export { AtomicSink, sweepTemporaries, writeFileAtomic, writeJsonAtomic } from "./atomic-file.ts";
export { replaceFolder, replaceFolderSync } from "./atomic-folder.ts";
export {
  GateError,
  Interrupted,
  type Problem,
  printable,
  RunError,
  UsageError,
} from "./errors.ts";
export { readProblem, writeProblem } from "./file-errors.ts";
export { type FloatDtype, floatBytes } from "./float-type.ts";
export { narrowBfloat16, narrowFloat16, widenBfloat16, widenFloat16 } from "./half.ts";
export { sha256, sha256File } from "./hash.ts";
export { firstNonFinite, type HostArray, type HostTensor, sizeOf } from "./host-tensor.ts";
export { type ArrowSummary, inspectFile, type SafetensorsSummary } from "./inspect-file.ts";
export { decodeUtf8, describeJson, parseJson, readJson } from "./json.ts";
export { JsonlLog, type JsonlLogOptions, readJsonl } from "./jsonl.ts";
export { acquireLock, type RunLock } from "./lock.ts";
export {
  changedArtefacts,
  type ManifestStage,
  manifestVersion,
  type RunManifest,
  readManifest,
  type StageState,
  withArtefacts,
  writeManifest,
} from "./manifest.ts";
export {
  decodeSafetensors,
  encodeSafetensors,
  type ReadSafetensorsOptions,
  readSafetensor,
  readSafetensors,
  readSafetensorsHeader,
  type Safetensors,
  type SafetensorsHeader,
  type TensorInfo,
  type WriteSafetensorsOptions,
  writeSafetensors,
} from "./safetensors.ts";
export { SafetensorsSink } from "./safetensors-sink.ts";
export { readTorchTensors, writeTorchTensors } from "./torch/tensors.ts";
