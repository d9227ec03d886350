/**
 * The merges of byte-pair encoding (Sennrich et al. 2016; Gage 1994), learnt from counted words: again
 * and again the most frequent pair of neighbouring symbols becomes one symbol. Among equally frequent
 * pairs the one with the smaller ids goes first, as in the Hugging Face trainer, so the result depends
 * on the counts alone. Pair counts are kept up to date word by word; a heap holds stale counts, which
 * are put right when they reach the top.
 */
import { Heap } from "./heap.ts";

/** A learnt merge: the symbols `left` and `right` become `result`. */
export interface Merge {
  readonly left: number;
  readonly right: number;
  readonly result: number;
}

interface Candidate {
  readonly count: number;
  readonly pair: number; // left * vocabSize + right
}

/**
 * Learns merges until there are `vocabSize` symbols or no pair occurs `minFrequency` times.
 * `words`: symbol ids of each distinct word. `counts`: how often each occurs, [nWords].
 * `symbols`: string of each id so far; the new ones are appended.
 */
export function learnMerges(
  words: readonly Int32Array[],
  counts: ArrayLike<number>,
  symbols: string[],
  vocabSize: number,
  minFrequency: number,
): Merge[] {
  const pairCounts = new Map<number, number>();
  const pairWords = new Map<number, number[]>(); // words that hold the pair, or held it once
  const current = words.map((word) => word.slice());

  const addPairs = (at: number, sign: 1 | -1): void => {
    const word = current[at];
    const change = sign * counts[at];
    for (let i = 0; i + 1 < word.length; i++) {
      const pair = word[i] * vocabSize + word[i + 1];
      pairCounts.set(pair, (pairCounts.get(pair) ?? 0) + change);
      if (sign < 0) continue;
      const holders = pairWords.get(pair);
      if (holders === undefined) pairWords.set(pair, [at]);
      else if (holders[holders.length - 1] !== at) holders.push(at);
    }
  };

  for (let at = 0; at < current.length; at++) addPairs(at, 1);
  const heap = new Heap<Candidate>((a, b) =>
    a.count === b.count ? a.pair < b.pair : a.count > b.count,
  );
  for (const [pair, count] of pairCounts) heap.push({ count, pair });

  const idOf = new Map(symbols.map((symbol, id) => [symbol, id]));
  const merges: Merge[] = [];
  const merged = new Set<number>();
  while (symbols.length < vocabSize) {
    const top = heap.pop();
    if (top === undefined) break;
    const { pair } = top;
    const count = pairCounts.get(pair) ?? 0;
    if (count !== top.count) {
      if (count >= minFrequency) heap.push({ count, pair });
      continue;
    }
    if (count < minFrequency) break;

    const left = Math.floor(pair / vocabSize);
    const right = pair % vocabSize;
    const symbol = symbols[left] + symbols[right];
    const result = idOf.get(symbol) ?? symbols.push(symbol) - 1; // two pairs can spell one symbol
    idOf.set(symbol, result);
    if (!merged.has(pair)) merges.push({ left, right, result });
    merged.add(pair);

    const holders = pairWords.get(pair) ?? [];
    pairWords.delete(pair);
    const grown = new Set<number>();
    for (const at of holders) {
      const word = mergePair(current[at], left, right, result);
      if (word === undefined) continue;
      addPairs(at, -1);
      current[at] = word;
      addPairs(at, 1);
      for (let i = 0; i + 1 < word.length; i++) {
        if (word[i] === result || word[i + 1] === result) {
          grown.add(word[i] * vocabSize + word[i + 1]);
        }
      }
    }
    for (const key of grown) heap.push({ count: pairCounts.get(key) as number, pair: key });
  }
  return merges;
}

// `word` with each `left right`, from the left, replaced by `result`; undefined where there is none.
function mergePair(
  word: Int32Array,
  left: number,
  right: number,
  result: number,
): Int32Array<ArrayBuffer> | undefined {
  let length = 0;
  const out = new Int32Array(word.length);
  for (let i = 0; i < word.length; i++) {
    if (word[i] === left && i + 1 < word.length && word[i + 1] === right) {
      out[length++] = result;
      i++;
    } else out[length++] = word[i];
  }
  return length === word.length ? undefined : out.slice(0, length);
}
