import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync } from "node:fs";
import {
  Field,
  Float32,
  makeData,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  vectorFromArray,
} from "apache-arrow";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import {
  ArrowReader,
  dictionary,
  fixedList,
  float32,
  int32,
  list,
  readArrow,
  struct,
  UsageError,
  utf8,
  writeArrowTable,
} from "../../../src/io/index.ts";
import { temporaryFolder } from "../../support/folder.ts";

const file = temporaryFolder();
let bytes: Buffer;

beforeEach(() => {
  writeArrowTable(file("x.arrow"), [
    { name: "i", type: int32, values: [1, null, 3], nullable: true },
    { name: "s", type: utf8, values: ["a", "bc", "ü"] },
    { name: "d", type: dictionary(["p", "q"]), values: ["q", "p", "q"] },
    {
      name: "l",
      type: list(struct({ x: int32, y: list(utf8) })),
      values: [[], [{ x: 1, y: ["z"] }], []],
    },
    {
      name: "f",
      type: fixedList(float32, 2),
      values: [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
    }, //
  ]);
  bytes = readFileSync(file("x.arrow"));
});

/** Reads a file whole; true when it could be, false on a UsageError; other errors fail the test. */
function readable(content: Uint8Array): boolean {
  writeFileSync(file("y.arrow"), content);
  try {
    const table = readArrow(file("y.arrow"));
    for (const { name } of table.schema.fields) {
      for (let i = 0; i < table.rows; i++) table.value(name, i);
    }
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return false;
  }
}

describe("readArrow on a damaged file", () => {
  test("is a UsageError wherever the file is cut", () => {
    for (let length = 0; length < bytes.length; length += length < bytes.length - 50 ? 13 : 1) {
      expect(readable(bytes.subarray(0, length))).toBe(false);
    }
    expect(readable(bytes)).toBe(true);
  });

  test("is a UsageError or a table with any byte changed, and never another error", () => {
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        const changed = Uint8Array.from(bytes);
        changed[at] = value;
        readable(changed);
      }),
      { numRuns: 1000 },
    );
  });

  test("is a UsageError or a table with any four bytes set to a large or negative number", () => {
    const number = fc.constantFrom(-1, 2 ** 31 - 1, -(2 ** 31), 65536, 2 ** 24);
    fc.assert(
      fc.property(fc.nat(Math.floor(bytes.length / 4) - 1), number, (at, value) => {
        const changed = Uint8Array.from(bytes);
        new DataView(changed.buffer).setInt32(4 * at, value, true);
        readable(changed);
      }),
      { numRuns: 1000 },
    );
  });

  test("is a UsageError on bytes that are no Arrow at all", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        expect(readable(noise)).toBe(false);
        expect(readable(Buffer.concat([Buffer.from("ARROW1\0\0"), noise, Buffer.from("ARROW1")]))) //
          .toBe(false);
      }),
      { numRuns: 100 },
    );
  });

  test("names the file and what is wrong with it", () => {
    writeFileSync(file("y.arrow"), bytes.subarray(0, bytes.length - 4));
    expect(() => readArrow(file("y.arrow"))).toThrow(
      /y\.arrow: expected an Arrow IPC file or stream, got no footer: the file was not written/,
    );
    writeFileSync(file("y.arrow"), "doc,pos\n1,2\n");
    expect(() => readArrow(file("y.arrow"))).toThrow(/neither an Arrow file nor an Arrow stream/);
    expect(() => readArrow(file("no.arrow"))).toThrow(/no such file/);
    expect(() => readArrow(file())).toThrow(UsageError);
  });

  test("refuses a footer whose blocks stand for the same bytes over and over", () => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const footerLength = view.getInt32(bytes.length - 10, true);
    const footer = Buffer.from(bytes.subarray(bytes.length - 10 - footerLength, bytes.length - 10));
    // A vector of blocks after the footer, and the footer's batches (slot 3) pointing at it.
    const table = footer.readUInt32LE(0);
    const vtable = table - footer.readInt32LE(table);
    const slot = table + footer.readUInt16LE(vtable + 4 + 2 * 3);
    const old = slot + footer.readUInt32LE(slot);
    const block = footer.subarray(old + 4, old + 28);
    const padding = Buffer.alloc((4 - (footer.length % 8) + 8) % 8);
    const count = Buffer.alloc(4);
    count.writeUInt32LE(10_000);
    const blocks = Buffer.concat([count, ...new Array(10_000).fill(block)]);
    const grown = Buffer.concat([footer, padding, blocks]);
    grown.writeUInt32LE(footer.length + padding.length - slot, slot);
    const length = Buffer.alloc(4);
    length.writeInt32LE(grown.length);
    const head = bytes.subarray(0, bytes.length - 10 - footerLength);
    writeFileSync(file("y.arrow"), Buffer.concat([head, grown, length, Buffer.from("ARROW1")]));
    expect(() => readArrow(file("y.arrow"))).toThrow(/blocks of \d+ bytes in all/);
  });

  test("is refused by its footer when it is a sparse file of a terabyte", () => {
    writeFileSync(file("y.arrow"), bytes.subarray(0, 100));
    const fd = openSync(file("y.arrow"), "r+");
    ftruncateSync(fd, 2 ** 40);
    closeSync(fd);
    expect(() => readArrow(file("y.arrow"))).toThrow(UsageError);
  });
});

describe("readArrow on a stream", () => {
  const schema = new Schema([new Field("a", new Float32(), false)]);
  const batch = (values: number[]) => {
    const { data } = vectorFromArray(values, new Float32());
    const type = new Struct(schema.fields);
    return new RecordBatch(
      schema,
      makeData({ type, length: values.length, nullCount: 0, children: [...data] }),
    );
  };
  const batches: Iterable<RecordBatch> = [batch([1, 2]), batch([3])];
  const stream = () => RecordBatchStreamWriter.writeAll(batches).toUint8Array(true);

  test("reads its batches, with or without the mark at its end", () => {
    for (const content of [stream(), stream().subarray(0, -8)]) {
      writeFileSync(file("y.arrows"), content);
      const reader = new ArrowReader(file("y.arrows"));
      expect(reader.format).toBe("stream");
      expect(reader.countRows()).toEqual({ rows: 3, batches: 2 });
      reader.close();
      expect(readArrow(file("y.arrows")).float32("a")).toEqual(Float32Array.of(1, 2, 3));
    }
  });

  test("is a UsageError where it is cut within a message", () => {
    const content = stream();
    let tables = 0;
    for (let length = 0; length < content.length; length++) {
      if (readable(content.subarray(0, length))) tables++;
    }
    expect(tables).toBe(3); // cut after the schema, the first and the second batch, it is sound
  });
});

describe("ArrowReader", () => {
  test("counts rows without loading them and can be read batch by batch", () => {
    const values = Int32Array.from({ length: 9000 }, (_, i) => i);
    writeArrowTable(file("z.arrow"), [{ name: "a", type: int32, values }]);
    const reader = new ArrowReader(file("z.arrow"));
    expect(reader.countRows()).toEqual({ rows: 9000, batches: 3 });
    expect([...reader.batches()].map(({ rows }) => rows)).toEqual([4096, 4096, 808]);
  });

  test("closes its file when the reading stops early", () => {
    writeArrowTable(file("z.arrow"), [{ name: "a", type: int32, values: new Int32Array(9000) }]);
    const reader = new ArrowReader(file("z.arrow"));
    for (const { rows } of reader.batches()) {
      expect(rows).toBe(4096);
      break;
    }
    expect(() => reader.countRows()).toThrow(/internal: .* is closed/);
  });
});
