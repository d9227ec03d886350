/**
 * The held-out split of several corpora at once: a document that one of them holds out is trained on in none, and one
 * that was trained on is held out in none. A document is its text: runs of white space don't matter, its name and its
 * place don't either.
 */
import { createHash } from "node:crypto";
import { UsageError } from "../io/index.ts";
import { type DocumentKey, type SplitOptions, splitDocuments } from "./split.ts";

/** Whether documents seen before, by their hash, are held out. */
export type SeenDocuments = ReadonlyMap<string, boolean>;

/** SHA-256 of a document's text, with runs of white space as one space. */
export function documentHash(text: string): string {
  return createHash("sha256").update(text.replace(/\s+/g, " ").trim()).digest("hex");
}

/**
 * For each document, whether it is held out, [nDocuments]: as it was where it was seen before, the others by rank
 * (`splitDocuments`); copies of a held-out document are held out too. Errors: UsageError when no document is left on
 * one of the sides.
 */
export function splitUnseen(
  documents: readonly (DocumentKey & { readonly hash: string })[],
  seen: SeenDocuments,
  options: SplitOptions = {},
): boolean[] {
  const fresh = documents.filter(({ hash }) => !seen.has(hash));
  const anyHeldOut = documents.some(({ hash }) => seen.get(hash) === true);
  // one new document can't be split: it goes to the side that would else be empty
  const flags =
    fresh.length > 1 || seen.size === 0
      ? splitDocuments(fresh, options)
      : fresh.map(() => !anyHeldOut && documents.length > 1);
  const heldOut = new Set<string>();
  for (const [i, { hash }] of fresh.entries()) if (flags[i]) heldOut.add(hash);
  for (const { hash } of documents) if (seen.get(hash) === true) heldOut.add(hash);
  const result = documents.map(({ hash }) => heldOut.has(hash));
  for (const side of [false, true]) {
    if (result.includes(side)) continue;
    throw new UsageError({
      code: "corpus-split",
      where: "held-out split",
      expected: "documents to train on and documents to hold out",
      got: side ? "every document trained on before, in another stage" : "only held-out documents",
      hint: "A document that is held out anywhere is trained on nowhere. Bring more text.",
    });
  }
  return result;
}
