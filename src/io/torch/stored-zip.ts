/**
 * @file Zip archives of uncompressed entries, which is what torch.save writes (APPNOTE.TXT 6.3, zip64 included). Files
 * are untrusted: every place and size is held against the real file before anything is allocated. A compressed entry
 * or entries that overlap are refused, so that no file can hold more bytes than it has: there are no zip bombs.
 * Names are keys of a map and never paths.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { crc32 } from "node:zlib";
import { AtomicSink } from "../atomic-file.ts";
import { RunError, UsageError } from "../errors.ts";
import { readProblem } from "../file-errors.ts";

/** One entry of an archive; `start` and `size` are bytes of the file. */
export interface ZipEntry {
  readonly start: number;
  readonly size: number;
  readonly crc: number;
}

/** An open archive. */
export interface StoredZip {
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /** The bytes of an entry. Errors: UsageError where they are not what their checksum says. */
  read(name: string): Uint8Array;
}

const endSize = 22;
const longestComment = 0xffff;
const largestDirectory = 2 ** 24; // bytes: some 100,000 entries
const localSize = 30;
const centralSize = 46;

/** Calls `use` with the archive at `path`, which is closed afterwards. Errors: UsageError for what is damaged or refused. */
export function withStoredZip<T>(path: string, use: (zip: StoredZip) => T): T {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    throw readProblem(error, path);
  }
  try {
    const file = { path, fd, size: fstatSync(fd).size };
    const entries = readDirectory(file);
    return use({ entries, read: (name) => readEntry(file, name, entries.get(name)) });
  } catch (error) {
    throw readProblem(error, path);
  } finally {
    closeSync(fd);
  }
}

interface OpenFile {
  readonly path: string;
  readonly fd: number;
  readonly size: number;
}

function bad({ path }: OpenFile, expected: string, got: string): UsageError {
  return new UsageError({ code: "zip-malformed", where: path, expected, got });
}

/** Copies a range that must lie within the file. */
function readRange(file: OpenFile, start: number, length: number): Buffer {
  if (!(start >= 0 && length >= 0 && start + length <= file.size)) {
    throw bad(file, `at most ${file.size} bytes`, `a part that ends at ${start + length}`);
  }
  const bytes = Buffer.from(new ArrayBuffer(length)); // of its own, so that numbers in it are aligned
  for (let done = 0; done < length; ) {
    const n = readSync(file.fd, bytes, done, Math.min(length - done, 2 ** 30), start + done);
    if (n === 0) throw bad(file, `${file.size} bytes`, `an end after ${start + done}`);
    done += n;
  }
  return bytes;
}

function readEntry(file: OpenFile, name: string, entry: ZipEntry | undefined): Uint8Array {
  if (!entry) throw bad(file, `an entry ${name}`, "none of that name");
  const bytes = readRange(file, entry.start, entry.size);
  if (crc32(bytes) !== entry.crc) {
    throw bad(file, `the bytes of ${name} as they were written`, "another checksum");
  }
  return bytes;
}

interface Directory {
  readonly start: number;
  readonly size: number;
  readonly count: number;
}

function findDirectory(file: OpenFile): Directory {
  const tail = Math.min(file.size, endSize + longestComment);
  const bytes = readRange(file, file.size - tail, tail);
  for (let at = tail - endSize; at >= 0; at--) {
    const isEnd = bytes.readUInt32LE(at) === 0x06054b50;
    if (!isEnd || at + endSize + bytes.readUInt16LE(at + 20) !== tail) continue;
    const classic = {
      count: bytes.readUInt16LE(at + 10),
      size: bytes.readUInt32LE(at + 12),
      start: bytes.readUInt32LE(at + 16),
    };
    const isWide =
      classic.count === 0xffff || classic.size === 0xffffffff || classic.start === 0xffffffff;
    return isWide ? findWideDirectory(file, file.size - tail + at) : classic;
  }
  throw new UsageError({
    code: "zip-malformed",
    where: file.path,
    expected: "a zip archive",
    got: "no end of its directory",
    hint: "torch.save has written archives since PyTorch 1.6; older files must be loaded and saved again",
  });
}

/** The zip64 form of the directory's place, whose locator lies before the classic one at `end`. */
function findWideDirectory(file: OpenFile, end: number): Directory {
  const locator = readRange(file, end - 20, 20);
  if (locator.readUInt32LE(0) !== 0x07064b50) throw bad(file, "a zip64 locator", "none");
  const record = readRange(file, wide(file, locator, 8), 56);
  if (record.readUInt32LE(0) !== 0x06064b50) throw bad(file, "a zip64 directory", "none");
  return {
    count: wide(file, record, 32),
    size: wide(file, record, 40),
    start: wide(file, record, 48),
  };
}

/** A u64 that is a place or a size within the file. */
function wide(file: OpenFile, bytes: Buffer, at: number): number {
  const value = bytes.readBigUInt64LE(at);
  if (value > BigInt(file.size)) throw bad(file, `a number up to ${file.size}`, String(value));
  return Number(value);
}

