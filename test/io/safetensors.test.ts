import {
  closeSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodeSafetensors,
  encodeSafetensors,
  type HostArray,
  type HostTensor,
  RunError,
  readSafetensors,
  readSafetensorsHeader,
  sizeOf,
  UsageError,
  writeSafetensors,
} from "../../src/io/index.ts";
import { temporaryFolder } from "../support/folder.ts";
import { python } from "../support/python.ts";

const file = temporaryFolder();

/** A file with a header of one's own making. */
function crafted(header: unknown, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const json = new TextEncoder().encode(
    typeof header === "string" ? header : JSON.stringify(header),
  );
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof UsageError) return error.code;
    throw error;
  }
  return "no error";
}

const decodeCode = (header: unknown, data?: Uint8Array) =>
  codeOf(() => decodeSafetensors(crafted(header, data)));

const finite = { noNaN: true, noDefaultInfinity: true };
const elements: ((n: number) => fc.Arbitrary<HostArray>)[] = [
  (n) => fc.float32Array({ minLength: n, maxLength: n, ...finite }),
  (n) => fc.float64Array({ minLength: n, maxLength: n, ...finite }),
  (n) => fc.int32Array({ minLength: n, maxLength: n }),
  (n) => fc.uint8Array({ minLength: n, maxLength: n }),
  (n) => fc.bigInt64Array({ minLength: n, maxLength: n }),
];
const tensor: fc.Arbitrary<HostTensor> = fc
  .tuple(
    fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
    fc.integer({ min: 0, max: elements.length - 1 }),
  )
  .chain(([shape, kind]) => elements[kind](sizeOf(shape)).map((data) => ({ shape, data })));
const name = fc.string({ unit: "grapheme" }).filter((text) => text !== "__metadata__");
const tensors = fc
  .uniqueArray(fc.tuple(name, tensor), { selector: ([key]) => key, maxLength: 5 })
  .map((entries) => new Map(entries));

