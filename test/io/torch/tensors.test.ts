// Files of torch.save: what PyTorch writes is read and the reverse, and hostile files get one clear error.
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  type HostTensor,
  readTorchTensors,
  UsageError,
  writeTorchTensors,
} from "../../../src/io/index.ts";
import { writeStoredZip } from "../../../src/io/torch/stored-zip.ts";
import { python } from "../../support/python.ts";

const folder = mkdtempSync(join(tmpdir(), "sae-carry-torch-"));
const file = (name: string) => join(folder, name);

const tensors = new Map<string, HostTensor>([
  ["k", { shape: [], data: Int32Array.of(3) }],
  ["threshold", { shape: [], data: Float32Array.of(-0) }],
  ["encoder.weight", { shape: [3, 2], data: Float32Array.of(1.5, -2, 3e-42, 4, 5, 0.1) }],
  ["group_sizes", { shape: [2], data: BigInt64Array.of(1n, -(2n ** 40n)) }],
  ["empty", { shape: [0, 4], data: new Float32Array(0) }],
]);

test("tensors come back bit for bit in their order, and the same tensors make the same bytes", () => {
  writeTorchTensors(file("a.pt"), tensors);
  writeTorchTensors(file("b.pt"), tensors);
  expect(readFileSync(file("b.pt"))).toEqual(readFileSync(file("a.pt")));
  const got = readTorchTensors(file("a.pt"));
  expect([...got.keys()]).toEqual([...tensors.keys()]);
  for (const [name, { shape, data }] of tensors) {
    expect(got.get(name)?.shape).toEqual(shape);
    expect(got.get(name)?.data.constructor).toBe(data.constructor);
    expect(Object.is(got.get(name)?.data[0], data[0])).toBe(true);
    expect(got.get(name)?.data).toEqual(data);
  }
});

python.test("PyTorch reads our files with weights_only and we read its files", async (run) => {
  writeTorchTensors(file("ours.pt"), tensors);
  const script = `
import collections, json, sys, torch, zipfile
ours, theirs, wide = sys.argv[1:]
got = torch.load(ours, weights_only=True)
print(json.dumps({n: [str(t.dtype), list(t.shape), t.flatten().tolist()] for n, t in got.items()}))
m = torch.nn.Linear(3, 4)
with torch.no_grad():
    m.weight.copy_(torch.arange(12.).reshape(4, 3))
    m.bias.copy_(torch.arange(4.) / 8)
m.register_buffer("k", torch.tensor(7, dtype=torch.int))
d = m.state_dict()
d["t"] = torch.arange(6.).reshape(2, 3).T
d["view"] = torch.arange(24.).reshape(2, 3, 4)[:, 1:, ::2].permute(2, 0, 1)
d["half"] = torch.tensor([0.5, 65504.0]).half()
d["bf16"] = torch.tensor([0.5, -3.0]).bfloat16()
d["double"] = torch.tensor([0.1], dtype=torch.float64)
d["long"] = torch.tensor([1, -(2**40)])
d["parameter"] = torch.nn.Parameter(torch.ones(2))
torch.save(d, theirs)
zipfile.ZIP64_LIMIT = 10
with zipfile.ZipFile(theirs) as a, zipfile.ZipFile(wide, "w") as b:
    for name in a.namelist():
        b.writestr(name, a.read(name))
`;
  const stdout = await run(script, [file("ours.pt"), file("theirs.pt"), file("wide.pt")]);
  expect(JSON.parse(stdout)).toEqual({
    k: ["torch.int32", [], [3]],
    threshold: ["torch.float32", [], [-0]],
    "encoder.weight": [
      "torch.float32",
      [3, 2],
      [1.5, -2, Math.fround(3e-42), 4, 5, Math.fround(0.1)],
    ],
    group_sizes: ["torch.int64", [2], [1, -(2 ** 40)]],
    empty: ["torch.float32", [0, 4], []],
  });
  for (const name of ["theirs.pt", "wide.pt"]) {
    const got = readTorchTensors(file(name));
    expect([...got.keys()].slice(0, 3)).toEqual(["weight", "bias", "k"]);
    expect(got.get("weight")).toEqual({ shape: [4, 3], data: Float32Array.from(Array(12).keys()) });
    expect(got.get("k")).toEqual({ shape: [], data: Int32Array.of(7) });
    expect(got.get("t")).toEqual({ shape: [3, 2], data: Float32Array.of(0, 3, 1, 4, 2, 5) });
    expect(got.get("view")).toEqual({
      shape: [2, 2, 2],
      data: Float32Array.of(4, 8, 16, 20, 6, 10, 18, 22),
    });
    expect(got.get("half")?.data).toEqual(Float32Array.of(0.5, 65504));
    expect(got.get("bf16")?.data).toEqual(Float32Array.of(0.5, -3));
    expect(got.get("double")?.data).toEqual(Float64Array.of(0.1));
    expect(got.get("long")?.data).toEqual(BigInt64Array.of(1n, -(2n ** 40n)));
    expect(got.get("parameter")?.data).toEqual(Float32Array.of(1, 1));
  }
});