function readDirectory(file: OpenFile): Map<string, ZipEntry> {
  const directory = findDirectory(file);
  if (directory.size > largestDirectory) {
    throw bad(file, `a directory of at most ${largestDirectory} bytes`, `${directory.size}`);
  }
  const bytes = readRange(file, directory.start, directory.size);
  const entries = new Map<string, ZipEntry>();
  const ranges: { readonly begin: number; readonly end: number }[] = [];
  let at = 0;
  for (let n = 0; n < directory.count; n++) {
    if (at + centralSize > bytes.length || bytes.readUInt32LE(at) !== 0x02014b50) {
      throw bad(file, `${directory.count} entries in the directory`, `${n}`);
    }
    const [nameSize, extraSize, commentSize] = [28, 30, 32].map((o) => bytes.readUInt16LE(at + o));
    const end = at + centralSize + nameSize + extraSize + commentSize;
    if (end > bytes.length) throw bad(file, "a whole directory", "a cut entry");
    const name = bytes.toString("utf8", at + centralSize, at + centralSize + nameSize);
    const head = bytes.subarray(at, end);
    const { entry, begin } = openEntry(file, name, head, directory.start);
    if (entries.has(name)) throw bad(file, "each name once", `${name} twice`);
    entries.set(name, entry);
    ranges.push({ begin, end: entry.start + entry.size });
    at = end;
  }
  ranges.sort((a, b) => a.begin - b.begin);
  if (ranges.some(({ begin }, i) => i > 0 && begin < ranges[i - 1].end)) {
    throw bad(file, "entries one after another", "entries that overlap");
  }
  return entries;
}

/** An entry by its record in the directory and its local header, which must agree; `begin` is the header's place. */
function openEntry(
  file: OpenFile,
  name: string,
  head: Buffer,
  limit: number,
): { entry: ZipEntry; begin: number } {
  const nameSize = head.readUInt16LE(28);
  if (head.readUInt16LE(8) & 1) throw bad(file, `${name} in the clear`, "an encrypted entry");
  if (head.readUInt16LE(10) !== 0) {
    throw bad(file, `${name} uncompressed, as torch.save stores it`, "a compressed entry");
  }
  const extra = head.subarray(
    centralSize + nameSize,
    centralSize + nameSize + head.readUInt16LE(30),
  );
  const [size, packed, begin] = wideFields(file, extra, [
    head.readUInt32LE(24),
    head.readUInt32LE(20),
    head.readUInt32LE(42),
  ]);
  if (size !== packed) throw bad(file, `${name} of one size`, `${size} and ${packed} bytes`);
  const local = readRange(file, begin, localSize);
  const localName = local.readUInt16LE(26);
  const start = begin + localSize + localName + local.readUInt16LE(28);
  const agrees =
    local.readUInt32LE(0) === 0x04034b50 &&
    local.readUInt16LE(8) === 0 &&
    readRange(file, begin + localSize, localName).toString("utf8") === name;
  if (!agrees) throw bad(file, `${name} where the directory says`, "something else");
  if (start + size > limit) throw bad(file, `${name} before the directory`, `${size} bytes`);
  return { entry: { start, size, crc: head.readUInt32LE(16) }, begin };
}

/** Fields that are all ones stand in the zip64 extra field, in this order. */
function wideFields(file: OpenFile, extra: Buffer, fields: readonly number[]): number[] {
  let at = 0;
  while (at + 4 <= extra.length && extra.readUInt16LE(at) !== 1)
    at += 4 + extra.readUInt16LE(at + 2);
  let next = at + 4;
  return fields.map((field) => {
    if (field !== 0xffffffff) return field;
    if (next + 8 > extra.length) throw bad(file, "a zip64 field", "none");
    const value = wide(file, extra, next);
    next += 8;
    return value;
  });
}

const alignment = 64; // bytes; torch maps storages into memory

/**
 * Writes an archive atomically, every entry's bytes at a multiple of 64 as torch has them; same entries, same bytes.
 * Errors: RunError past the 4 GB of an archive without zip64.
 */
export function writeStoredZip(path: string, entries: ReadonlyMap<string, Uint8Array>): void {
  const total = [...entries.values()].reduce((sum, bytes) => sum + bytes.length + 1024, 0);
  if (total >= 0xffffffff) {
    throw new RunError({
      code: "zip-too-large",
      where: path,
      expected: "less than 4 GB",
      got: `${total} bytes`,
      hint: "The formats of safetensors files have no such limit",
    });
  }
  const sink = new AtomicSink(path);
  const central: Buffer[] = [];
  for (const [name, bytes] of entries) {
    const title = Buffer.from(name, "utf8");
    const begin = sink.bytes;
    const bare = begin + localSize + title.length + 4;
    const padding = Buffer.alloc((alignment - (bare % alignment)) % alignment, "Z");
    const extra = Buffer.concat([Buffer.from("FB\0\0"), padding]);
    extra.writeUInt16LE(padding.length, 2);
    const shared = Buffer.alloc(26); // the fields that both headers have
    shared.writeUInt16LE(0x0800, 2); // names in UTF-8
    shared.writeUInt16LE(0x0021, 8); // 1 January 1980, the earliest date
    shared.writeUInt32LE(crc32(bytes), 10);
    shared.writeUInt32LE(bytes.length, 14);
    shared.writeUInt32LE(bytes.length, 18);
    shared.writeUInt16LE(title.length, 22);
    const local = Buffer.from(shared);
    local.writeUInt16LE(extra.length, 24);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(begin, 10);
    central.push(Buffer.from("PK\x01\x02\0\0", "latin1"), shared, place, title);
    sink.write(Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), local, title, extra]));
    sink.write(bytes);
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(endSize);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.size, 8);
  end.writeUInt16LE(entries.size, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(sink.bytes, 16);
  sink.write(Buffer.concat([directory, end]));
  sink.commit();
}
