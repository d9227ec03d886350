/**
 * @file Reads FlatBuffers (the encoding of Arrow's metadata) from untrusted bytes. Every access is bounded
 * by the bytes (a DataView throws RangeError outside them), and what is decoded may not add up to more
 * than the bytes could hold once, so that tables pointing at each other can't fill the memory.
 * Layout: https://flatbuffers.dev/internals
 */

/** Bytes that may still be decoded from one buffer, shared by all its tables. */
interface Budget {
  bytes: number;
}

/** Entries of a vector of structs, `count` of `size` bytes from byte `at`. */
export interface StructVector {
  readonly at: number;
  readonly count: number;
}

/** One table; fields are named by their slot, the order in the schema. */
export class FlatTable {
  private readonly view: DataView;
  private readonly at: number;
  private readonly budget: Budget;

  constructor(view: DataView, at: number, budget: Budget) {
    this.view = view;
    this.at = at;
    this.budget = budget;
    spend(budget, 4);
  }

  /** The root table of a buffer. */
  static root(bytes: Uint8Array): FlatTable {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const budget = { bytes: 2 * bytes.byteLength };
    return new FlatTable(view, view.getUint32(0, true), budget);
  }

  /** Where a field is, or 0 where it is left out. */
  private field(slot: number): number {
    const vtable = this.at - this.view.getInt32(this.at, true);
    const entry = 4 + 2 * slot;
    if (entry >= this.view.getUint16(vtable, true)) return 0;
    const offset = this.view.getUint16(vtable + entry, true);
    return offset === 0 ? 0 : this.at + offset;
  }

  private target(slot: number): number {
    const at = this.field(slot);
    return at === 0 ? 0 : at + this.view.getUint32(at, true);
  }

  bool(slot: number): boolean {
    return this.uint8(slot) !== 0;
  }

  uint8(slot: number): number {
    const at = this.field(slot);
    return at === 0 ? 0 : this.view.getUint8(at);
  }

  int16(slot: number): number {
    const at = this.field(slot);
    return at === 0 ? 0 : this.view.getInt16(at, true);
  }

  int32(slot: number): number {
    const at = this.field(slot);
    return at === 0 ? 0 : this.view.getInt32(at, true);
  }

  /** A 64-bit integer that must be exact as a number. */
  int64(slot: number): number {
    const at = this.field(slot);
    return at === 0 ? 0 : this.int64At(at);
  }

  string(slot: number): string {
    const at = this.target(slot);
    if (at === 0) return "";
    const bytes = this.bytesAt(at + 4, this.view.getUint32(at, true));
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch (error) {
      throw new RangeError("a name that is not UTF-8", { cause: error });
    }
  }

  table(slot: number): FlatTable | undefined {
    const at = this.target(slot);
    return at === 0 ? undefined : new FlatTable(this.view, at, this.budget);
  }

  tables(slot: number): FlatTable[] {
    const { at, count } = this.structs(slot, 4);
    const tables: FlatTable[] = [];
    for (let i = 0; i < count; i++) {
      const entry = at + 4 * i;
      tables.push(new FlatTable(this.view, entry + this.view.getUint32(entry, true), this.budget));
    }
    return tables;
  }

  /** A vector of structs of `size` bytes; empty where left out. */
  structs(slot: number, size: number): StructVector {
    const at = this.target(slot);
    if (at === 0) return { at: 0, count: 0 };
    const count = this.view.getUint32(at, true);
    this.bytesAt(at + 4, count * size);
    return { at: at + 4, count };
  }

  int32At(at: number): number {
    return this.view.getInt32(at, true);
  }

  int64At(at: number): number {
    const value = Number(this.view.getBigInt64(at, true));
    if (!Number.isSafeInteger(value)) throw new RangeError(`an integer of ${value}`);
    return value;
  }

  private bytesAt(at: number, length: number): Uint8Array {
    spend(this.budget, length);
    if (at + length > this.view.byteLength) throw new RangeError("a vector that runs past the end");
    return new Uint8Array(this.view.buffer, this.view.byteOffset + at, length);
  }
}

function spend(budget: Budget, bytes: number): void {
  budget.bytes -= bytes;
  if (budget.bytes < 0)
    throw new RangeError("metadata that refers to the same bytes over and over");
}
