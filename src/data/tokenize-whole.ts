/**
 * A corpus as one token set, nothing held out: for measuring on a text that nothing is trained on.
 * Sequences are cut as in tokenize-corpus.ts.
 */
import { UsageError } from "../io/index.ts";
import type { Corpus } from "./corpus.ts";
import type { TokenSet } from "./token-set.ts";
import { cutSequences } from "./tokenize-corpus.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Settings of `tokenizeWhole`. */
export interface TokenizeWholeOptions {
  /** Length of a sequence, <|endoftext|> included; at least 2. */
  readonly context: number;
  /** At most so many ids, from the corpus's beginning; at least one sequence is taken. */
  readonly maxTokens?: number;
}

/** Reads and encodes a corpus. Errors: those of the corpus; no document as long as a sequence. */
export async function tokenizeWhole(
  corpus: Corpus,
  tokenizer: Tokenizer,
  { context, maxTokens = Number.POSITIVE_INFINITY }: TokenizeWholeOptions,
): Promise<{ set: TokenSet; documents: string[] }> {
  const most = Math.max(1, Math.floor(maxTokens / context)); // sequences
  const ids: number[] = [];
  const doc: number[] = [];
  const start: number[] = [];
  const documents: string[] = [];
  for await (const { name, text } of corpus.documents()) {
    const cut = cutSequences(tokenizer.encode(text), context, tokenizer.endOfText);
    const taken = Math.min(cut.length / context, most - doc.length);
    if (taken === 0) continue;
    for (let i = 0; i < taken * context; i++) ids.push(cut[i]);
    for (let s = 0; s < taken; s++) {
      doc.push(documents.length);
      start.push(s * (context - 1));
    }
    documents.push(name);
    if (doc.length === most) break;
  }
  if (doc.length === 0) {
    throw new UsageError({
      code: "corpus-too-short",
      where: `corpus ${corpus.name}`,
      expected: `a document of ${context - 1} tokens or more`,
      got: "none",
      hint: "Bring more text",
    });
  }
  const set = {
    ids: Int32Array.from(ids),
    doc: Int32Array.from(doc),
    start: Int32Array.from(start),
    nSeq: doc.length,
    context,
  };
  return { set, documents };
}
