// Files that mean harm or are damaged, through the commands: one error that names the file, exit code 2, nothing executed or written.
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { testBackend } from "../support/backend.ts";
import { runCommand } from "../support/command-line.ts";
import { makeSmallRun, type SmallRun } from "../support/small-run.ts";

let folder = "";
let small: SmallRun;
const at = (...parts: string[]): string => join(folder, ...parts);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "hostile-"));
  small = await makeSmallRun(at("small"));
  const line = ["--hook", small.hook, "--text", small.text, "--tokens", "400"];
  const { code } = await runCommand(
    ...["dump", small.model, ...line, "--out", at("acts.arrow"), "--backend", testBackend],
  );
  expect(code).toBe(0);
  const grown = ["expand", small.model, "--width", "2x", "--no-check", "--out", at("wider")];
  expect((await runCommand(...grown, "--backend", testBackend)).code).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Every command that reads an SAE, on `dir`. */
function commandsOf(dir: string): string[][] {
  return [
    ["eval", dir, "--model", small.model, "--text", small.text, "--hook", small.hook],
    ["eval", dir, "--activations", at("acts.arrow"), "--hook", small.hook],
    ["dump", small.model, "--sae", dir, "--text", small.text, "--out", at("out.arrow")],
    ["inspect", dir],
    ["carry", dir, "--expansion", at("wider"), "--hook", small.hook, "--out", at("carried")],
    ["import", dir, "--out", at("imported"), "--hook", small.hook],
    ["compare", dir, small.sae, "--activations", at("acts.arrow"), "--hook-a", small.hook],
  ];
}

async function refused(lines: string[][], where: RegExp): Promise<void> {
  for (const line of lines) {
    const { code, out } = await runCommand(...line, "--json");
    expect([line[0], code, out]).toEqual([line[0], 2, expect.stringMatching(where)]);
    expect(JSON.parse(out).error).toMatchObject({ expected: expect.any(String) });
  }
  for (const name of ["out.arrow", "imported", "carried", "executed"])
    expect(existsSync(at(name))).toBe(false);
}

test("a pickle that would run a command runs nothing", async () => {
  mkdirSync(at("pickle"));
  const settings = { trainer: { dict_class: "AutoEncoder", activation_dim: 12, dict_size: 24 } };
  writeFileSync(at("pickle", "config.json"), JSON.stringify(settings));
  // os.system("touch …") in protocol 0, as torch.load would have executed it
  writeFileSync(at("pickle", "ae.pt"), `cos\nsystem\n(S'touch ${at("executed")}'\ntR.`);
  await refused(commandsOf(at("pickle")), /ae\.pt/);
});

interface Entry {
  readonly name: string;
  /** 0 = stored, 8 = deflated. */
  readonly method: number;
  /** What the archive says that it has, before and after. */
  readonly compressed: number;
  readonly size: number;
  readonly data: Buffer;
}

