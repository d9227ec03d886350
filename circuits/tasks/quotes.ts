/**
 * Quote closing: text with an open double quote, cut right before the token that closes it. The
 * corrupted prompt has the opening token replaced by the commonest ordinary word, so that nothing is
 * left to close. answer: the closing token; wrong: what follows the last token most often instead.
 * Not applicable where the text hasn't enough such spans (many plain texts have none).
 */
import type { Rng } from "../../src/engine/index.ts";
import {
  type NotApplicable,
  type PromptPair,
  type PromptSet,
  packPrompts,
  type TaskSource,
  type TokenRows,
} from "./prompts.ts";

const window = 24; // tokens of a prompt
const fewest = 16; // spans below which the task is not applicable

/** Up to n prompts, one for each quoted span that opens and closes inside a window of 24 tokens. */
export function quotePrompts(source: TaskSource, n: number, rng: Rng): PromptSet | NotApplicable {
  const length = Math.min(window, source.train.context);
  const kinds = source.tokens.map(quoteKind);
  const word = commonestWord(source);
  const follower = followers(source, kinds);
  const spans = [source.heldOut, source.train].flatMap((rows) => {
    const found = findSpans(rows, source.tokens, kinds, length);
    const places = Int32Array.from(found.keys());
    rng.shuffle(places);
    return Array.from(places, (place) => ({ rows, ...found[place] }));
  });
  const pairs: PromptPair[] = [];
  for (const { rows, open, close } of spans) {
    if (pairs.length === n) break;
    const text = rows.ids.subarray(close - length + 1, close);
    const wrong = follower[text[text.length - 1]];
    if (wrong < 0 || word < 0) continue;
    const clean = [source.endOfText, ...text];
    const corrupted = clean.slice();
    corrupted[1 + open - (close - length + 1)] = word;
    pairs.push({ clean, corrupted, answer: rows.ids[close], wrong });
  }
  if (pairs.length < fewest) {
    const reason = `only ${pairs.length} spans of text open and close a double quote within ${length - 2} tokens; ${fewest} are needed`;
    return { task: "quote", reason };
  }
  return packPrompts("quote", pairs);
}

/** What a token is to quotes: "open" and "close" say so themselves; "mark" is a bare `"`, which opens after a space and else closes; "other" holds a quote in some other way; null none. */
export type QuoteKind = "open" | "close" | "mark" | "other" | null;

/** The kind of a token's text. */
export function quoteKind(token: string): QuoteKind {
  if (!/["“”]/.test(token)) return null;
  if (token === '"') return "mark";
  if (/^(\s+["“]|“)$/.test(token)) return "open";
  return /^[.,;:!?]*["”][.,;:!?]*$/.test(token) ? "close" : "other";
}

/** Places (indices in `ids`) of spans: an opening quote, at least two tokens, a closing one, no other quote in the window. */
function findSpans(
  { ids, nSeq, context }: TokenRows,
  tokens: readonly string[],
  kinds: readonly QuoteKind[],
  length: number,
): { open: number; close: number }[] {
  const kindAt = (at: number): QuoteKind => {
    const kind = kinds[ids[at]];
    return kind === "mark" ? (/\s$/.test(tokens[ids[at - 1]]) ? "open" : "close") : kind;
  };
  const spans: { open: number; close: number }[] = [];
  for (let start = 0; start < nSeq * context; start += context) {
    for (let close = start + length; close < start + context; close++) {
      if (kindAt(close) !== "close") continue;
      const quotes: number[] = [];
      for (let at = close - length + 1; at < close; at++) {
        if (kinds[ids[at]] !== null) quotes.push(at);
      }
      const [open] = quotes;
      if (quotes.length === 1 && kindAt(open) === "open" && close - open > 2) {
        spans.push({ open, close });
      }
    }
  }
  return spans;
}

/** The commonest training token that is a space and a word; −1 without one. */
function commonestWord({ tokens, train }: TaskSource): number {
  const counts = new Float64Array(tokens.length);
  for (const id of train.ids) counts[id] += 1;
  let best = -1;
  let most = 0;
  for (const [id, token] of tokens.entries()) {
    if (counts[id] <= most || !/^ \p{L}+$/u.test(token)) continue;
    best = id;
    most = counts[id];
  }
  return best;
}

/** For each token, the token without a quote that follows it most often in training; −1 where none does. */
function followers(
  { tokens, train, endOfText }: TaskSource,
  kinds: readonly QuoteKind[],
): Int32Array {
  const counts = new Map<number, number>();
  const best = new Int32Array(tokens.length).fill(-1);
  const most = new Float64Array(tokens.length);
  for (let i = 0; i + 1 < train.ids.length; i++) {
    const [a, b] = [train.ids[i], train.ids[i + 1]];
    if ((i + 1) % train.context === 0 || b === endOfText || kinds[b] !== null) continue;
    const key = a * tokens.length + b;
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    if (count > most[a] || (count === most[a] && b < best[a])) {
      most[a] = count;
      best[a] = b;
    }
  }
  return best;
}
