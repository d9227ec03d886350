/**
 * @file Tensors in the files of torch.save since PyTorch 1.6: a zip archive with a pickle (`data.pkl`) that names
 * storages (`data/0`, `data/1`, …). Read without executing anything (unpickle.ts, stored-zip.ts) and written so that
 * torch.load(weights_only=True) reads them. Float16 and bfloat16 are widened to float32. A tensor may be any view of
 * its storage in which no element is there twice, and no two tensors may share elements.
 */
import { UsageError } from "../errors.ts";
import { widenBfloat16, widenFloat16 } from "../half.ts";
import { type HostArray, type HostTensor, sizeOf } from "../host-tensor.ts";
import { type StoredZip, withStoredZip, writeStoredZip } from "./stored-zip.ts";
import { type PickleValue, type StorageType, TensorRef, unpickle } from "./unpickle.ts";

const largestPickle = 2 ** 20; // bytes; some thousands of tensors

const bytesOfType: Readonly<Record<StorageType, number>> = {
  f32: 4,
  f64: 8,
  f16: 2,
  bf16: 2,
  i32: 4,
  i64: 8,
};

/** Reads a dict of tensors, in its order. Errors: UsageError for anything else, for damage and for what would have to be executed. */
export function readTorchTensors(path: string): Map<string, HostTensor> {
  return withStoredZip(path, (zip) => {
    const pickles = [...zip.entries.keys()].filter((name) => /^[^/]*\/data\.pkl$/.test(name));
    if (pickles.length !== 1) {
      throw bad(path, "one data.pkl in the archive", `${pickles.length}`);
    }
    const root = pickles[0].slice(0, -"data.pkl".length);
    checkByteOrder(path, zip, `${root}byteorder`);
    const size = zip.entries.get(pickles[0])?.size ?? 0;
    if (size > largestPickle) {
      throw bad(path, `a pickle of at most ${largestPickle} bytes`, `${size}`);
    }
    const dict = tensorDict(path, unpickle(zip.read(pickles[0]), `${path}: data.pkl`));
    checkShared(path, dict);
    return new Map([...dict].map(([name, ref]) => [name, tensorOf(path, zip, root, name, ref)]));
  });
}

function bad(where: string, expected: string, got: string): UsageError {
  return new UsageError({ code: "torch-file", where, expected, got });
}

function checkByteOrder(path: string, zip: StoredZip, name: string): void {
  const entry = zip.entries.get(name);
  if (!entry) return; // older files have none and are little-endian
  const order = entry.size <= 16 ? Buffer.from(zip.read(name)).toString("utf8") : "something long";
  if (order !== "little") throw bad(path, "little-endian numbers", order);
}

function tensorDict(path: string, value: PickleValue): Map<string, TensorRef> {
  if (!(value instanceof Map)) throw bad(path, "a dict of tensors", "another object");
  for (const [name, item] of value) {
    if (typeof name === "string" && item instanceof TensorRef) continue;
    const key = typeof name === "string" ? name : "a key that is no text";
    throw bad(`${path}: ${key}`, "a tensor", "another object");
  }
  return value as Map<string, TensorRef>;
}

/** Elements of the storage from a tensor's first to its last. */
function extent({ shape, strides }: TensorRef): number {
  if (shape.includes(0)) return 0;
  return shape.reduce((sum, n, i) => sum + (n - 1) * strides[i], 1);
}

function checkShared(path: string, dict: ReadonlyMap<string, TensorRef>): void {
  const ends = new Map<string, number>();
  const types = new Map<string, StorageType>();
  const byOffset = [...dict].sort(([, a], [, b]) => a.offset - b.offset);
  for (const [name, ref] of byOffset) {
    const { key, type } = ref.storage;
    if (ref.offset < (ends.get(key) ?? 0) || (types.get(key) ?? type) !== type) {
      throw bad(`${path}: ${name}`, "numbers of its own", "numbers that another tensor has too");
    }
    ends.set(key, ref.offset + extent(ref));
    types.set(key, type);
  }
}

function tensorOf(
  path: string,
  zip: StoredZip,
  root: string,
  name: string,
  ref: TensorRef,
): HostTensor {
  const { storage, offset, shape } = ref;
  const entry = `${root}data/${storage.key}`;
  const bytes = storage.count * bytesOfType[storage.type];
  const stored = zip.entries.get(entry)?.size;
  const where = `${path}: ${name}`;
  if (stored !== bytes) {
    throw bad(where, `${bytes} bytes`, stored === undefined ? "no storage" : `${stored}`);
  }
  if (offset + extent(ref) > storage.count || !isWithoutRepeats(ref)) {
    throw bad(where, `[${shape.join(", ")}] within ${storage.count} numbers`, describe(ref));
  }
  return { shape, data: gather(ref, numbersOf(zip.read(entry), storage.type)) };
}