/** A zip archive by hand; `placeOf` puts central records on other entries' places. */
function zip(entries: readonly Entry[], placeOf: (own: number) => number = (own) => own): Buffer {
  const sizes = ({ compressed, size, name }: Entry): Buffer => {
    const out = Buffer.alloc(14);
    out.writeUInt32LE(compressed, 4);
    out.writeUInt32LE(size, 8);
    out.writeUInt16LE(name.length, 12);
    return out;
  };
  const start = (signature: number, length: number, methodAt: number, method: number): Buffer => {
    const out = Buffer.alloc(length);
    out.writeUInt32LE(signature, 0);
    out.writeUInt16LE(method, methodAt);
    return out;
  };
  let bytes = Buffer.alloc(0);
  const places: number[] = [];
  for (const entry of entries) {
    places.push(bytes.length);
    const local = [start(0x04034b50, 14, 8, entry.method), sizes(entry), Buffer.alloc(2)];
    bytes = Buffer.concat([bytes, ...local, Buffer.from(entry.name), entry.data]);
  }
  const directory = bytes.length;
  for (const [i, entry] of entries.entries()) {
    const rest = Buffer.alloc(16);
    rest.writeUInt32LE(placeOf(places[i]), 12);
    const central = [start(0x02014b50, 16, 10, entry.method), sizes(entry), rest];
    bytes = Buffer.concat([bytes, ...central, Buffer.from(entry.name)]);
  }
  const end = start(0x06054b50, 22, 4, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(bytes.length - directory, 12);
  end.writeUInt32LE(directory, 16);
  return Buffer.concat([bytes, end]);
}

const code = Buffer.from("cos\nsystem\n(S'true'\ntR.");
const stored = (name: string, data: Buffer): Entry => ({
  ...{ name, method: 0, compressed: data.length, size: data.length, data },
});
const pickle = stored("archive/data.pkl", code);
const huge = 0xfffffff0;

test.each<[string, Buffer, RegExp]>([
  [
    "bytes that say they are 4 GB unpacked",
    zip([{ ...pickle, method: 8, size: huge }]),
    /compress/,
  ],
  ["4 GB in a file of some bytes", zip([{ ...pickle, compressed: huge, size: huge }]), /ae\.pt/],
  ["entries in one place", zip([pickle, stored("archive/data/0", code)], () => 0), /ae\.pt/],
  ["an archive in an archive", zip([stored("archive/data.pkl", zip([pickle]))]), /ae\.pt/],
  ["code in an archive", zip([pickle]), /ae\.pt/],
])("an ae.pt with %s is refused by every command", async (what, bytes, message) => {
  const dir = at(what.replaceAll(" ", "-"));
  mkdirSync(dir);
  const settings = { trainer: { dict_class: "AutoEncoder", activation_dim: 12, dict_size: 24 } };
  writeFileSync(join(dir, "config.json"), JSON.stringify(settings));
  writeFileSync(join(dir, "ae.pt"), bytes);
  await refused(commandsOf(dir), message);
});

/** The small SAE with the header of its weights changed. */
function withHeader(name: string, change: (header: Record<string, Tensor>) => void): string {
  cpSync(small.sae, at(name), { recursive: true });
  const path = at(name, "sae_weights.safetensors");
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<string, Tensor>;
  change(header);
  const text = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([size, text, bytes.subarray(8 + length)]));
  return at(name);
}

interface Tensor {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

test("overlapping tensors, dtypes that don't fit and sizes beyond the file are refused", async () => {
  const overlapping = withHeader("overlap", (header) => {
    header.W_dec.data_offsets = header.W_enc.data_offsets;
  });
  const dtype = withHeader("dtype", (header) => {
    header.W_enc.dtype = "F64";
  });
  const integers = withHeader("integers", (header) => {
    header.W_enc.dtype = "I32";
  });
  const huge = withHeader("huge", (header) => {
    header.W_enc.shape = [2 ** 30, 2 ** 20];
  });
  for (const dir of [overlapping, dtype, integers, huge]) {
    await refused(commandsOf(dir), /sae_weights\.safetensors/);
  }
});

test("a dump that was cut, or whose lengths lie, trains and measures nothing", async () => {
  const good = readFileSync(at("acts.arrow"));
  writeFileSync(at("cut.arrow"), good.subarray(0, good.length >> 1));
  const lying = Buffer.from(good);
  // the length of the footer
  lying.writeInt32LE(0x7fffff00, lying.length - 10);
  writeFileSync(at("lying.arrow"), lying);
  for (const name of ["cut.arrow", "lying.arrow"]) {
    const train = ["--hook", small.hook, "--out", at("imported")];
    await refused(
      [
        ["train", "--activations", at(name), ...train],
        ["eval", small.sae, "--activations", at(name)],
        ["inspect", at(name)],
      ],
      new RegExp(name.replace(".", "\\.")),
    );
  }
});
