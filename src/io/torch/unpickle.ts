/**
 * @file A pickle interpreter for what torch.save writes of tensors: protocol 2, plain values, and the globals that a
 * tensor needs. It executes nothing: a global is one of a fixed list, a call is a case below, and whatever else a
 * pickle asks for is a UsageError that names it. Opcodes: Python's pickletools. What comes out is never larger than
 * the pickle itself, for values are shared and not copied.
 */
import { UsageError } from "../errors.ts";

/** The element types of storages, by the global that names them. */
export const storageTypes = {
  "torch.FloatStorage": "f32",
  "torch.DoubleStorage": "f64",
  "torch.HalfStorage": "f16",
  "torch.BFloat16Storage": "bf16",
  "torch.IntStorage": "i32",
  "torch.LongStorage": "i64",
} as const;

/** How a storage's numbers are written. */
export type StorageType = (typeof storageTypes)[keyof typeof storageTypes];

/** A storage that a pickle names: its key in the archive, its type and the number of its elements. */
export class StorageRef {
  readonly key: string;
  readonly type: StorageType;
  readonly count: number;

  constructor(key: string, type: StorageType, count: number) {
    this.key = key;
    this.type = type;
    this.count = count;
  }
}

/** A view of a storage; offset and strides in elements, not checked yet. */
export class TensorRef {
  readonly storage: StorageRef;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(
    storage: StorageRef,
    offset: number,
    shape: readonly number[],
    strides: readonly number[],
  ) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

/** What a pickle can hold here; tuples and lists are arrays. */
export type PickleValue =
  | null
  | boolean
  | number
  | string
  | StorageRef
  | TensorRef
  | Global
  | PickleValue[]
  | Map<PickleValue, PickleValue>;

class Global {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

const orderedDict = "collections.OrderedDict";
const rebuildTensor = "torch._utils._rebuild_tensor_v2";
const rebuildParameter = "torch._utils._rebuild_parameter";
const known = new Set<string>([
  orderedDict,
  rebuildTensor,
  rebuildParameter,
  ...Object.keys(storageTypes),
]);

/** The value of a pickle; `where` names it in errors. Errors: UsageError for all that a tensor doesn't need. */
export function unpickle(bytes: Uint8Array, where: string): PickleValue {
  return new Unpickler(bytes, where).run();
}

const opcodes = {
  proto: 0x80,
  global: 0x63,
  binput: 0x71,
  longBinput: 0x72,
  binget: 0x68,
  longBinget: 0x6a,
  emptyTuple: 0x29,
  emptyList: 0x5d,
  emptyDict: 0x7d,
  mark: 0x28,
  binunicode: 0x58,
  binint: 0x4a,
  binint1: 0x4b,
  binint2: 0x4d,
  long1: 0x8a,
  binfloat: 0x47,
  none: 0x4e,
  newTrue: 0x88,
  newFalse: 0x89,
  tuple: 0x74,
  tuple1: 0x85,
  tuple2: 0x86,
  tuple3: 0x87,
  append: 0x61,
  appends: 0x65,
  setitem: 0x73,
  setitems: 0x75,
  reduce: 0x52,
  binpersid: 0x51,
  build: 0x62,
  stop: 0x2e,
} as const;

const mark = Symbol("mark");

class Unpickler {
  readonly #bytes: Buffer;
  readonly #where: string;
  readonly #stack: (PickleValue | typeof mark)[] = [];
  readonly #memo = new Map<number, PickleValue>();
  #at = 0;

  constructor(bytes: Uint8Array, where: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#where = where;
  }

  run(): PickleValue {
    for (;;) {
      const code = this.#take(1)[0];
      if (code === opcodes.stop) return this.#pop();
      this.#step(code);
    }
  }

