/**
 * Reads a text file as a stream of strings of bounded size, checked on the way: bytes that are not
 * UTF-8, and NUL bytes (a binary file), are an error that says where. A byte-order mark is left out.
 */
import { isUtf8 } from "node:buffer";
import { type FileHandle, open } from "node:fs/promises";
import { readProblem, UsageError } from "../io/index.ts";

const blockBytes = 1 << 20;

/** The text of the file in blocks of at most a megabyte, none of which parts a character. */
export async function* readUtf8(path: string): AsyncGenerator<string> {
  const file = await openFile(path);
  try {
    const buffer = Buffer.allocUnsafe(blockBytes);
    let held = 0; // bytes of a character that the block before began
    let offset = 0; // of buffer[0] in the file
    for (;;) {
      const { bytesRead } = await file.read(buffer, held, blockBytes - held);
      const filled = buffer.subarray(0, held + bytesRead);
      const block = bytesRead === 0 ? filled : filled.subarray(0, wholeCharacters(filled));
      check(block, offset, path);
      const bom = offset === 0 && block.length >= 3 && block.readUIntBE(0, 3) === 0xefbbbf;
      if (block.length > 0) yield block.toString("utf8", bom ? 3 : 0);
      if (bytesRead === 0) return;
      held = filled.length - block.length;
      offset += block.length;
      buffer.copy(buffer, 0, block.length, filled.length);
    }
  } catch (error) {
    throw readProblem(error, path);
  } finally {
    await file.close();
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r");
  } catch (error) {
    throw readProblem(error, path);
  }
}

// Length of `bytes` without a character that they begin and do not end.
function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back];
    if (byte < 0x80) break;
    if (byte < 0xc0) continue; // a continuation byte: the lead byte is further back
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return needed > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

function check(block: Buffer, offset: number, path: string): void {
  const nul = block.indexOf(0);
  if (nul < 0 && isUtf8(block)) return;
  const bad = nul < 0 ? firstInvalid(block) : nul;
  throw new UsageError({
    code: "not-text",
    where: path,
    expected: "text in UTF-8",
    got: `${nul < 0 ? "a byte that is not UTF-8" : "a NUL byte"} at offset ${offset + bad}`,
    hint: hintFor(offset === 0 ? block : Buffer.alloc(0)),
  });
}

// Offset of the first byte that breaks UTF-8, by bisection: a prefix is good if it is whole up to a last, cut character.
function firstInvalid(block: Buffer): number {
  let good = 0;
  let bad = block.length;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    const prefix = block.subarray(0, middle);
    if (isUtf8(prefix.subarray(0, wholeCharacters(prefix)))) good = middle;
    else bad = middle;
  }
  return bad - 1;
}

const signatures: readonly (readonly [string, string])[] = [
  ["fffe", "It looks like UTF-16: convert it (iconv -f UTF-16 -t UTF-8)"],
  ["feff", "It looks like UTF-16: convert it (iconv -f UTF-16 -t UTF-8)"],
  ["1f8b", "It looks like gzip: unpack it first (gunzip)"],
  ["28b52ffd", "It looks like zstd: unpack it first (unzstd)"],
  ["504b0304", "It looks like a zip archive: unpack it first (unzip)"],
  ["50415231", "It looks like Parquet: export its text column as JSONL"],
  ["4152524f5731", "It looks like Arrow: export its text column as JSONL"],
  ["25504446", "It looks like a PDF: extract its text first (pdftotext)"],
];

function hintFor(head: Buffer): string {
  const hex = head.subarray(0, 8).toString("hex");
  return (
    signatures.find(([magic]) => hex.startsWith(magic))?.[1] ??
    "Corpora are plain text; if it is text in another encoding, convert it with iconv"
  );
}
