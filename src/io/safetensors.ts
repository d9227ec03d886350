/**
 * @file The safetensors format: u64 header length, JSON header, tensors back to back. Files are
 * untrusted: every size is held against the real file before anything is allocated, and whatever a
 * strict reader could read differently (holes, overlaps, repeated names, NaN) is a UsageError.
 * Float16 and bfloat16 are widened to float32. Little-endian machines only, as Node's all are.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { AtomicSink } from "./atomic-file.ts";
import { UsageError } from "./errors.ts";
import { readProblem } from "./file-errors.ts";
import { bytesOf, checkStorable, type FloatDtype } from "./float-type.ts";
import { widenBfloat16, widenFloat16 } from "./half.ts";
import { firstNonFinite, type HostArray, type HostTensor, sizeOf } from "./host-tensor.ts";
import { decodeUtf8, describeJson, parseJson } from "./json.ts";

/** What a file holds. */
export interface Safetensors {
  readonly tensors: Map<string, HostTensor>;
  readonly metadata: Record<string, string>;
}

/** A tensor as the header describes it. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Bytes from the end of the header. */
  readonly begin: number;
  readonly end: number;
}

/** A header, read without the tensors. */
export interface SafetensorsHeader {
  readonly tensors: readonly TensorInfo[];
  readonly metadata: Record<string, string>;
  /** Where the tensors begin in the file. */
  readonly dataStart: number;
}

/** Settings of the readers. */
export interface ReadSafetensorsOptions {
  /** Let NaN and infinities pass. Default false. */
  readonly allowNonFinite?: boolean;
  /** The name of the file in errors, when decoding bytes. */
  readonly where?: string;
}

/** Settings of the writers. */
export interface WriteSafetensorsOptions {
  /** What float32 tensors are stored as; narrowing rounds to nearest, ties to even. Default F32. */
  readonly dtype?: FloatDtype;
}

const headerLimit = 100_000_000; // bytes; the limit of the reference reader

const widths = new Map([
  ["F64", 8],
  ["I64", 8],
  ["F32", 4],
  ["I32", 4],
  ["F16", 2],
  ["BF16", 2],
  ["U8", 1],
  ["BOOL", 1],
]);

/** Reads all tensors of a file. Bool is read as Uint8Array of 0 and 1. */
export function readSafetensors(path: string, options: ReadSafetensorsOptions = {}): Safetensors {
  return withFile(path, (read, size) => {
    const header = readHeader(read, size, path);
    return readTensors(read, header, { where: path, ...options });
  });
}

/** Reads one tensor of a file whose header was read before; the file is the one it was. Errors: UsageError naming the tensor. */
export function readSafetensor(
  path: string,
  header: SafetensorsHeader,
  info: TensorInfo,
  options: ReadSafetensorsOptions = {},
): HostTensor {
  return withFile(path, (read, size) => {
    if (header.dataStart + info.end > size) {
      const expected = `${header.dataStart + info.end} bytes`;
      throw bad("truncated", `${path}: tensor ${info.name}`, expected, `${size}`);
    }
    return readTensor(read, header.dataStart, info, { where: path, ...options });
  });
}

/** Reads names, types, shapes and metadata, and no tensor. */
export function readSafetensorsHeader(path: string): SafetensorsHeader {
  return withFile(path, (read, size) => readHeader(read, size, path));
}

/** The tensors in the bytes of a file. */
export function decodeSafetensors(
  bytes: Uint8Array,
  options: ReadSafetensorsOptions = {},
): Safetensors {
  const read: ReadRange = (start, length) => Uint8Array.from(bytes.subarray(start, start + length));
  const where = options.where ?? "safetensors";
  return readTensors(read, readHeader(read, bytes.byteLength, where), { where, ...options });
}

/**
 * Writes a file atomically, tensors ordered by element size and then name: same tensors, same bytes.
 * A NaN or infinity is a RunError, for no reader would take the file.
 */
export function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, HostTensor>,
  metadata: Readonly<Record<string, string>> = {},
  { dtype = "F32" }: WriteSafetensorsOptions = {},
): void {
  for (const [name, { data }] of tensors) checkStorable(data, dtype, `${path}: tensor ${name}`);
  const { header, ordered } = layOut(tensors, metadata, dtype);
  const sink = new AtomicSink(path);
  sink.write(header);
  for (const { data } of ordered) sink.write(bytesOf(data, dtype));
  sink.commit();
}