/** Whether each element has a place of its own: in order of stride, each dimension steps over those before it. */
function isWithoutRepeats({ shape, strides }: TensorRef): boolean {
  let reach = 1;
  for (const i of byStride({ shape, strides })) {
    if (strides[i] < reach) return false;
    reach = strides[i] * shape[i];
  }
  return true;
}

function byStride({ shape, strides }: Pick<TensorRef, "shape" | "strides">): number[] {
  return [...shape.keys()].filter((i) => shape[i] > 1).sort((a, b) => strides[a] - strides[b]);
}

function describe({ offset, strides }: TensorRef): string {
  return `strides [${strides.join(", ")}] from ${offset}`;
}

function numbersOf(bytes: Uint8Array, type: StorageType): HostArray {
  const buffer = bytes.buffer as ArrayBuffer; // an entry's own
  if (type === "f16") return widenFloat16(new Uint16Array(buffer));
  if (type === "bf16") return widenBfloat16(new Uint16Array(buffer));
  if (type === "f64") return new Float64Array(buffer);
  if (type === "i32") return new Int32Array(buffer);
  if (type === "i64") return new BigInt64Array(buffer);
  return new Float32Array(buffer);
}

/** The view as a row-major array. */
function gather({ offset, shape, strides }: TensorRef, from: HostArray): HostArray {
  const total = sizeOf(shape);
  const isRowMajor = shape.every((n, i) => n === 1 || strides[i] === sizeOf(shape.slice(i + 1)));
  if (isRowMajor) return from.slice(offset, offset + total);
  const out = from.slice(0, total);
  const index = shape.map(() => 0);
  let at = offset;
  for (let i = 0; i < total; i++) {
    out[i] = from[at];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < shape[axis]) break;
      at -= shape[axis] * strides[axis];
      index[axis] = 0;
    }
  }
  return out;
}

/** Writes a dict of float32, int32 and int64 tensors as torch.save does a state_dict; same tensors, same bytes. */
export function writeTorchTensors(path: string, tensors: ReadonlyMap<string, HostTensor>): void {
  const pickle: Buffer[] = [Buffer.from("\x80\x02ccollections\nOrderedDict\n)R(", "latin1")];
  const storages: [string, Uint8Array][] = [];
  for (const [name, { shape, data }] of tensors) {
    const key = String(storages.length);
    const strides = shape.map((_, i) => sizeOf(shape.slice(i + 1)));
    pickle.push(
      text(name),
      global("torch._utils", "_rebuild_tensor_v2"),
      Buffer.from("((", "latin1"),
      text("storage"),
      global("torch", storageName(data)),
      text(key),
      text("cpu"),
      int(data.length),
      Buffer.from("tQK\0", "latin1"), // the storage; offset 0
      tuple(shape),
      tuple(strides),
      Buffer.from("\x89ccollections\nOrderedDict\n)RtR", "latin1"), // no gradient, no hooks
    );
    storages.push([`data/${key}`, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)]);
  }
  pickle.push(Buffer.from("u.", "latin1"));
  const entries: [string, Uint8Array][] = [
    ["data.pkl", Buffer.concat(pickle)],
    ["byteorder", Buffer.from("little")],
    ...storages,
    ["version", Buffer.from("3\n")],
  ];
  writeStoredZip(path, new Map(entries.map(([name, bytes]) => [`archive/${name}`, bytes])));
}

function storageName(data: HostArray): string {
  if (data instanceof Float32Array) return "FloatStorage";
  if (data instanceof Int32Array) return "IntStorage";
  if (data instanceof BigInt64Array) return "LongStorage";
  throw new Error(`internal: no storage for a ${data.constructor.name}`);
}

function global(module: string, name: string): Buffer {
  return Buffer.from(`c${module}\n${name}\n`, "latin1");
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "utf8");
  const head = Buffer.from("X\0\0\0\0", "latin1");
  head.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** A count below 2^63, as LONG1. */
function int(value: number): Buffer {
  const bytes = Buffer.alloc(10);
  bytes.write("\x8a\x08", "latin1");
  bytes.writeBigInt64LE(BigInt(value), 2);
  return bytes;
}

function tuple(values: readonly number[]): Buffer {
  return Buffer.concat([Buffer.from("("), ...values.map(int), Buffer.from("t")]);
}
