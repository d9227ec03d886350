/**
 * @file The rows that two sources of activations have in common, by document and position: what two models made of
 * the same tokens. First tokens of sequences are left out; a sequence is a run of following positions of a document.
 * Memory is a few bytes a row; the activations themselves are read block by block.
 */
import { UsageError } from "../../src/io/index.ts";
import type { ActivationRows, RowKeys } from "./activation-rows.ts";
import { follows } from "./follows.ts";

/** The common rows, in the order that both sources have them in. */
export interface PairedRows {
  readonly n: number;
  /** Rows of each sequence, first tokens left out; they add up to `n`. */
  readonly sequenceLength: Int32Array;
  /** Rows that only one source has. */
  readonly unpaired: { readonly a: number; readonly b: number };
  /** The paired rows of either source, row-major. Each call reads it from its start. */
  readonly a: () => AsyncIterable<Float32Array>;
  readonly b: () => AsyncIterable<Float32Array>;
}

/** How rows are paired. */
export interface PairOptions {
  /** Leading rows of each sequence to leave out. */
  readonly firstTokensExcluded: number;
}

/**
 * Pairs the rows of two sources. Errors: UsageError when a source names a token twice, when they share no row, have
 * the shared ones in different orders, or have different tokens in one place.
 */
export function pairRows(
  a: ActivationRows,
  b: ActivationRows,
  { firstTokensExcluded }: PairOptions,
): PairedRows {
  const [inA, inB] = [readKeys(a), readKeys(b)];
  const places = placesOf(b, inB);
  const keepA = new Uint8Array(inA.doc.length);
  const keepB = new Uint8Array(inB.doc.length);
  placesOf(a, inA); // a token that is named twice could be paired twice
  const isFirst = [firstRows(inA, firstTokensExcluded), firstRows(inB, firstTokensExcluded)];
  let [last, shared, n] = [-1, 0, 0];
  for (let i = 0; i < keepA.length; i++) {
    const j = places.get(keyOf(inA, i));
    if (j === undefined) continue;
    if (j < last) throw otherOrder(a, b, inA, i);
    if (inA.tokenId[i] >= 0 && inB.tokenId[j] >= 0 && inA.tokenId[i] !== inB.tokenId[j]) {
      throw otherToken(a, b, inA, i, inB.tokenId[j]);
    }
    last = j;
    shared++;
    if (isFirst[0][i] || isFirst[1][j]) continue;
    n++;
    keepA[i] = 1;
    keepB[j] = 1;
  }
  const unpaired = { a: inA.doc.length - shared, b: inB.doc.length - shared };
  if (n === 0) {
    throw new UsageError({
      code: "no-common-rows",
      where: b.where,
      expected: `rows with a doc and pos that ${a.where} has too`,
      got: `${unpaired.a} rows there and ${unpaired.b} here, none of them shared but first tokens`,
      hint: "dump both models on the same text with the same tokenizer",
    });
  }
  return {
    n,
    sequenceLength: sequenceLengths(inA, keepA),
    unpaired,
    a: () => kept(a, keepA),
    b: () => kept(b, keepB),
  };
}

function readKeys(rows: ActivationRows): RowKeys {
  const parts = [...rows.keys()];
  const n = parts.reduce((sum, { doc }) => sum + doc.length, 0);
  const all = { doc: new Int32Array(n), pos: new Int32Array(n), tokenId: new Int32Array(n) };
  let at = 0;
  for (const { doc, pos, tokenId } of parts) {
    all.doc.set(doc, at);
    all.pos.set(pos, at);
    all.tokenId.set(tokenId, at);
    at += doc.length;
  }
  return all;
}

/** One number for a document and a position; exact for the first 2²¹ documents, a string beyond. */
function keyOf({ doc, pos }: RowKeys, i: number): number | string {
  return doc[i] >= 0 && doc[i] < 2 ** 21
    ? doc[i] * 2 ** 32 + (pos[i] + 2 ** 31)
    : `${doc[i]}:${pos[i]}`;
}

function placesOf(source: ActivationRows, keys: RowKeys): Map<number | string, number> {
  const places = new Map<number | string, number>();
  for (let i = 0; i < keys.doc.length; i++) {
    const key = keyOf(keys, i);
    if (places.has(key)) {
      throw new UsageError({
        code: "repeated-row",
        where: source.where,
        expected: "one row for a document and a position",
        got: `doc ${keys.doc[i]}, pos ${keys.pos[i]} again in row ${i}`,
      });
    }
    places.set(key, i);
  }
  return places;
}

/** Whether row i begins a sequence: another document, or not the position after the one before. */
function begins({ doc, pos }: RowKeys, i: number): boolean {
  return i === 0 || !follows(doc[i - 1], pos[i - 1], doc[i], pos[i]);
}

/** 1 for the first `skip` rows of each sequence. */
function firstRows(keys: RowKeys, skip: number): Uint8Array {
  const isFirst = new Uint8Array(keys.doc.length);
  for (let i = 0, since = 0; i < isFirst.length; i++) {
    since = begins(keys, i) ? 0 : since + 1;
    if (since < skip) isFirst[i] = 1;
  }
  return isFirst;
}

function sequenceLengths(keys: RowKeys, keep: Uint8Array): Int32Array {
  const lengths: number[] = [];
  let isOpen = false;
  for (let i = 0; i < keep.length; i++) {
    if (begins(keys, i)) isOpen = false;
    if (keep[i] === 0) continue;
    if (isOpen) lengths[lengths.length - 1]++;
    else lengths.push(1);
    isOpen = true;
  }
  return Int32Array.from(lengths);
}

async function* kept(source: ActivationRows, keep: Uint8Array): AsyncGenerator<Float32Array> {
  const { dIn } = source;
  let row = 0;
  for await (const block of source.values()) {
    const rows = block.length / dIn;
    const chosen: number[] = [];
    for (let i = 0; i < rows; i++) if (keep[row + i] === 1) chosen.push(i);
    row += rows;
    if (chosen.length === rows) {
      yield block;
      continue;
    }
    if (chosen.length === 0) continue;
    const out = new Float32Array(chosen.length * dIn);
    for (const [to, from] of chosen.entries()) {
      out.set(block.subarray(from * dIn, (from + 1) * dIn), to * dIn);
    }
    yield out;
  }
}

function otherOrder(a: ActivationRows, b: ActivationRows, keys: RowKeys, i: number): UsageError {
  return new UsageError({
    code: "row-order",
    where: b.where,
    expected: `the shared rows in the order of ${a.where}`,
    got: `doc ${keys.doc[i]}, pos ${keys.pos[i]} in another place`,
    hint: "sort both by doc and pos",
  });
}

function otherToken(
  a: ActivationRows,
  b: ActivationRows,
  keys: RowKeys,
  i: number,
  got: number,
): UsageError {
  return new UsageError({
    code: "token-mismatch",
    where: b.where,
    expected: `token ${keys.tokenId[i]} at doc ${keys.doc[i]}, pos ${keys.pos[i]}, as in ${a.where}`,
    got: `token ${got}`,
    hint: "both sides must be of one text under one tokenizer",
  });
}