/** The bytes of a file, as `writeSafetensors` writes it. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, HostTensor>,
  metadata: Readonly<Record<string, string>> = {},
  { dtype = "F32" }: WriteSafetensorsOptions = {},
): Uint8Array {
  const { header, ordered } = layOut(tensors, metadata, dtype);
  const total = ordered.reduce(
    (sum, { data }) => sum + data.length * widthOf(data, dtype),
    header.byteLength,
  );
  const bytes = new Uint8Array(total);
  bytes.set(header);
  let at = header.byteLength;
  for (const { data } of ordered) {
    const part = bytesOf(data, dtype);
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

/** Copies `length` bytes from `start`; the range is within the file. */
type ReadRange = (start: number, length: number) => Uint8Array;

function withFile<T>(path: string, use: (read: ReadRange, size: number) => T): T {
  try {
    const fd = openSync(path, "r");
    try {
      return use((start, length) => readRange(fd, start, length, path), fstatSync(fd).size);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw readProblem(error, path);
  }
}

function readRange(fd: number, start: number, length: number, path: string): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const count = readSync(fd, bytes, done, Math.min(length - done, 1 << 30), start + done);
    if (count === 0) throw bad("truncated", path, `${start + length} bytes`, `${start + done}`);
    done += count;
  }
  return bytes;
}

function readHeader(read: ReadRange, size: number, where: string): SafetensorsHeader {
  if (size < 8) throw bad("truncated", where, "a header length of 8 bytes", `${size} bytes`);
  const first = read(0, 8);
  const length = new DataView(first.buffer, first.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(headerLimit)) {
    const got = `a header length of ${length}`;
    throw bad("header-length", where, `a safetensors header of at most ${headerLimit} bytes`, got);
  }
  const dataStart = 8 + Number(length);
  if (dataStart > size) {
    throw bad("truncated", where, `a header of ${length} bytes`, `a file of ${size} bytes`);
  }
  const text = decodeUtf8(read(8, Number(length)), where);
  const json = parseJson(text, where);
  if (!isObject(json)) throw bad("header", where, "an object as the header", describeJson(json));
  const tensors: TensorInfo[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(json)) {
    if (name === "__metadata__") metadata = checkedMetadata(value, where);
    else tensors.push(checkedTensor(name, value, where));
  }
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkCoverage(tensors, size - dataStart, where);
  return { tensors, metadata, dataStart };
}

function checkedMetadata(value: unknown, where: string): Record<string, string> {
  const place = `${where}: __metadata__`;
  if (!isObject(value)) throw bad("metadata", place, "an object of strings", describeJson(value));
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") {
      throw bad("metadata", `${place}.${key}`, "a string", describeJson(text));
    }
  }
  return value as Record<string, string>;
}

function checkedTensor(name: string, value: unknown, where: string): TensorInfo {
  const place = `${where}: tensor ${name}`;
  if (!isObject(value)) throw bad("header", place, "an object", describeJson(value));
  const { dtype, shape, data_offsets: offsets, ...rest } = value;
  const extra = Object.keys(rest)[0];
  if (extra !== undefined) {
    throw bad("header", place, "only dtype, shape and data_offsets", `a field ${extra}`);
  }
  const width = typeof dtype === "string" ? widths.get(dtype) : undefined;
  if (typeof dtype !== "string" || width === undefined) {
    throw bad("dtype", place, `a dtype of ${[...widths.keys()].join(", ")}`, describeJson(dtype));
  }
  if (!isSizes(shape)) {
    throw bad("shape", place, "a shape of non-negative integers", describeJson(shape));
  }
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) {
    throw bad("offsets", place, "data_offsets [begin, end]", describeJson(offsets));
  }
  const [begin, end] = offsets;
  if (sizeOf(shape) * width !== end - begin) {
    const expected = `${sizeOf(shape) * width} bytes for ${dtype} ${JSON.stringify(shape)}`;
    throw bad("offsets", place, expected, `${end - begin}`);
  }
  return { name, dtype, shape, begin, end };
}

/** Tensors must cover the data exactly: no hole, no overlap, nothing after the last. */
function checkCoverage(sorted: readonly TensorInfo[], bytes: number, where: string): void {
  let at = 0;
  for (const { name, begin, end } of sorted) {
    const place = `${where}: tensor ${name}`;
    if (begin !== at) {
      const got = `${begin} (${begin < at ? "tensors overlap" : "a hole"})`;
      throw bad("offsets", place, `data from byte ${at}`, got);
    }
    if (end > bytes) throw bad("truncated", place, `${end} bytes of data`, `${bytes}`);
    at = end;
  }
  if (at !== bytes) {
    throw bad("offsets", where, `${at} bytes of data, as the header says`, `${bytes}`);
  }
}