/** Writes an archive with this pickle and, unless given, one storage of four floats. */
function withPickle(
  pickle: string,
  others: Readonly<Record<string, Uint8Array>> = { "data/0": new Uint8Array(16) },
): string {
  const path = file("hostile.pt");
  const entries = { "data.pkl": Buffer.from(pickle, "latin1"), ...others, version: Buffer.of(51) };
  writeStoredZip(
    path,
    new Map(Object.entries(entries).map(([name, bytes]) => [`x/${name}`, bytes])),
  );
  return path;
}

const str = (text: string) => `X${String.fromCharCode(text.length)}\0\0\0${text}`;
const tuple = (items: readonly number[]) =>
  `(${items.map((n) => `K${String.fromCharCode(n)}`).join("")}t`;

interface View {
  readonly key?: string;
  readonly type?: string;
  readonly count?: number;
  readonly offset?: number;
  readonly shape?: readonly number[];
  readonly strides?: readonly number[];
}

/** The opcodes of a tensor of storage 0. */
function tensor(view: View = {}): string {
  const { key = "0", type = "FloatStorage", count = 4, offset = 0 } = view;
  const { shape = [4], strides = [1] } = view;
  const storage = `(${str("storage")}ctorch\n${type}\n${str(key)}${str("cpu")}${tuple([count])}`;
  return (
    `ctorch._utils\n_rebuild_tensor_v2\n(${storage.replace(/\(K(.)t$/s, "K$1")}tQ` +
    `K${String.fromCharCode(offset)}${tuple(shape)}${tuple(strides)}\x89}tR`
  );
}

const dict = (items: string) => `\x80\x02}(${items}u.`;

test("the hand-written pickles of these tests are right where nothing is wrong with them", () => {
  const view = { offset: 1, shape: [1, 3], strides: [3, 1] };
  const got = readTorchTensors(withPickle(dict(str("a") + tensor(view))));
  expect(got.get("a")).toEqual({ shape: [1, 3], data: new Float32Array(3) });
});

const a = str("a");

test.each<[string, string, RegExp]>([
  ["a call of os.system", "\x80\x02cos\nsystem\n(X\x02\0\0\0idtR.", /the global os\.system/],
  ["builtins", "\x80\x02c__builtin__\neval\n.", /the global __builtin__\.eval/],
  [
    "a code-runner inside a known call",
    dict(a + tensor().replace("}tR", "csubprocess\nPopen\n)RtR")),
    /the global subprocess\.Popen/,
  ],
  [
    "a global under a dotted name",
    "\x80\x02ctorch\nstorage.os.system\n.",
    /torch\.storage\.os\.system/,
  ],
  ["INST", "\x80\x02(ios\nsystem\n.", /opcode 0x69/],
  ["a global from the stack", `\x80\x02${str("os")}${str("system")}\x93.`, /opcode 0x93/],
  ["NEWOBJ", "\x80\x02ccollections\nOrderedDict\n)\x81.", /opcode 0x81/],
  ["another protocol", "\x80\x04}.", /protocol 2/],
  ["a call of a storage", "\x80\x02ctorch\nFloatStorage\n)R.", /a call of torch\.FloatStorage/],
  ["an unknown storage", dict(a + tensor({ type: "ComplexFloatStorage" })), /ComplexFloatStorage/],
  ["a text instead of a dict", `\x80\x02${a}.`, /a dict of tensors/],
  ["a number among the tensors", dict(`${a}K\x01`), /a: expected a tensor/],
  ["a name twice", dict(a + tensor() + a + tensor()), /each key once/],
  ["an end in the middle", dict(a + tensor()).slice(0, -20), /an end in its middle/],
  ["a text longer than the pickle", "\x80\x02X\xff\xff\xff\xff.", /an end in its middle/],
  ["an empty stack", "\x80\x02.", /a value on the stack/],
  ["no mark", "\x80\x02}u.", /a mark on the stack/],
  ["a value never stored", "\x80\x02h\x05.", /place 5/],
  ["a missing storage", dict(a + tensor({ key: "1" })), /no storage/],
  ["a storage's path", dict(a + tensor({ key: "../../etc/passwd" })), /no storage/],
  [
    "more numbers than the storage has",
    dict(a + tensor({ count: 8, shape: [8] })),
    /32 bytes, got 16/,
  ],
  ["a storage of another type", dict(a + tensor({ type: "DoubleStorage" })), /32 bytes, got 16/],
  ["an offset past the end", dict(a + tensor({ offset: 1 })), /within 4 numbers/],
  [
    "strides past the end",
    dict(a + tensor({ shape: [2, 2], strides: [3, 1] })),
    /within 4 numbers/,
  ],
  [
    "a stride of zero",
    dict(a + tensor({ shape: [255, 255], strides: [0, 0] })),
    /within 4 numbers/,
  ],
  ["rows that overlap", dict(a + tensor({ shape: [2, 3], strides: [1, 1] })), /within 4 numbers/],
  [
    "tensors that overlap",
    dict(a + tensor({ shape: [3] }) + str("b") + tensor({ offset: 2, shape: [2] })),
    /another tensor/,
  ],
  [
    "one storage under two types",
    dict(
      a + tensor({ shape: [1] }) + str("b") + tensor({ type: "IntStorage", offset: 2, shape: [1] }),
    ),
    /another tensor/,
  ],
])("%s in a pickle is one UsageError, and nothing is executed", (_, pickle, message) => {
  const path = withPickle(pickle);
  expect(() => readTorchTensors(path)).toThrow(UsageError);
  expect(() => readTorchTensors(path)).toThrow(message);
});

