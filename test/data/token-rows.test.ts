// Rows of a token set: every (document, place) once, first tokens below 0.
import { expect, test } from "vitest";
import { tokenRows } from "../../src/data/token-rows.ts";

const end = 9;
const set = {
  ids: Int32Array.of(end, 1, 2, end, 3, 4, end, 5, 6),
  doc: Int32Array.of(0, 0, 1),
  start: Int32Array.of(0, 2, 0),
  nSeq: 3,
  context: 3,
};

test("by hand", () => {
  const { doc, pos, tokenId } = tokenRows(set, 0, 3);
  expect(Array.from(doc)).toEqual([0, 0, 0, 0, 0, 0, 1, 1, 1]);
  expect(Array.from(pos)).toEqual([-1, 0, 1, -3, 2, 3, -1, 0, 1]);
  expect(Array.from(tokenId)).toEqual(Array.from(set.ids));
});

test("a part is the same rows", () => {
  const { doc, pos, tokenId } = tokenRows(set, 1, 2);
  expect([Array.from(doc), Array.from(pos), Array.from(tokenId)]).toEqual([
    [0, 0, 0],
    [-3, 2, 3],
    [end, 3, 4],
  ]);
  expect(tokenRows(set, 2, 2).doc).toHaveLength(0);
});

test("without first tokens the others keep their places", () => {
  const { doc, pos, tokenId } = tokenRows(set, 0, 3, 1);
  expect([Array.from(doc), Array.from(pos), Array.from(tokenId)]).toEqual([
    [0, 0, 0, 0, 1, 1],
    [0, 1, 2, 3, 0, 1],
    [1, 2, 3, 4, 5, 6],
  ]);
});