function readTensors(
  read: ReadRange,
  { tensors, metadata, dataStart }: SafetensorsHeader,
  { allowNonFinite = false, where = "safetensors" }: ReadSafetensorsOptions,
): Safetensors {
  const out = new Map<string, HostTensor>();
  for (const info of tensors) {
    out.set(info.name, readTensor(read, dataStart, info, { allowNonFinite, where }));
  }
  return { tensors: out, metadata };
}

function readTensor(
  read: ReadRange,
  dataStart: number,
  { name, dtype, shape, begin, end }: TensorInfo,
  { allowNonFinite = false, where = "safetensors" }: ReadSafetensorsOptions,
): HostTensor {
  const data = typed(dtype, read(dataStart + begin, end - begin));
  const place = `${where}: tensor ${name}`;
  if (dtype === "BOOL") checkBooleans(data as Uint8Array, place);
  const i = allowNonFinite ? -1 : firstNonFinite(data);
  if (i >= 0) throw bad("non-finite", place, "finite numbers", `${data[i]} at element ${i}`);
  return { shape, data };
}

/** A view of freshly copied bytes, widened where JavaScript has no such array. */
function typed(dtype: string, { buffer }: Uint8Array): HostArray {
  switch (dtype) {
    case "F64":
      return new Float64Array(buffer as ArrayBuffer);
    case "F32":
      return new Float32Array(buffer as ArrayBuffer);
    case "F16":
      return widenFloat16(new Uint16Array(buffer));
    case "BF16":
      return widenBfloat16(new Uint16Array(buffer));
    case "I64":
      return new BigInt64Array(buffer as ArrayBuffer);
    case "I32":
      return new Int32Array(buffer as ArrayBuffer);
    default:
      return new Uint8Array(buffer as ArrayBuffer);
  }
}

function checkBooleans(data: Uint8Array, where: string): void {
  const i = data.findIndex((value) => value > 1);
  if (i >= 0) throw bad("bool", where, "0 or 1", `${data[i]} at element ${i}`);
}

function layOut(
  tensors: ReadonlyMap<string, HostTensor>,
  metadata: Readonly<Record<string, string>>,
  dtype: FloatDtype,
): { header: Uint8Array; ordered: HostTensor[] } {
  const entries = [...tensors].sort(
    ([a, { data: x }], [b, { data: y }]) =>
      widthOf(y, dtype) - widthOf(x, dtype) || (a < b ? -1 : a > b ? 1 : 0),
  );
  for (const [name, { shape, data }] of entries) {
    if (sizeOf(shape) !== data.length) {
      throw new Error(`internal: tensor ${name} has ${data.length} elements and shape [${shape}]`);
    }
  }
  const stored = entries.map(([name, { shape, data }]) => ({
    name,
    shape,
    dtype: dtypeOf(data, dtype),
  }));
  return { header: headerOf(stored, metadata), ordered: entries.map(([, tensor]) => tensor) };
}

/** The header, with its length before it, of tensors stored one after the other: of one type by name. */
export function headerOf(
  tensors: readonly Pick<TensorInfo, "name" | "shape" | "dtype">[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const fields: [string, unknown][] = [];
  const pairs = Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1));
  if (pairs.length > 0) fields.push(["__metadata__", Object.fromEntries(pairs)]);
  let at = 0;
  for (const { name, shape, dtype } of tensors) {
    if (name === "__metadata__") throw new Error(`internal: no tensor is named ${name}`);
    const end = at + sizeOf(shape) * (widths.get(dtype) as number);
    fields.push([name, { dtype, shape, data_offsets: [at, end] }]);
    at = end;
  }
  // Not an object for the whole header: integer-like names would move to its front.
  const pieces = fields.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const json = new TextEncoder().encode(`{${pieces.join(",")}}`);
  const length = Math.ceil(json.byteLength / 8) * 8; // padded with spaces, so that data is aligned
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return header;
}

function dtypeOf(data: HostArray, floats: FloatDtype): string {
  if (data instanceof Float32Array) return floats;
  if (data instanceof Float64Array) return "F64";
  if (data instanceof Int32Array) return "I32";
  return data instanceof BigInt64Array ? "I64" : "U8";
}

/** Bytes of an element as it is stored. */
function widthOf(data: HostArray, floats: FloatDtype): number {
  return widths.get(dtypeOf(data, floats)) as number;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

function bad(code: string, where: string, expected: string, got: string): UsageError {
  return new UsageError({ code: `safetensors-${code}`, where, expected, got });
}
