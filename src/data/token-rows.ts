/**
 * @file The rows of a token set as dumps have them, in a run and from `dump` alike: which document, where
 * in it, which token. `doc` and `pos` together name a row.
 */
import type { TokenSet } from "./token-set.ts";

/** Columns that every dump begins with, one entry per token. */
export interface TokenRows {
  readonly doc: Int32Array;
  /** The token's place in its document, from 0; −1 − p for the <|endoftext|> put in front of token p. */
  readonly pos: Int32Array;
  readonly tokenId: Int32Array;
}

/** Rows of the sequences from … to (excluded), without the first `skip` tokens of each. */
export function tokenRows(set: TokenSet, from: number, to: number, skip = 0): TokenRows {
  const { context } = set;
  const perSequence = context - skip;
  const rows = (to - from) * perSequence;
  const doc = new Int32Array(rows);
  const pos = new Int32Array(rows);
  const tokenId = new Int32Array(rows);
  for (let s = from, row = 0; s < to; s++) {
    for (let t = skip; t < context; t++, row++) {
      doc[row] = set.doc[s];
      pos[row] = t === 0 ? -1 - set.start[s] : set.start[s] + t - 1;
      tokenId[row] = set.ids[s * context + t];
    }
  }
  return { doc, pos, tokenId };
}