const good = (): Buffer => {
  writeTorchTensors(file("good.pt"), tensors);
  return readFileSync(file("good.pt"));
};
const directoryAt = (bytes: Buffer) => bytes.readUInt32LE(bytes.length - 6);

test.each<[string, (bytes: Buffer) => Buffer | undefined, RegExp]>([
  ["no archive", () => Buffer.from("hello"), /a zip archive/],
  ["an empty file", () => Buffer.alloc(0), /a zip archive/],
  ["a cut file", (bytes) => bytes.subarray(0, bytes.length - 30), /a zip archive/],
  ["a directory past the end", (b) => void b.writeUInt32LE(b.length, b.length - 6), /at most/],
  ["an entry too many", (b) => void b.writeUInt16LE(99, b.length - 12), /99 entries/],
  ["compression", (b) => void b.writeUInt16LE(8, directoryAt(b) + 10), /uncompressed/],
  [
    "two sizes of an entry",
    (b) => void b.writeUInt32LE(2 ** 31, directoryAt(b) + 24),
    /of one size/,
  ],
  ["encryption", (b) => void b.writeUInt16LE(1, directoryAt(b) + 8), /in the clear/],
  [
    "a local header that is another entry's",
    (b) => void b.writeUInt32LE(b.indexOf("PK\x03\x04", 4), directoryAt(b) + 42),
    /where the directory says/,
  ],
  [
    "entries that overlap",
    (b) => {
      // data.pkl is said to reach to the directory, over all that follows it
      const at = directoryAt(b);
      const size = at - b.indexOf("\x80\x02ccollections", 0, "latin1");
      b.writeUInt32LE(size, at + 20);
      b.writeUInt32LE(size, at + 24);
      return undefined;
    },
    /entries that overlap/,
  ],
  [
    "another checksum",
    (b) => void b.writeUInt8(0x01, b.indexOf("\x80\x02ccollections", 0, "latin1") + 5),
    /another checksum/,
  ],
  ["a big-endian machine", (b) => void b.write("bigend", b.indexOf("little")), /checksum/],
])("an archive with %s is a UsageError", (_, damage, message) => {
  const bytes = good();
  const damaged = damage(bytes) ?? bytes;
  writeFileSync(file("damaged.pt"), damaged);
  expect(() => readTorchTensors(file("damaged.pt"))).toThrow(UsageError);
  expect(() => readTorchTensors(file("damaged.pt"))).toThrow(message);
});

test("numbers of a big-endian machine are refused", () => {
  const path = withPickle(dict(a + tensor()), {
    "data/0": new Uint8Array(16),
    byteorder: Buffer.from("big"),
  });
  expect(() => readTorchTensors(path)).toThrow(/little-endian numbers, got big/);
});

test("a pickle that is far larger than any state_dict is not run", () => {
  const path = withPickle(`\x80\x02${"}".repeat(2 ** 20)}.`);
  expect(() => readTorchTensors(path)).toThrow(/a pickle of at most/);
});

test("every cut of a file is a UsageError", () => {
  const bytes = good();
  for (let length = 0; length < bytes.length; length += 37) {
    writeFileSync(file("cut.pt"), bytes.subarray(0, length));
    expect(() => readTorchTensors(file("cut.pt")), String(length)).toThrow(UsageError);
  }
});

test("a byte changed anywhere is read as before or is a UsageError, never another failure", () => {
  const bytes = good();
  const rightly = readTorchTensors(file("good.pt"));
  for (let at = 0; at < bytes.length; at += 7) {
    const changed = Buffer.from(bytes);
    changed[at] ^= 0x55;
    writeFileSync(file("changed.pt"), changed);
    let got: unknown;
    try {
      got = readTorchTensors(file("changed.pt"));
    } catch (error) {
      expect(error, `byte ${at}`).toBeInstanceOf(UsageError);
      continue;
    }
    expect(got, `byte ${at}`).toEqual(rightly);
  }
});
