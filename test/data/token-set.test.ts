import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readTokenSet, type TokenSet, writeTokenSet } from "../../src/data/index.ts";
import { type HostTensor, writeSafetensors } from "../../src/io/index.ts";
import { folderWith, refusal } from "./support.ts";

const set: TokenSet = {
  ids: Int32Array.of(0, 5, 6, 0, 7, 8),
  doc: Int32Array.of(3, 4),
  start: Int32Array.of(0, 2),
  nSeq: 2,
  context: 3,
};

test("a token set comes back from its file, and the same set gives the same bytes", () => {
  const path = join(folderWith(), "train.safetensors");
  writeTokenSet(path, set, { corpus: "abc" });
  expect(readTokenSet(path)).toEqual(set);
  const bytes = readFileSync(path);
  writeTokenSet(path, readTokenSet(path), { corpus: "abc" });
  expect(readFileSync(path)).toEqual(bytes);
});

test("a file that doesn't hold a token set is refused with the field that is wrong", async () => {
  const path = join(folderWith(), "train.safetensors");
  const metadata = { format: "sae-carry/tokens", version: "1" };
  const good: Record<string, HostTensor> = {
    ids: { shape: [2, 3], data: set.ids },
    doc: { shape: [2], data: set.doc },
    start: { shape: [2], data: set.start },
  };
  const cases: [Record<string, HostTensor>, Record<string, string>, RegExp][] = [
    [
      good,
      { ...metadata, version: "2" },
      /metadata: expected sae-carry\/tokens version 1, got .* 2/,
    ],
    [good, {}, /metadata/],
    [
      { ...good, doc: { shape: [1], data: Int32Array.of(0) } },
      metadata,
      /doc: expected the shape \[2\]/,
    ],
    [{ ids: good.ids, doc: good.doc }, metadata, /start: expected a tensor .* got none/],
    [{ ...good, ids: { shape: [6], data: set.ids } }, metadata, /ids: expected two dimensions/],
    [{ ...good, doc: { shape: [2], data: Float32Array.of(0, 1) } }, metadata, /doc: .*I32/],
    [{ ...good, doc: { shape: [2], data: Int32Array.of(0, -1) } }, metadata, /doc: .*got -1/],
    [
      { ...good, ids: { shape: [2, 3], data: set.ids.map((id) => -id) } },
      metadata,
      /ids: .*got -5/,
    ],
  ];
  for (const [tensors, meta, message] of cases) {
    writeSafetensors(path, new Map(Object.entries(tensors)), meta);
    expect((await refusal(() => readTokenSet(path))).message).toMatch(message);
  }
  writeTokenSet(path, set);
  expect((await refusal(() => readTokenSet(path, 8))).message).toMatch(/ids from 0 to 7, got 8/);
  expect(readTokenSet(path, 9)).toEqual(set);
});
