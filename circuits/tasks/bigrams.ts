/**
 * Frequent-bigram completion: a real context ending in the first token of a frequent bigram (a, b);
 * the corrupted prompt ends in the first token a′ of another one, (a′, b′). answer b, wrong b′.
 * Bigrams are counted in the training sequences; a context is a window before an occurrence of the
 * bigram, held-out ones first. The easiest of the tasks: a first layer alone can do it.
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

const window = 16; // tokens of a prompt
const fewest = 8; // bigrams below which the task is not applicable
const share = 0.15; // least P(b | a)
const contrast = 4; // least P(b | a) / P(b′ | a), and the other way round

/** A bigram with its count and P(b | a) in the training sequences. */
export interface Bigram {
  readonly a: number;
  readonly b: number;
  readonly count: number;
  readonly conditional: number;
}

/** n prompts over the most frequent bigrams, each in another context. */
export function bigramPrompts(source: TaskSource, n: number, rng: Rng): PromptSet | NotApplicable {
  const table = countBigrams(source.train, source.tokens.length, source.endOfText);
  const bigrams = frequentBigrams(table, n);
  const length = Math.min(window, source.train.context);
  const pairs: PromptPair[] = [];
  const places = [source.heldOut, source.train].map((rows) => occurrences(rows, bigrams, length));
  for (let i = 0; i < n && bigrams.length >= fewest; i++) {
    const own = bigrams[i % bigrams.length];
    const other = partner(bigrams, i % bigrams.length, table);
    const context = drawContext(source, places, own, length, rng);
    if (other === undefined || context === undefined) continue;
    const clean = [source.endOfText, ...context, own.a];
    const corrupted = [source.endOfText, ...context, other.a];
    pairs.push({ clean, corrupted, answer: own.b, wrong: other.b });
  }
  if (pairs.length < fewest) {
    const reason = `only ${Math.min(bigrams.length, pairs.length)} bigrams are frequent, predictable (P ≥ ${share}) and seen after ${length - 2} tokens; ${fewest} are needed`;
    return { task: "bigram", reason };
  }
  return packPrompts("bigram", pairs);
}

/** Counts of a·vocab + b → count over neighbours within sequences, and of each a. */
interface BigramTable {
  readonly vocab: number;
  readonly pairs: Map<number, number>;
  readonly first: Float64Array; // [vocab]
}

function countBigrams(rows: TokenRows, vocab: number, endOfText: number): BigramTable {
  const pairs = new Map<number, number>();
  const first = new Float64Array(vocab);
  for (let s = 0; s < rows.nSeq; s++) {
    for (let t = 0; t + 1 < rows.context; t++) {
      const a = rows.ids[s * rows.context + t];
      const b = rows.ids[s * rows.context + t + 1];
      if (a === endOfText || b === endOfText) continue;
      first[a] += 1;
      pairs.set(a * vocab + b, (pairs.get(a * vocab + b) ?? 0) + 1);
    }
  }
  return { vocab, pairs, first };
}

/** Up to n bigrams with P(b | a) ≥ .15, one for each a and one for each b, the most frequent first. */
function frequentBigrams({ vocab, pairs, first }: BigramTable, n: number): Bigram[] {
  const all = [...pairs]
    .map(([key, count]) => {
      const a = Math.floor(key / vocab);
      return { a, b: key % vocab, count, conditional: count / first[a] };
    })
    .filter((bigram) => bigram.conditional >= share && bigram.count >= 3)
    .sort((x, y) => y.count - x.count || x.a - y.a || x.b - y.b);
  const taken = new Set<string>();
  const chosen: Bigram[] = [];
  for (const bigram of all) {
    if (chosen.length === n) break;
    if (taken.has(`a${bigram.a}`) || taken.has(`b${bigram.b}`)) continue;
    taken.add(`a${bigram.a}`).add(`b${bigram.b}`);
    chosen.push(bigram);
  }
  return chosen;
}

/** The next bigram in the list whose completions don't compete with this one's. */
function partner(bigrams: readonly Bigram[], at: number, table: BigramTable): Bigram | undefined {
  const p = (a: number, b: number): number =>
    (table.pairs.get(a * table.vocab + b) ?? 0) / table.first[a];
  const own = bigrams[at];
  for (let step = 1; step < bigrams.length; step++) {
    const other = bigrams[(at + step) % bigrams.length];
    const clear =
      own.conditional >= contrast * p(own.a, other.b) &&
      other.conditional >= contrast * p(other.a, own.b);
    if (clear && other.a !== own.b) return other;
  }
  return undefined;
}

/** Places (index of b in `ids`) where a bigram has a full window before it, for each bigram. */
function occurrences(
  rows: TokenRows,
  bigrams: readonly Bigram[],
  length: number,
): Map<Bigram, number[]> {
  const byFirst = new Map(bigrams.map((bigram) => [bigram.a, bigram]));
  const found = new Map<Bigram, number[]>();
  for (let s = 0; s < rows.nSeq; s++) {
    for (let t = length - 1; t + 1 < rows.context; t++) {
      const at = s * rows.context + t + 1;
      const bigram = byFirst.get(rows.ids[at - 1]);
      if (bigram === undefined || rows.ids[at] !== bigram.b) continue;
      const list = found.get(bigram);
      if (list) list.push(at);
      else found.set(bigram, [at]);
    }
  }
  return found;
}

/** The length − 2 tokens before an occurrence; held-out occurrences are used up before training ones. */
function drawContext(
  source: TaskSource,
  places: readonly Map<Bigram, number[]>[],
  bigram: Bigram,
  length: number,
  rng: Rng,
): Int32Array | undefined {
  for (const [index, rows] of [source.heldOut, source.train].entries()) {
    const list = places[index].get(bigram);
    if (list === undefined || list.length === 0) continue;
    const at = list.splice(rng.int(list.length), 1)[0];
    return rows.ids.subarray(at - length + 1, at - 1);
  }
  return undefined;
}
