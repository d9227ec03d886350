import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readUtf8 } from "../../src/data/utf8-file.ts";
import { collect, fileWith, folderWith, refusal } from "./support.ts";

const megabyte = 2 ** 20;

async function read(data: string | Uint8Array): Promise<string> {
  return (await collect(readUtf8(fileWith(data)))).join("");
}

test("a text comes back whole, in blocks of at most a megabyte", async () => {
  const text = "a漢é🎉\r\n".repeat(300_000);
  const blocks = await collect(readUtf8(fileWith(text)));
  expect(blocks.join("")).toBe(text);
  expect(blocks.length).toBeGreaterThan(3);
  for (const block of blocks) expect(Buffer.byteLength(block)).toBeLessThanOrEqual(megabyte);
});

test("a character at a block's end is never parted", async () => {
  for (let shift = 0; shift < 5; shift++) {
    const text = "x".repeat(megabyte - shift) + "🎉é漢".repeat(3);
    expect(await read(text)).toBe(text);
  }
});

test("short texts of any characters come back", async () => {
  const text = fc.string({ unit: "binary" }).map((s) => s.replaceAll("\0", ""));
  await fc.assert(
    fc.asyncProperty(text, async (s) => {
      expect(await read(s)).toBe(s.startsWith("\ufeff") ? s.slice(1) : s);
    }),
    { numRuns: 30 },
  );
});

test("a byte-order mark at the beginning is left out, elsewhere it is text", async () => {
  expect(await read("\ufeffa\ufeff")).toBe("a\ufeff");
  expect(await read("")).toBe("");
});

test("a NUL byte is refused with its offset", async () => {
  const error = await refusal(() => read(`${"é".repeat(megabyte)}ab\0c`));
  expect(error.message).toContain(`corpus.txt: expected text in UTF-8, got a NUL byte at offset`);
  expect(error.got).toContain(String(2 * megabyte + 2));
});

test("bytes that are not UTF-8 are refused with the offset of the first", async () => {
  const cases: [number[], number][] = [
    [[0x61, 0xff], 1],
    [[0x61, 0x62, 0xe6, 0x28], 2],
    [[0xc3], 0], // cut short at the end of the file
    [[0x61, 0xf0, 0x9f, 0x8e], 1],
    [[0x80], 0],
    [[0xed, 0xa0, 0x80], 0], // half of a surrogate pair
    [[0xc0, 0xaf], 0], // overlong
  ];
  for (const [bytes, offset] of cases) {
    const error = await refusal(() => read(Uint8Array.from(bytes)));
    expect(error.code).toBe("not-text");
    const found = Number(/offset (\d+)/.exec(error.got)?.[1]);
    expect(Math.abs(found - offset), bytes.join()).toBeLessThanOrEqual(3); // within its character
  }
  const late = Buffer.concat([Buffer.from("é".repeat(700_000)), Buffer.from([0x61, 0xff])]);
  expect((await refusal(() => read(late))).got).toContain("1400001");
});

test("what a binary file looks like is in the hint", async () => {
  const hints: [number[], RegExp][] = [
    [[0xff, 0xfe, 0x61, 0x00], /UTF-16/],
    [[0x1f, 0x8b, 0x08, 0x00], /gunzip/],
    [[0x50, 0x41, 0x52, 0x31, 0x00], /Parquet/],
    [[0x12, 0x00], /plain text/],
  ];
  for (const [bytes, hint] of hints) {
    expect((await refusal(() => read(Uint8Array.from(bytes)))).hint).toMatch(hint);
  }
});

test("a missing file and a folder are refused with the path", async () => {
  const folder = folderWith();
  for (const path of [folder, join(folder, "none.txt")]) {
    const error = await refusal(() => collect(readUtf8(path)));
    expect(error.where).toBe(path);
  }
});
