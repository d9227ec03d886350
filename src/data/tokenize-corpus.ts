/**
 * Corpus to token sets: every document is cut into sequences of `context` ids, of which the first is
 * <|endoftext|> and the others are the next `context - 1` tokens of the document. No sequence runs
 * across a document's end: what is left over there is dropped, and counted. Whole documents are held
 * out (split.ts, document-split.ts).
 */
import { UsageError } from "../io/index.ts";
import type { Corpus, Document } from "./corpus.ts";
import { documentHash, type SeenDocuments, splitUnseen } from "./document-split.ts";
import { type LabelOrder, orderByLabel } from "./select-documents.ts";
import { documentRank, splitDefaults } from "./split.ts";
import type { TokenSet } from "./token-set.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { unigramEntropy } from "./unigram-entropy.ts";

/** Settings of `tokenizeCorpus`. */
export interface TokenizeOptions {
  /** Length of a sequence, <|endoftext|> included; at least 2. */
  readonly context: number;
  readonly heldOutFraction?: number;
  readonly seed?: number | string;
  /**
   * At most so many ids in both sets together. A corpus of order `file` is read from its beginning; of a
   * `shuffled` one a seeded sample of its documents is taken, for which all of it is read.
   */
  readonly maxTokens?: number;
  /** Documents lie in the order of this label; the first `maxTokens` of that order are taken. */
  readonly orderBy?: LabelOrder;
  /** Documents of corpora before this one: they stay on their side of the split. */
  readonly seen?: SeenDocuments;
}

/** What `tokenizeCorpus` makes of a corpus. */
export interface TokenizedCorpus {
  readonly train: TokenSet;
  readonly heldOut: TokenSet;
  /** Names of the documents that `doc` counts, in the order of the corpus, [nDocuments]. */
  readonly documents: string[];
  /** Their labels, [nDocuments]. */
  readonly meta: Readonly<Record<string, string | number>>[];
  /** Hashes of their texts, [nDocuments]. */
  readonly hashes: string[];
  /** Whether each is held out, [nDocuments]. */
  readonly isHeldOut: boolean[];
  /** UTF-8 bytes of text that a token stands for, over all documents that were read. */
  readonly bytesPerToken: number;
  /** Cross-entropy of held-out tokens under the training tokens' frequencies, nats per token. */
  readonly unigramEntropy: number;
  /** Tokens left out at the ends of documents, documents too short for a sequence included. */
  readonly droppedTokens: number;
  /** Documents too short for one sequence. */
  readonly shortDocuments: number;
}

interface Tokenized {
  readonly name: string;
  readonly meta: Document["meta"];
  readonly index: number; // in the corpus
  readonly rank: number;
  readonly hash: string;
  readonly ids: Int32Array; // [nSeq * context]
}

/** Reads, encodes and splits a corpus. Errors: those of the corpus; fewer than two documents as long as a sequence. */
export async function tokenizeCorpus(
  corpus: Corpus,
  tokenizer: Tokenizer,
  options: TokenizeOptions,
): Promise<TokenizedCorpus> {
  const {
    context,
    heldOutFraction,
    seed = splitDefaults.seed,
    maxTokens = Number.POSITIVE_INFINITY,
    orderBy,
    seen = new Map(),
  } = options;
  const isSampled = corpus.order === "shuffled" && orderBy === undefined;
  if (!(Number.isInteger(context) && context >= 2)) {
    throw new UsageError({
      code: "context",
      where: "context",
      expected: "an integer of at least 2",
      got: String(context),
    });
  }
  let kept: Tokenized[] = [];
  let tokens = 0;
  let cutoff = 1; // of rank, for a sample
  let droppedTokens = 0;
  let shortDocuments = 0;
  let longest = 0;
  let bytes = 0;
  let encoded = 0;
  let index = -1;
  for await (const { name, text, meta } of corpus.documents()) {
    index++;
    const rank = documentRank(seed, { name, index });
    if (rank >= cutoff) continue;
    const stream = tokenizer.encode(text);
    longest = Math.max(longest, stream.length);
    bytes += Buffer.byteLength(text);
    encoded += stream.length;
    const ids = cutSequences(stream, context, tokenizer.endOfText);
    droppedTokens += stream.length - (ids.length / context) * (context - 1);
    if (ids.length === 0) {
      shortDocuments++;
      continue;
    }
    kept.push({ name, meta, index, rank, hash: documentHash(text), ids });
    tokens += ids.length;
    if (!isSampled && orderBy === undefined && tokens >= maxTokens) break;
    if (isSampled && tokens >= 2 * maxTokens) {
      kept = sample(kept, maxTokens);
      tokens = kept.reduce((sum, document) => sum + document.ids.length, 0);
      cutoff = kept[kept.length - 1].rank;
    }
  }
  if (isSampled) kept = sample(kept, maxTokens);
  if (orderBy) kept = orderByLabel(kept, orderBy);
  kept = shorten(kept, maxTokens, context);
  if (!orderBy) kept.sort((a, b) => a.index - b.index);
  if (kept.length < 2) throw tooShort(corpus, context, kept.length, longest, maxTokens);

  const heldOutFlags = splitUnseen(kept, seen, { heldOutFraction, seed });
  const train = gather(kept, heldOutFlags, false, context);
  const heldOut = gather(kept, heldOutFlags, true, context);
  return {
    train,
    heldOut,
    documents: kept.map(({ name }) => name),
    meta: kept.map(({ meta }) => meta),
    hashes: kept.map(({ hash }) => hash),
    isHeldOut: heldOutFlags,
    bytesPerToken: bytes / encoded,
    unigramEntropy: unigramEntropy(train, heldOut, tokenizer.vocabSize),
    droppedTokens,
    shortDocuments,
  };
}

