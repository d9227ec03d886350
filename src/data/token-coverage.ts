/**
 * @file How well a tokenizer covers a text, by the tokens themselves: parts of characters (bytes that a vocabulary
 * falls back on) and single characters are what is left of words that it was not made for.
 */
import type { Tokenizer } from "./tokenizer.ts";

/** Shares of the tokens of a text. */
export interface TokenCoverage {
  /** Tokens that hold a part of a character only: bytes that no longer token covers. */
  readonly bytes: number;
  /** Tokens of one letter or digit of any script; whole Chinese characters and the like among them. */
  readonly letters: number;
}

/** Of English under a vocabulary that was made for it, bytes are under .001 and single letters under .1. */
const most: TokenCoverage = { bytes: 0.05, letters: 0.5 };

/** Measures ids of a text; special tokens are no part of it. */
export function tokenCoverage(tokenizer: Tokenizer, ids: Int32Array): TokenCoverage {
  const kinds = new Map<number, "special" | "bytes" | "letter" | "other">();
  const count = { special: 0, bytes: 0, letter: 0, other: 0 };
  for (const id of ids) {
    let kind = kinds.get(id);
    if (kind === undefined) {
      kind = id === tokenizer.endOfText ? "special" : kindOf(tokenizer.decode([id]));
      kinds.set(id, kind);
    }
    count[kind]++;
  }
  const total = Math.max(1, ids.length - count.special);
  return { bytes: count.bytes / total, letters: count.letter / total };
}

/** A warning with the figures where a tokenizer covers a text badly; null where it doesn't. */
export function coverageWarning(tokenizer: Tokenizer, ids: Int32Array): string | null {
  const { bytes, letters } = tokenCoverage(tokenizer, ids);
  if (bytes <= most.bytes && letters <= most.letters) return null;
  const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;
  return `the tokenizer covers this text badly: ${percent(bytes)} of its tokens are bytes of characters that it has no token for, ${percent(letters)} single letters`;
}

function kindOf(text: string): "bytes" | "letter" | "other" {
  if (text.includes("\uFFFD")) return "bytes";
  return /^[\p{L}\p{N}]$/u.test(text) ? "letter" : "other";
}
