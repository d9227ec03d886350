/**
 * Encoder and decoder of byte-level BPE (GPT-2's kind). In each word (words.ts) the pair that was learnt
 * first is merged first, the leftmost of equals; words met before come from a cache. `<|endoftext|>` and
 * other special tokens are never read from text: a text that spells one is data, as in the Hugging Face
 * library with `split_special_tokens=True`. Decoding gives bytes back, so decode(encode(s)) = s for
 * every s of valid Unicode; ids that end inside a character decode to U+FFFD there. Why not
 * `@huggingface/tokenizers` alone: on the State of the Union it encodes 1.6 MB/s where this does 21 (one
 * core), and it takes JavaScript's idea of white space, which gives other ids at U+FEFF and U+0085.
 */
import { bytesOfToken, charOfByte } from "./byte-alphabet.ts";
import { Heap } from "./heap.ts";
import { ownCopy } from "./slices.ts";
import { forEachWord } from "./words.ts";

/** What a byte-level BPE needs to know. */
export interface ByteLevelBpeSpec {
  /** String of each id, in the byte alphabet; undefined where no token has the id. */
  readonly tokens: readonly (string | undefined)[];
  /** Added tokens by id: they stand for their own text, not for bytes. */
  readonly added: ReadonlyMap<number, string>;
  /** Pairs of tokens, the first to be merged first. */
  readonly merges: readonly (readonly [string, string])[];
  /** A word that is a token is that token, whatever the merges say. */
  readonly ignoreMerges: boolean;
  /** A text is read as if it began with a space. */
  readonly addPrefixSpace: boolean;
}

const mostCached = 1 << 17; // words; a corpus of English has about 50,000
const longestCached = 64; // UTF-16 units
const positions = 2 ** 26; // more than a word has symbols: heap keys are rank * positions + position

/** Byte-level BPE over one vocabulary. */
export class ByteLevelBpe {
  readonly #spec: ByteLevelBpeSpec;
  readonly #idOf: Map<string, number>;
  readonly #idOfByte: Int32Array; // [256]
  readonly #ranks: Map<number, number>; // left * nTokens + right -> rank
  readonly #results: Int32Array; // [nMerges], id of the merged symbol
  readonly #bytes: Uint8Array[]; // [nTokens]
  readonly #cache: Map<string, Int32Array> = new Map();
  readonly #utf8 = new TextEncoder();

  /** Errors: `internal:` if the vocabulary lacks one of the 256 bytes (see `isByteComplete`). */
  constructor(spec: ByteLevelBpeSpec) {
    this.#spec = spec;
    const { tokens, added, merges } = spec;
    this.#idOf = new Map();
    tokens.forEach((token, id) => {
      if (token !== undefined && !added.has(id)) this.#idOf.set(token, id);
    });
    this.#idOfByte = Int32Array.from(charOfByte, (c) => this.#id(c));
    this.#ranks = new Map();
    merges.forEach(([left, right], rank) => {
      this.#ranks.set(this.#id(left) * tokens.length + this.#id(right), rank);
    });
    this.#results = Int32Array.from(merges, ([left, right]) => this.#id(left + right));
    this.#bytes = tokens.map((token, id) => {
      const bytes = added.has(id) ? undefined : bytesOfToken(token ?? "");
      return bytes ?? this.#utf8.encode(added.get(id) ?? token);
    });
  }

  /** Ids of `text`, without special tokens. */
  encode(text: string): Int32Array {
    const { addPrefixSpace } = this.#spec;
    const whole = addPrefixSpace && text !== "" && text[0] !== " " ? ` ${text}` : text;
    let out = new Int32Array(Math.max(64, whole.length >> 1));
    let length = 0;
    forEachWord(whole, (start, end) => {
      const ids = this.#encodeWord(whole.slice(start, end));
      if (length + ids.length > out.length) {
        const larger = new Int32Array(2 * (length + ids.length));
        larger.set(out);
        out = larger;
      }
      for (let i = 0; i < ids.length; i++) out[length++] = ids[i];
    });
    return out.slice(0, length);
  }

  /** Bytes that the ids stand for, put together. Ids must be below the number of tokens. */
  decodeBytes(ids: ArrayLike<number>): Uint8Array {
    let length = 0;
    for (let i = 0; i < ids.length; i++) length += this.#bytes[ids[i]].length;
    const out = new Uint8Array(length);
    let at = 0;
    for (let i = 0; i < ids.length; i++) {
      const bytes = this.#bytes[ids[i]];
      out.set(bytes, at);
      at += bytes.length;
    }
    return out;
  }

  #id(token: string): number {
    const id = this.#idOf.get(token);
    if (id === undefined) throw new Error(`internal: the vocabulary lacks ${token}`);
    return id;
  }

  #encodeWord(word: string): Int32Array {
    const known = this.#cache.get(word);
    if (known !== undefined) return known;
    const bytes = this.#utf8.encode(word);
    const whole = this.#spec.ignoreMerges ? this.#idOf.get(spell(bytes)) : undefined;
    const ids = whole === undefined ? this.#merge(bytes) : Int32Array.of(whole);
    if (word.length <= longestCached) {
      if (this.#cache.size >= mostCached) this.#cache.clear();
      this.#cache.set(ownCopy(word), ids);
    }
    return ids;
  }

  // Symbols are a list linked by `next`; a heap offers the pair of lowest rank, then leftmost.
  #merge(bytes: Uint8Array): Int32Array {
    const n = bytes.length;
    const symbols = Int32Array.from(bytes, (byte) => this.#idOfByte[byte]);
    const next = Int32Array.from({ length: n }, (_, i) => i + 1);
    const previous = Int32Array.from({ length: n }, (_, i) => i - 1);
    const gone = new Uint8Array(n);
    const heap = new Heap<number>((a, b) => a < b);
    const rankAt = (i: number): number | undefined =>
      next[i] < n ? this.#ranks.get(symbols[i] * this.#bytes.length + symbols[next[i]]) : undefined;
    const offer = (i: number): void => {
      const rank = rankAt(i);
      if (rank !== undefined) heap.push(rank * positions + i);
    };
    for (let i = 0; i < n; i++) offer(i);
    for (let key = heap.pop(); key !== undefined; key = heap.pop()) {
      const i = key % positions;
      const rank = Math.floor(key / positions);
      if (gone[i] === 1 || rankAt(i) !== rank) continue; // the pair was merged away since
      gone[next[i]] = 1;
      symbols[i] = this.#results[rank];
      next[i] = next[next[i]];
      if (next[i] < n) previous[next[i]] = i;
      if (previous[i] >= 0) offer(previous[i]);
      offer(i);
    }
    return symbols.filter((_, i) => gone[i] === 0);
  }
}

/** Whether a vocabulary has all 256 bytes, so that any text can be encoded. */
export function isByteComplete(tokens: readonly (string | undefined)[]): boolean {
  const known = new Set(tokens);
  return charOfByte.every((c) => known.has(c));
}

function spell(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += charOfByte[byte];
  return text;
}
