import { expect, test } from "vitest";
import { spreadSequences } from "../../src/data/index.ts";

const set = {
  ids: Int32Array.from({ length: 15 }, (_, i) => i),
  doc: Int32Array.of(7, 8, 9, 10, 11),
  start: Int32Array.of(0, 3, 0, 3, 6),
  nSeq: 5,
  context: 3,
};

test("takes whole sequences evenly, with what is known of each", () => {
  expect(spreadSequences(set, 2)).toEqual({
    ids: Int32Array.of(0, 1, 2, 6, 7, 8),
    doc: Int32Array.of(7, 9),
    start: Int32Array.of(0, 0),
    nSeq: 2,
    context: 3,
  });
});

test("of as many as there are, or more, is the whole set", () => {
  expect(spreadSequences(set, 5)).toEqual(set);
  expect(spreadSequences(set, 99)).toEqual(set);
});

test("of bare sequences has nothing else", () => {
  const { ids, nSeq, context } = set;
  expect(spreadSequences({ ids, nSeq, context }, 1)).toEqual({
    ids: Int32Array.of(0, 1, 2),
    nSeq: 1,
    context,
  });
});