  // What it returns is of no use: each case ends at its return.
  #step(code: number): unknown {
    const push = (value: PickleValue | typeof mark): number => this.#stack.push(value);
    switch (code) {
      case opcodes.proto:
        if (this.#take(1)[0] !== 2) this.#fail("pickle protocol 2", "another protocol");
        return;
      case opcodes.global:
        return push(this.#global());
      case opcodes.binput:
        return this.#memo.set(this.#take(1)[0], this.#top());
      case opcodes.longBinput:
        return this.#memo.set(this.#take(4).readUInt32LE(0), this.#top());
      case opcodes.binget:
        return push(this.#remembered(this.#take(1)[0]));
      case opcodes.longBinget:
        return push(this.#remembered(this.#take(4).readUInt32LE(0)));
      case opcodes.emptyTuple:
      case opcodes.emptyList:
        return push([]);
      case opcodes.emptyDict:
        return push(new Map());
      case opcodes.mark:
        return push(mark);
      case opcodes.binunicode:
        return push(this.#take(this.#take(4).readUInt32LE(0)).toString("utf8"));
      case opcodes.binint:
        return push(this.#take(4).readInt32LE(0));
      case opcodes.binint1:
        return push(this.#take(1)[0]);
      case opcodes.binint2:
        return push(this.#take(2).readUInt16LE(0));
      case opcodes.long1:
        return push(this.#long());
      case opcodes.binfloat:
        return push(this.#take(8).readDoubleBE(0));
      case opcodes.none:
        return push(null);
      case opcodes.newTrue:
        return push(true);
      case opcodes.newFalse:
        return push(false);
      case opcodes.tuple:
        return push(this.#popToMark());
      case opcodes.tuple1:
      case opcodes.tuple2:
      case opcodes.tuple3:
        return push(this.#popMany(code - opcodes.tuple1 + 1));
      case opcodes.append:
        return this.#append(this.#popMany(1));
      case opcodes.appends:
        return this.#append(this.#popToMark());
      case opcodes.setitem:
        return this.#setItems(this.#popMany(2));
      case opcodes.setitems:
        return this.#setItems(this.#popToMark());
      case opcodes.reduce: {
        const [callee, args] = this.#popMany(2);
        return push(this.#call(callee, args));
      }
      case opcodes.binpersid:
        return push(this.#storage(this.#pop()));
      case opcodes.build: {
        // the attributes of a state dict (`_metadata`: versions of its modules) say nothing of its tensors
        this.#pop();
        if (!(this.#top() instanceof Map)) this.#fail("attributes of a dict", "of something else");
        return;
      }
      default:
        this.#fail("only what a tensor needs", `opcode 0x${code.toString(16).padStart(2, "0")}`);
    }
  }

  #fail(expected: string, got: string): never {
    throw new UsageError({
      code: "pickle-refused",
      where: this.#where,
      expected,
      got,
      hint: "Only dicts of tensors, as torch.save stores a state_dict, are read; nothing of it was executed",
    });
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) this.#fail("a whole pickle", "an end in its middle");
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }

  #line(): string {
    const end = this.#bytes.indexOf(10, this.#at);
    if (end < 0) this.#fail("a whole pickle", "an end in its middle");
    const text = this.#bytes.toString("utf8", this.#at, end);
    this.#at = end + 1;
    return text;
  }

  #global(): Global {
    const module = this.#line();
    const name = `${module}.${this.#line()}`;
    if (!known.has(name)) this.#fail("only the globals of tensors", `the global ${name}`);
    return new Global(name);
  }

  /** An int of up to 8 bytes, little-endian two's complement. */
  #long(): number {
    const size = this.#take(1)[0];
    if (size > 8) this.#fail("an integer of at most 8 bytes", `${size} bytes`);
    const part = this.#take(size);
    const wide = Buffer.alloc(8, size > 0 && part[size - 1] & 0x80 ? 0xff : 0);
    part.copy(wide);
    const value = Number(wide.readBigInt64LE(0));
    if (!Number.isSafeInteger(value)) this.#fail("an integer below 2^53", String(value));
    return value;
  }

  #top(): PickleValue {
    const value = this.#stack[this.#stack.length - 1];
    if (value === undefined || value === mark) this.#fail("a value on the stack", "none");
    return value;
  }

  #pop(): PickleValue {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #popMany(count: number): PickleValue[] {
    return Array.from({ length: count }, () => this.#pop()).reverse();
  }

  #popToMark(): PickleValue[] {
    const from = this.#stack.lastIndexOf(mark);
    if (from < 0) this.#fail("a mark on the stack", "none");
    return this.#stack.splice(from).slice(1) as PickleValue[];
  }

  #remembered(key: number): PickleValue {
    const value = this.#memo.get(key);
    return value === undefined ? this.#fail("a value stored before", `place ${key}`) : value;
  }

  #append(items: readonly PickleValue[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) this.#fail("items of a list", "of something else");
    for (const item of items) list.push(item);
  }

  #setItems(items: readonly PickleValue[]): void {
    const dict = this.#top();
    if (!(dict instanceof Map) || items.length % 2 !== 0) {
      this.#fail("keys and values of a dict", "something else");
    }
    for (let i = 0; i < items.length; i += 2) {
      if (dict.has(items[i])) this.#fail("each key once", "one twice");
      dict.set(items[i], items[i + 1]);
    }
  }

  #call(callee: PickleValue, args: PickleValue): PickleValue {
    const name = callee instanceof Global ? callee.name : "something that is no global";
    if (Array.isArray(args)) {
      if (name === orderedDict && args.length === 0) return new Map();
      if (name === rebuildTensor) return this.#tensor(args);
      if (name === rebuildParameter && args[0] instanceof TensorRef) return args[0];
    }
    return this.#fail("only calls that make a tensor", `a call of ${name}`);
  }

  #tensor([storage, offset, shape, strides]: readonly PickleValue[]): TensorRef {
    const isPlaced =
      storage instanceof StorageRef && isCount(offset) && isCounts(shape) && isCounts(strides);
    return isPlaced && shape.length === strides.length
      ? new TensorRef(storage, offset, shape, strides)
      : this.#fail("a storage, an offset, a shape and strides", "something else");
  }

  #storage(id: PickleValue): StorageRef {
    const [tag, type, key, , count] = Array.isArray(id) ? id : [];
    const element =
      type instanceof Global ? storageTypes[type.name as keyof typeof storageTypes] : undefined;
    return tag === "storage" && element && typeof key === "string" && isCount(count)
      ? new StorageRef(key, element, count)
      : this.#fail("a storage of numbers", "another persistent object");
  }
}

function isCount(value: PickleValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isCounts(value: PickleValue | undefined): value is number[] {
  return Array.isArray(value) && value.length <= 64 && value.every(isCount);
}
