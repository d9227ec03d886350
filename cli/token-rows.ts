/** @file The rows of a token set as dumps have them: which document, where in it, which token. */
import type { TokenSet } from "../src/data/index.ts";

/** Columns that every dump begins with, one entry per token. */
export interface TokenRows {
  readonly doc: Int32Array;
  /**
   * Place in the document's sequences laid end to end, their first tokens counted: with `doc` it names
   * a row. pos % context = 0 is a sequence's first token.
   */
  readonly pos: Int32Array;
  readonly tokenId: Int32Array;
}

/** Rows of the sequences from … to (excluded). */
export function tokenRows(set: TokenSet, from: number, to: number): TokenRows {
  const { context } = set;
  const rows = (to - from) * context;
  const doc = new Int32Array(rows);
  const pos = new Int32Array(rows);
  for (let s = from; s < to; s++) {
    // A sequence holds `context - 1` tokens of its document, so its start tells its number in it.
    const first = Math.floor(set.start[s] / (context - 1)) * context;
    for (let t = 0; t < context; t++) {
      const row = (s - from) * context + t;
      doc[row] = set.doc[s];
      pos[row] = first + t;
    }
  }
  return { doc, pos, tokenId: set.ids.slice(from * context, to * context) };
}
