/**
 * Which documents are held out. Every document has a rank drawn from the seed, its name and its place,
 * and those of lowest rank are held out: whole documents, the same ones for the same seed, and mostly
 * the same ones when documents are added.
 */
import { createHash } from "node:crypto";
import { UsageError } from "../io/index.ts";
import { endOfTextToken } from "./tokenizer-json.ts";

/** What a split needs to know of a document: its name and its place in the corpus. */
export interface DocumentKey {
  readonly name: string;
  readonly index: number;
}

/** Settings of `splitDocuments`. */
export interface SplitOptions {
  /** Share of the documents to hold out, in (0, 1). */
  readonly heldOutFraction?: number;
  readonly seed?: number | string;
}

/** Defaults of `SplitOptions`. */
export const splitDefaults: Required<SplitOptions> = { heldOutFraction: 0.1, seed: 0 };

/** A number in [0, 1) that depends on the seed and the document alone. */
export function documentRank(seed: number | string, { name, index }: DocumentKey): number {
  const digest = createHash("sha256").update(`${seed}\0${index}\0${name}`).digest();
  return digest.readUIntBE(0, 6) / 2 ** 48;
}

/**
 * For each document, whether it is held out, [nDocuments]: the share asked for, rounded, and at least
 * one on each side. Errors: fewer than two documents, a share outside (0, 1).
 */
export function splitDocuments(
  documents: readonly DocumentKey[],
  options: SplitOptions = {},
): boolean[] {
  const { heldOutFraction = splitDefaults.heldOutFraction, seed = splitDefaults.seed } = options;
  if (!(heldOutFraction > 0 && heldOutFraction < 1)) {
    throw new UsageError({
      code: "held-out-fraction",
      where: "held-out fraction",
      expected: "a number between 0 and 1",
      got: String(heldOutFraction),
    });
  }
  if (documents.length < 2) {
    throw new UsageError({
      code: "corpus-too-short",
      where: "held-out split",
      expected: "at least two documents, one to train on and one to hold out",
      got: String(documents.length),
      hint: `Bring more text, or part it with lines ${endOfTextToken}`,
    });
  }
  const ranks = documents.map((document) => documentRank(seed, document));
  const byRank = documents.map((_, i) => i).sort((a, b) => ranks[a] - ranks[b] || a - b);
  const wanted = Math.round(heldOutFraction * documents.length);
  const heldOut = Math.min(Math.max(1, wanted), documents.length - 1);
  const flags = new Array<boolean>(documents.length).fill(false);
  for (const i of byRank.slice(0, heldOut)) flags[i] = true;
  return flags;
}
