// Arrow files that mean harm or are damaged, through `train --activations`: one line that names the file, exit code 2,
// nothing written and no memory taken for what a file only says of itself.
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dumpSequences } from "../../sae/index.ts";
import {
  ActivationDump,
  type ArrowField,
  ArrowReader,
  fixedList,
  float32,
  int32,
  list,
  UsageError,
  writeActivationDump,
  writeArrowTable,
  writeSaelensDump,
} from "../../src/io/index.ts";
import { runCommand } from "../support/command-line.ts";

/** 20 documents of 16 tokens: a number of rows that no other number in the files is. */
const rows = 320;
let folder = "";
let dump: Buffer;
let cached: Buffer;
const at = (...parts: string[]): string => join(folder, ...parts);
const counted = (length: number) => Int32Array.from({ length }, (_, i) => i);
const values = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i));

/** A dump of `length` tokens in documents of 16. */
async function makeDump(name: string, length: number): Promise<Buffer> {
  const hooks = [{ name: "x", width: 4 }];
  await writeActivationDump(at(name), { hooks, vocab: ["a", "b"], metadata: {} }, [
    {
      doc: counted(length).map((i) => Math.floor(i / 16)),
      pos: counted(length).map((i) => i % 16),
      tokenId: counted(length).map((i) => i % 2),
      activations: new Map([["x", values(4 * length)]]),
    },
  ]);
  return readFileSync(at(name));
}

/** The file of a folder in SAELens's layout, of sequences of `context` tokens. */
async function makeCached(name: string, context: number, length: number): Promise<Buffer> {
  const hooks = [{ name: "x", width: 4 }];
  const batch = { tokenIds: counted(length), activations: new Map([["x", values(4 * length)]]) };
  await writeSaelensDump(at(name), { hooks, context }, [batch]);
  return readFileSync(at(name, "data-00000-of-00001.arrow"));
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "hostile-activations-"));
  dump = await makeDump("good.arrow", rows);
  cached = await makeCached("cached", 16, rows);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What the command says of `path`, which it has to refuse. */
async function refusal(path: string): Promise<string> {
  const { code, out, err } = await runCommand(
    ...["train", "--activations", path, "--hook", "x", "--d-sae", "8", "--k", "2"],
    ...["--out", at("run")],
  );
  expect([code, out]).toEqual([2, ""]);
  expect(existsSync(at("run"))).toBe(false);
  const lines = err.trim().split("\n"); // the error, and at most a hint
  expect(lines[0]).toContain(path);
  expect(lines.length).toBeLessThan(3);
  return lines[0];
}

function written(name: string, bytes: Buffer): string {
  writeFileSync(at(name), bytes);
  return at(name);
}

/** `bytes` with one word changed, the first for which a dump is refused with such a message. */
function damaged(
  bytes: Buffer,
  change: (bytes: Buffer, at: number) => boolean,
  message: RegExp,
): Buffer {
  for (let place = bytes.length - 4; place >= 0; place--) {
    const changed = Buffer.from(bytes);
    if (!change(changed, place)) continue;
    try {
      new ActivationDump(written("tried.arrow", changed));
    } catch (error) {
      if (message.test(String(error))) return changed;
    }
  }
  throw new Error(`no word of the file makes ${message}`);
}

/** Puts `to` where a byte is `from`. */
const byte = (from: number, to: number) => (bytes: Buffer, place: number) => {
  if (bytes[place] !== from) return false;
  bytes[place] = to;
  return true;
};

test("a file cut anywhere in its footer, its metadata or its numbers", async () => {
  for (const length of [0, 5, 8, 40, dump.length >> 1, dump.length - 30, dump.length - 1]) {
    await refusal(written("cut.arrow", dump.subarray(0, length)));
  }
  for (const length of [3, 100, cached.length >> 1]) {
    await refusal(written("cut-stream.arrow", cached.subarray(0, length)));
  }
});

test("a footer of 2 GB, or of fewer than no bytes", async () => {
  for (const length of [0x7fffffff, -1, dump.length + 1]) {
    const bytes = Buffer.from(dump);
    bytes.writeInt32LE(length, bytes.length - 10);
    await refusal(written("footer.arrow", bytes));
  }
});

