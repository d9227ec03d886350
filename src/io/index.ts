/**
 * @file What other parts may use of file input and output.
 */
export { AtomicSink, sweepTemporaries, writeFileAtomic, writeJsonAtomic } from "./atomic-file.ts";
export {
  GateError,
  Interrupted,
  type Problem,
  printable,
  RunError,
  UsageError,
} from "./errors.ts";
export { readProblem, writeProblem } from "./file-errors.ts";
export { sha256, sha256File } from "./hash.ts";
export { type HostArray, type HostTensor, sizeOf } from "./host-tensor.ts";
export { decodeUtf8, parseJson, readJson } from "./json.ts";
export {
  decodeSafetensors,
  encodeSafetensors,
  type ReadSafetensorsOptions,
  readSafetensors,
  readSafetensorsHeader,
  type Safetensors,
  type SafetensorsHeader,
  type TensorInfo,
  writeSafetensors,
} from "./safetensors.ts";