describe("a safetensors file", () => {
  test("has the bytes that the format's description gives for two small tensors", () => {
    const bytes = encodeSafetensors(
      new Map<string, HostTensor>([
        ["b", { shape: [2], data: Uint8Array.of(7, 8) }],
        ["a", { shape: [1], data: Float32Array.of(1) }],
      ]),
    );
    const json =
      '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}}';
    const padded = Math.ceil(json.length / 8) * 8;
    expect(Array.from(bytes.subarray(0, 8))).toEqual([padded, 0, 0, 0, 0, 0, 0, 0]);
    expect(new TextDecoder().decode(bytes.subarray(8, 8 + padded))).toBe(json.padEnd(padded));
    expect(Array.from(bytes.subarray(8 + padded))).toEqual([0, 0, 0x80, 0x3f, 7, 8]);
  });

  test("comes back with the same tensors and metadata, whatever they are", () => {
    fc.assert(
      fc.property(tensors, fc.dictionary(fc.string(), fc.string()), (map, metadata) => {
        const back = decodeSafetensors(encodeSafetensors(map, metadata));
        expect(new Map([...back.tensors].sort())).toEqual(new Map([...map].sort()));
        expect({ ...back.metadata }).toEqual({ ...metadata });
      }),
    );
  });

  test("has the same bytes whatever the order of the tensors, on disk as in memory", () => {
    fc.assert(
      fc.property(tensors, (map) => {
        const bytes = encodeSafetensors(map, { z: "1", a: "2" });
        const reversed = new Map([...map].reverse());
        expect(encodeSafetensors(reversed, { a: "2", z: "1" })).toEqual(bytes);
        writeSafetensors(file("x.safetensors"), map, { z: "1", a: "2" });
        expect(new Uint8Array(readFileSync(file("x.safetensors")))).toEqual(bytes);
      }),
      { numRuns: 20 },
    );
  });

  test("that is cut anywhere is a UsageError", () => {
    fc.assert(
      fc.property(tensors, (map) => {
        const bytes = encodeSafetensors(map, { note: "x" });
        for (let length = 0; length < bytes.length; length++) {
          expect(() => decodeSafetensors(bytes.subarray(0, length))).toThrow(UsageError);
        }
      }),
      { numRuns: 10 },
    );
  });

  test("with any byte changed is read or refused with a UsageError, and never anything else", () => {
    const map = new Map<string, HostTensor>([
      ["weight", { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }],
      ["ids", { shape: [3], data: Int32Array.of(1, 2, 3) }],
    ]);
    const bytes = encodeSafetensors(map, { note: "x" });
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        const changed = bytes.slice();
        changed[at] = value;
        try {
          for (const { shape, data } of decodeSafetensors(changed).tensors.values()) {
            expect(data.length).toBe(sizeOf(shape));
          }
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test("with a header of random tensors is read only when they cover the data exactly", () => {
    const size = fc.oneof(
      fc.integer({ min: 0, max: 9 }),
      fc.constantFrom(-1, 0.5, 2 ** 31, 2 ** 53, 2 ** 60, 1e300),
    );
    const entry = fc.record({
      dtype: fc.constantFrom(
        "F32",
        "U8",
        "I64",
        "F16",
        "BF16",
        "BOOL",
        "F8_E4M3",
        "float",
        7,
        null,
      ),
      shape: fc.oneof(fc.array(size, { maxLength: 4 }), fc.constantFrom("x", null, {})),
      data_offsets: fc.oneof(fc.array(size, { maxLength: 3 }), fc.constantFrom("x", null, {})),
    });
    fc.assert(
      fc.property(fc.dictionary(fc.string(), entry), fc.nat(16), (header, length) => {
        const data = new Uint8Array(length);
        let read: ReturnType<typeof decodeSafetensors>;
        try {
          read = decodeSafetensors(crafted(header, data));
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
          return;
        }
        const covered = Object.values(header).map(({ data_offsets: range }) => {
          const [begin, end] = range as number[];
          return end - begin;
        });
        expect(covered.reduce((sum, bytes) => sum + bytes, 0)).toBe(length);
        expect(read.tensors.size).toBe(covered.length);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a hostile header", () => {
  const f32 = (begin: number, end: number, shape = [(end - begin) / 4]) => ({
    dtype: "F32",
    shape,
    data_offsets: [begin, end],
  });

  test.each([
    ["2^63", 2n ** 63n],
    ["2^64 − 1", 2n ** 64n - 1n],
    ["4 GB", 2n ** 32n],
  ])("of length %s is refused before anything is allocated", (_, length) => {
    const bytes = new Uint8Array(64);
    new DataView(bytes.buffer).setBigUint64(0, length, true);
    writeFileSync(file("x.safetensors"), bytes);
    expect(codeOf(() => decodeSafetensors(bytes))).toBe("safetensors-header-length");
    expect(codeOf(() => readSafetensors(file("x.safetensors")))).toBe("safetensors-header-length");
  });

  test("that is longer than the file is a truncated file", () => {
    const bytes = new Uint8Array(64);
    bytes[0] = 57;
    expect(codeOf(() => decodeSafetensors(bytes))).toBe("safetensors-truncated");
  });

  test("with overlapping tensors, a hole, or bytes that belong to none is refused", () => {
    const data = new Uint8Array(12);
    expect(decodeCode({ a: f32(0, 8), b: f32(4, 12) }, data)).toBe("safetensors-offsets");
    expect(decodeCode({ a: f32(0, 4), b: f32(8, 12) }, data)).toBe("safetensors-offsets");
    expect(decodeCode({ a: f32(0, 8) }, data)).toBe("safetensors-offsets");
    expect(decodeCode({ a: f32(4, 12) }, data)).toBe("safetensors-offsets");
    expect(decodeCode({ a: f32(0, 12), b: f32(0, 12) }, data)).toBe("safetensors-offsets");
    expect(decodeCode({ a: f32(0, 4), b: f32(4, 12) }, data)).toBe("no error");
  });

  test("with data that the file doesn't have is refused before it is allocated", () => {
    const size = 2 ** 50;
    expect(decodeCode({ a: f32(0, size) }, new Uint8Array(4))).toBe("safetensors-truncated");
    expect(decodeCode({ a: f32(0, 4, [2 ** 52, 2 ** 52]) }, new Uint8Array(4))).toBe(
      "safetensors-offsets",
    );
  });

  test("with a name twice is refused, spelled one way or two", () => {
    const one = JSON.stringify(f32(0, 4));
    const data = new Uint8Array(4);
    expect(decodeCode(`{"a":${one},"a":${one}}`, data)).toBe("json-duplicate-key");
    expect(decodeCode(`{"a":${one},"\\u0061":${one}}`, data)).toBe("json-duplicate-key");
    expect(decodeCode(`{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, data)) //
      .toBe("json-duplicate-key");
  });

  test("that is no JSON, no object or not UTF-8 is refused", () => {
    expect(decodeCode("{")).toBe("json-malformed");
    expect(decodeCode("[]")).toBe("safetensors-header");
    expect(decodeCode("null")).toBe("safetensors-header");
    const bytes = crafted("{}");
    bytes[8] = 0xff;
    expect(codeOf(() => decodeSafetensors(bytes))).toBe("not-utf8");
  });

  test("with an unknown dtype, a wrong shape, a strange field or metadata that isn't text is refused", () => {
    const data = new Uint8Array(4);
    const entry = { dtype: "F32", shape: [1], data_offsets: [0, 4] };
    expect(decodeCode({ a: { ...entry, dtype: "F4" } }, data)).toBe("safetensors-dtype");
    expect(decodeCode({ a: { ...entry, dtype: undefined } }, data)).toBe("safetensors-dtype");
    expect(decodeCode({ a: { ...entry, shape: [-1] } }, data)).toBe("safetensors-shape");
    expect(decodeCode({ a: { ...entry, shape: [1.5] } }, data)).toBe("safetensors-shape");
    expect(decodeCode({ a: { ...entry, shape: ["1"] } }, data)).toBe("safetensors-shape");
    expect(decodeCode({ a: { ...entry, data_offsets: [4, 0] } }, data)).toBe("safetensors-offsets");
    expect(decodeCode({ a: { ...entry, stride: 1 } }, data)).toBe("safetensors-header");
    expect(decodeCode({ a: 1 }, data)).toBe("safetensors-header");
    expect(decodeCode({ __metadata__: { a: 1 } })).toBe("safetensors-metadata");
    expect(decodeCode({ __metadata__: "a" })).toBe("safetensors-metadata");
  });

  test("with a name that is a property of every object is just a name", () => {
    const json = `{"__proto__":${JSON.stringify(f32(0, 4))},"constructor":${JSON.stringify(f32(4, 8))}}`;
    const { tensors: read } = decodeSafetensors(crafted(json, new Uint8Array(8)));
    expect([...read.keys()].sort()).toEqual(["__proto__", "constructor"]);
  });

  test("nested a hundred thousand deep doesn't exhaust the stack", () => {
    const deep = `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`;
    expect(decodeCode(deep)).toBe("safetensors-header");
    expect(decodeCode(`{"w":{"dtype":${deep}}}`)).toBe("safetensors-dtype");
  });
});

describe("values", () => {
  const nan = () =>
    encodeSafetensors(new Map([["w", { shape: [3], data: Float32Array.of(1, 2, NaN) }]]));

  test("that are not finite are refused with the tensor's name and the element", () => {
    expect(() => decodeSafetensors(nan(), { where: "model.safetensors" })).toThrow(
      "model.safetensors: tensor w: expected finite numbers, got NaN at element 2",
    );
    const infinite = new Map([["w", { shape: [], data: Float64Array.of(-Infinity) }]]);
    expect(codeOf(() => decodeSafetensors(encodeSafetensors(infinite)))).toBe(
      "safetensors-non-finite",
    );
  });

  test("that are not finite pass when the caller says so", () => {
    const { tensors: read } = decodeSafetensors(nan(), { allowNonFinite: true });
    expect(read.get("w")?.data).toEqual(Float32Array.of(1, 2, NaN));
  });

  test("that are not finite are never written", () => {
    const map = new Map([["w", { shape: [1], data: Float32Array.of(NaN) }]]);
    expect(() => writeSafetensors(file("x.safetensors"), map)).toThrow(RunError);
    expect(readdirSync(file())).toEqual([]);
  });

  test("of half precision and bfloat16 are widened", () => {
    const header = {
      half: { dtype: "F16", shape: [4], data_offsets: [0, 8] },
      brain: { dtype: "BF16", shape: [2], data_offsets: [8, 12] },
      flags: { dtype: "BOOL", shape: [2], data_offsets: [12, 14] },
    };
    // 1, −2, 2^-24 (the smallest), 65504 (the largest); 1, −2; true, false
    const bits = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0x3f80, 0xc000, 0x0001);
    const { tensors: read } = decodeSafetensors(crafted(header, new Uint8Array(bits.buffer)));
    expect(read.get("half")?.data).toEqual(Float32Array.of(1, -2, 2 ** -24, 65504));
    expect(read.get("brain")?.data).toEqual(Float32Array.of(1, -2));
    expect(read.get("flags")?.data).toEqual(Uint8Array.of(1, 0));
  });

  test("of type bool other than 0 and 1 are refused", () => {
    const header = { flags: { dtype: "BOOL", shape: [1], data_offsets: [0, 1] } };
    expect(decodeCode(header, Uint8Array.of(2))).toBe("safetensors-bool");
  });

  test("of an infinite half are refused", () => {
    const header = { half: { dtype: "F16", shape: [1], data_offsets: [0, 2] } };
    expect(decodeCode(header, Uint8Array.of(0x00, 0x7c))).toBe("safetensors-non-finite");
  });
});

describe("reading from disk", () => {
  test("of a file that isn't there, or is a folder, is a UsageError that names it", () => {
    expect(() => readSafetensors(file("no.safetensors"))).toThrow(/no\.safetensors.*no such file/);
    expect(() => readSafetensors(file())).toThrow(UsageError);
  });

  test("of the header alone leaves the tensors where they are", () => {
    const data = new Float32Array(1000).fill(NaN);
    writeFileSync(
      file("x.safetensors"),
      encodeSafetensors(new Map([["w", { shape: [10, 100], data }]]), { a: "b" }),
    );
    const { tensors: infos, metadata } = readSafetensorsHeader(file("x.safetensors"));
    expect(infos).toEqual([{ name: "w", dtype: "F32", shape: [10, 100], begin: 0, end: 4000 }]);
    expect(metadata).toEqual({ a: "b" });
  });

  test("of a sparse file of a terabyte that claims one tensor is refused by its header", () => {
    const header = { a: { dtype: "U8", shape: [8], data_offsets: [0, 8] } };
    writeFileSync(file("big.safetensors"), crafted(header, new Uint8Array(8)));
    const fd = openSync(file("big.safetensors"), "r+");
    ftruncateSync(fd, 2 ** 40);
    closeSync(fd);
    expect(codeOf(() => readSafetensors(file("big.safetensors")))).toBe("safetensors-offsets");
  });
});

python.test("the reference library reads our files and writes files that we read", async (run) => {
  const map = new Map<string, HostTensor>([
    ["W_enc", { shape: [2, 3], data: Float32Array.of(1, -2.5, 3e-8, 4, 5, 6.25) }],
    ["scalar", { shape: [], data: Float64Array.of(Math.PI) }],
    ["empty", { shape: [0, 4], data: new Float32Array(0) }],
    ["ids", { shape: [2], data: BigInt64Array.of(-1n, 2n ** 62n) }],
    ["map:0", { shape: [3], data: Int32Array.of(0, -1, 7) }],
    ['ünïcode "quoted"', { shape: [1], data: Uint8Array.of(255) }],
  ]);
  writeSafetensors(file("ours.safetensors"), map, { sae_lens_version: "6.0.0", é: "ü" });
  const out = await run(
    `
import json, sys, torch
from safetensors import safe_open
from safetensors.torch import save_file
ours, theirs = sys.argv[1:3]
with safe_open(ours, "pt") as f:
    read = {k: f.get_tensor(k) for k in f.keys()}
    print(json.dumps({
        "metadata": f.metadata(),
        "tensors": {k: [str(v.dtype), list(v.shape), v.flatten().tolist()] for k, v in read.items()},
    }))
save_file({
    "half": torch.tensor([1.0, -0.333, 6e-8], dtype=torch.float16),
    "brain": torch.tensor([[1.0, -0.333]], dtype=torch.bfloat16),
    "mask": torch.tensor([True, False]),
    "ids": torch.tensor([1, -2]),
}, theirs, metadata={"format": "pt"})
`,
    [file("ours.safetensors"), file("theirs.safetensors")],
  );
  const read = JSON.parse(out);
  expect(read.metadata).toEqual({ sae_lens_version: "6.0.0", é: "ü" });
  expect(read.tensors.W_enc[1]).toEqual([2, 3]);
  expect(Float32Array.from(read.tensors.W_enc[2])).toEqual(map.get("W_enc")?.data);
  expect(read.tensors.scalar).toEqual(["torch.float64", [], [Math.PI]]);
  expect(read.tensors.empty[1]).toEqual([0, 4]);
  expect(read.tensors.ids[0]).toBe("torch.int64");
  expect(read.tensors["map:0"]).toEqual(["torch.int32", [3], [0, -1, 7]]);
  expect(read.tensors['ünïcode "quoted"'][2]).toEqual([255]);

  const { tensors: theirs, metadata } = readSafetensors(file("theirs.safetensors"));
  expect(metadata).toEqual({ format: "pt" });
  expect(theirs.get("half")?.data).toBeAllclose([1, -0.333, 6e-8], { rtol: 1e-3, atol: 3e-8 });
  expect(theirs.get("brain")).toEqual({ shape: [1, 2], data: Float32Array.of(1, -0.33203125) });
  expect(theirs.get("mask")?.data).toEqual(Uint8Array.of(1, 0));
  expect(theirs.get("ids")?.data).toEqual(BigInt64Array.of(1n, -2n));
});