test("a terabyte of nothing", async () => {
  const path = written("terabyte.arrow", dump);
  truncateSync(path, 2 ** 40);
  await refusal(path);
});

test.each([
  ["a dump", () => dump, 320n],
  ["a stream of sequences", () => cached, 20n],
])("a trillion rows in the metadata of %s", async (_, bytes, n) => {
  const changed = Buffer.from(bytes());
  for (let place = 0; place + 8 <= changed.length; place += 4) {
    if (changed.readBigInt64LE(place) === n) changed.writeBigInt64LE(2n ** 40n, place);
  }
  await refusal(written("rows.arrow", changed));
});

test("types that nobody reads, and types within types within types", async () => {
  const union = damaged(dump, byte(16, 14), /type union/);
  expect(await refusal(written("union.arrow", union))).toMatch(/column x of type union/);
  const unknown = damaged(dump, byte(16, 99), /type number 99/);
  await refusal(written("unknown.arrow", unknown));
  let type: ArrowField["type"] = float32;
  let value: unknown = 1;
  for (let depth = 0; depth < 20; depth++) {
    type = list(type);
    value = [value];
  }
  const columns = ["doc", "pos"].map((name) => ({ name, type: int32, values: [0] }));
  writeArrowTable(at("deep.arrow"), [...columns, { name: "x", type, values: [value] }]);
  expect(await refusal(at("deep.arrow"))).toMatch(/nested more than 16 deep/);
});

test("a dump of no rows, or of rows that are all first ones, leaves no run behind", async () => {
  const of = (n: number) =>
    ["doc", "pos"].map((name) => ({ name, type: int32, values: [0].slice(0, n) }));
  for (const n of [0, 1]) {
    const x = { name: "x", type: fixedList(float32, 4), values: [[1, 2, 3, 4]].slice(0, n) };
    writeArrowTable(at(`rows-${n}.arrow`), [...of(n), x]);
    expect(await refusal(at(`rows-${n}.arrow`))).toMatch(/sequences of more than 1 token/);
  }
});

test("a dictionary that is not there", async () => {
  const without = damaged(dump, byte(1, 0), /column token without its dictionary/);
  await refusal(written("dictionary.arrow", without));
});

test("columns of other types, or none", async () => {
  const columns = ["doc", "pos"].map((name) => ({ name, type: int32, values: [0] }));
  writeArrowTable(at("numbers.arrow"), [...columns, { name: "x", type: float32, values: [1] }]);
  expect(await refusal(at("numbers.arrow"))).toMatch(/column x of activations/);
  writeArrowTable(at("none.arrow"), [{ name: "x", type: list(float32), values: [[1]] }]);
  expect(await refusal(at("none.arrow"))).toMatch(/integer column doc/);
});

test("one column is not read at once past 2 GB, whatever its batch says", () => {
  const path = written("stream.arrow", cached);
  truncateSync(path, 2 ** 33);
  const reader = new ArrowReader(path);
  expect(() => reader.readBytes(0, 2 ** 31 + 1)).toThrow(/smaller batches/i);
  reader.close();
});

test.each([
  ["a dump", () => makeDump("small.arrow", 20)],
  ["a stream of sequences", () => makeCached("small", 5, 20)],
])("%s with any word changed is refused, or has the rows it says", async (_, make) => {
  const good = await make();
  let refused = 0;
  for (let place = 0; place + 4 <= good.length; place += 12) {
    for (const word of [0x7fffffff, -8]) {
      const changed = Buffer.from(good);
      changed.writeInt32LE(word, place);
      try {
        const opened = new ActivationDump(written("word.arrow", changed));
        const sequences = dumpSequences(opened, [opened.hooks[0]?.name ?? "x"]);
        const [found] = await sequences.read(counted(sequences.nSeq));
        expect(found.length).toBe(sequences.rows * sequences.hooks[0].width);
        expect(sequences.rows).toBeLessThanOrEqual(opened.rows);
        sequences.close();
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
        refused++;
      }
    }
  }
  expect(refused).toBeGreaterThan(30);
});
