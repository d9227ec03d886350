// Rows of two sources by document and position: which pairs there are, which are refused, where sequences begin.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ActivationRows } from "../../../sae/rows/activation-rows.ts";
import { type PairedRows, pairRows } from "../../../sae/rows/pair-rows.ts";
import { UsageError } from "../../../src/io/index.ts";

type Key = readonly [doc: number, pos: number, token?: number];

/** Rows whose two numbers are their document and position, in blocks of `size`. */
function rows(where: string, keys: readonly Key[], size = 3): ActivationRows {
  const part = (from: number): readonly Key[] => keys.slice(from, from + size);
  const starts = Array.from({ length: Math.ceil(keys.length / size) }, (_, i) => i * size);
  return {
    where,
    hook: "blocks.0.hook_resid_post",
    dIn: 2,
    *keys() {
      for (const from of starts) {
        yield {
          doc: Int32Array.from(part(from), ([doc]) => doc),
          pos: Int32Array.from(part(from), ([, pos]) => pos),
          tokenId: Int32Array.from(part(from), ([, , token]) => token ?? -1),
        };
      }
    },
    async *values() {
      for (const from of starts)
        yield Float32Array.from(part(from).flatMap((key) => key.slice(0, 2) as number[]));
    },
  };
}

async function valuesOf(blocks: AsyncIterable<Float32Array>): Promise<number[][]> {
  const out: number[][] = [];
  for await (const block of blocks) {
    for (let i = 0; i < block.length; i += 2) out.push([block[i], block[i + 1]]);
  }
  return out;
}

const both = async ({ a, b }: PairedRows): Promise<[number[][], number[][]]> => [
  await valuesOf(a()),
  await valuesOf(b()),
];

const all = { firstTokensExcluded: 0 };

describe("pairRows", () => {
  test("keeps the rows that both have, in order, and counts the others", async () => {
    const a = rows("a", [
      [0, 0],
      [0, 1],
      [0, 2],
      [2, 0],
      [2, 1],
    ]);
    const b = rows("b", [
      [0, 1],
      [0, 2],
      [1, 0],
      [2, 0],
    ]);
    const pairs = pairRows(a, b, all);
    const shared = [
      [0, 1],
      [0, 2],
      [2, 0],
    ];
    expect(await both(pairs)).toEqual([shared, shared]);
    expect(pairs.n).toBe(3);
    expect([...pairs.sequenceLength]).toEqual([2, 1]);
    expect(pairs.unpaired).toEqual({ a: 2, b: 1 });
  });

  test("leaves out the first rows of a sequence on either side", async () => {
    // the first source has the whole document, the second cut it in two, with a marker in front of each part
    const a = rows("a", [
      [0, -1],
      [0, 0],
      [0, 1],
      [0, 2],
      [0, 3],
    ]);
    const b = rows("b", [
      [0, -1],
      [0, 0],
      [0, 1],
      [0, -3],
      [0, 2],
      [0, 3],
    ]);
    const pairs = pairRows(a, b, { firstTokensExcluded: 2 });
    expect((await both(pairs))[1]).toEqual([
      [0, 1],
      [0, 3],
    ]);
    expect(pairs.unpaired).toEqual({ a: 0, b: 1 });
  });

  test("of one source with itself every row has its partner, whatever the documents", () => {
    const documents = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(documents, fc.integer({ min: 0, max: 2 }), (lengths, skip) => {
        const keys = lengths.flatMap((n, doc) =>
          Array.from({ length: n }, (_, pos): Key => [doc * 3_000_000, pos]),
        );
        const left = lengths.map((n) => Math.max(0, n - skip)).filter((n) => n > 0);
        fc.pre(left.length > 0);
        const pairs = pairRows(rows("a", keys), rows("b", keys), { firstTokensExcluded: skip });
        expect([...pairs.sequenceLength]).toEqual(left);
      }),
    );
  });

  test.each<[string, readonly Key[], readonly Key[], string]>([
    ["no shared row", [[0, 0]], [[1, 0]], "no-common-rows"],
    [
      "a row twice",
      [[0, 0]],
      [
        [0, 0],
        [0, 0],
      ],
      "repeated-row",
    ],
    [
      "another order",
      [
        [0, 0],
        [1, 0],
      ],
      [
        [1, 0],
        [0, 0],
      ],
      "row-order",
    ],
    ["another token", [[0, 0, 5]], [[0, 0, 6]], "token-mismatch"],
  ])("refuses %s", (_, a, b, code) => {
    const refused = (): PairedRows => pairRows(rows("a", a), rows("b", b), all);
    expect(refused).toThrow(UsageError);
    expect(refused).toThrow(expect.objectContaining({ code }));
  });
});
