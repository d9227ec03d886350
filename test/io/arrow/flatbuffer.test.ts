import { expect, test } from "vitest";
import { FlatTable } from "../../../src/io/arrow/flatbuffer.ts";

/** `levels` tables, each with `fan` entries that all point at the next one: fan^levels when walked. */
function fanOut(levels: number, fan: number): Uint8Array {
  const level = 8 + 4 + 4 * fan;
  const bytes = new Uint8Array(12 + levels * level);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 12, true); // the root table
  view.setUint16(4, 6, true); // one vtable for all: its size, the tables' size, where slot 0 is
  view.setUint16(6, 8, true);
  view.setUint16(8, 4, true);
  for (let i = 0; i < levels; i++) {
    const table = 12 + i * level;
    view.setInt32(table, table - 4, true);
    view.setUint32(table + 4, 4, true); // the vector follows
    view.setUint32(table + 8, i === levels - 1 ? 0 : fan, true);
    for (let j = 0; j < fan; j++) {
      const entry = table + 12 + 4 * j;
      view.setUint32(entry, table + level - entry, true);
    }
  }
  return bytes;
}

function count(table: FlatTable): number {
  return table.tables(0).reduce((sum, child) => sum + count(child), 1);
}

test("tables that are each referred to once are read", () => {
  expect(count(FlatTable.root(fanOut(5, 1)))).toBe(5);
});

test("tables that refer to the next one over and over don't multiply", () => {
  expect(() => count(FlatTable.root(fanOut(10, 100)))).toThrow(/same bytes over and over/);
});

test("a vector longer than its bytes is refused before it is read", () => {
  const bytes = fanOut(2, 1);
  new DataView(bytes.buffer).setUint32(20, 2 ** 32 - 1, true);
  expect(() => FlatTable.root(bytes).tables(0)).toThrow(RangeError);
});

test("fields that are left out are zero, empty or missing", () => {
  const table = FlatTable.root(fanOut(1, 1));
  expect(table.int32(1)).toBe(0);
  expect(table.int64(2)).toBe(0);
  expect(table.bool(1)).toBe(false);
  expect(table.string(3)).toBe("");
  expect(table.table(4)).toBeUndefined();
  expect(table.tables(5)).toEqual([]);
});

test("bytes outside of the buffer are a RangeError", () => {
  expect(() => FlatTable.root(new Uint8Array(3))).toThrow(RangeError);
  expect(() => FlatTable.root(Uint8Array.of(255, 255, 255, 255)).int32(0)).toThrow(RangeError);
});