/** Sequences of one document's tokens, [nSeq * context], each behind <|endoftext|>. */
export function cutSequences(stream: Int32Array, context: number, endOfText: number): Int32Array {
  const step = context - 1;
  const nSeq = Math.floor(stream.length / step);
  const ids = new Int32Array(nSeq * context);
  for (let s = 0; s < nSeq; s++) {
    ids[s * context] = endOfText;
    ids.set(stream.subarray(s * step, (s + 1) * step), s * context + 1);
  }
  return ids;
}

// The documents of lowest rank that hold `maxTokens` together, by rank.
function sample(documents: readonly Tokenized[], maxTokens: number): Tokenized[] {
  const byRank = [...documents].sort((a, b) => a.rank - b.rank || a.index - b.index);
  let tokens = 0;
  const end = byRank.findIndex((document) => {
    tokens += document.ids.length;
    return tokens >= maxTokens;
  });
  return end < 0 ? byRank : byRank.slice(0, end + 1);
}

// The last documents cut back to whole sequences within `maxTokens`.
function shorten(documents: readonly Tokenized[], maxTokens: number, context: number): Tokenized[] {
  let room = maxTokens;
  const out: Tokenized[] = [];
  for (const document of documents) {
    const length = Math.min(document.ids.length, Math.floor(room / context) * context);
    if (length === 0) break;
    out.push(
      length === document.ids.length
        ? document
        : { ...document, ids: document.ids.slice(0, length) },
    );
    room -= length;
  }
  return out;
}

function gather(
  documents: readonly Tokenized[],
  heldOutFlags: readonly boolean[],
  heldOut: boolean,
  context: number,
): TokenSet {
  const chosen = documents.flatMap((_, i) => (heldOutFlags[i] === heldOut ? [i] : []));
  const nSeq = chosen.reduce((sum, i) => sum + documents[i].ids.length / context, 0);
  const set = {
    ids: new Int32Array(nSeq * context),
    doc: new Int32Array(nSeq),
    start: new Int32Array(nSeq),
    nSeq,
    context,
  };
  let at = 0;
  for (const i of chosen) {
    const { ids } = documents[i];
    set.ids.set(ids, at * context);
    for (let s = 0; s < ids.length / context; s++) {
      set.doc[at] = i;
      set.start[at] = s * (context - 1);
      at++;
    }
  }
  return set;
}

function tooShort(
  corpus: Corpus,
  context: number,
  usable: number,
  longest: number,
  maxTokens: number,
): UsageError {
  const needed = context - 1;
  const limited = maxTokens < 2 * context;
  return new UsageError({
    code: "corpus-too-short",
    where: limited ? "tokens" : `corpus ${corpus.name}`,
    expected: limited
      ? `room for at least two sequences of ${context}`
      : `at least two documents of ${needed} tokens or more (one to train on, one to hold out)`,
    got: limited ? String(maxTokens) : `${usable}; the longest has ${longest} tokens`,
    hint: limited ? undefined : "Bring more text, or choose a smaller --context",
  });
}
