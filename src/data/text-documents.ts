/**
 * Cuts a stream of text into documents of bounded length.
 * - Where the text has the separator `<|endoftext|>`, documents are what lies between (line ends next to it left out).
 * - Otherwise documents are groups of paragraphs: a document ends at the first blank line after
 *   `groupLength` characters; where none comes within twice that, at a line end, else at white
 *   space, else anywhere. So a book or a single long line can be split into training and held-out parts too.
 * Documents of nothing but white space are left out.
 */
import { longestDocument } from "./corpus.ts";
import { wholeCharacter } from "./slices.ts";
import { endOfTextToken } from "./tokenizer-json.ts";

/** The documents between separators; longer than `longest` characters, in parts. */
export async function* splitAtSeparator(
  blocks: AsyncIterable<string>,
  longest: number = longestDocument,
): AsyncGenerator<string> {
  let rest = "";
  let continues = false; // whether `rest` goes on with a document of which a part was given out
  for await (const block of blocks) {
    const searched = Math.max(0, rest.length - endOfTextToken.length + 1);
    rest += block;
    let start = 0;
    let at = rest.indexOf(endOfTextToken, searched);
    while (at >= 0) {
      yield* inParts(trimLineEnds(rest.slice(start, at), continues), longest);
      continues = false;
      start = at + endOfTextToken.length;
      at = rest.indexOf(endOfTextToken, start);
    }
    rest = rest.slice(start);
    while (rest.length > longest + endOfTextToken.length) {
      const cut = cutBefore(rest, longest);
      yield rest.slice(0, cut);
      rest = rest.slice(cut);
      continues = true;
    }
  }
  yield* inParts(trimLineEnds(rest, continues), longest);
}

/** Groups of paragraphs of about `groupLength` characters, at most twice that. */
export async function* splitAtParagraphs(
  blocks: AsyncIterable<string>,
  groupLength: number,
): AsyncGenerator<string> {
  const longest = 2 * groupLength;
  let rest = "";
  for await (const block of blocks) {
    rest += block;
    let start = 0;
    while (rest.length - start > longest) {
      const cut = start + groupEnd(rest.slice(start, start + longest), groupLength);
      yield rest.slice(start, cut);
      start = cut;
    }
    rest = rest.slice(start);
  }
  while (rest !== "") {
    const cut = groupEnd(rest, groupLength);
    yield rest.slice(0, cut);
    rest = rest.slice(cut);
  }
}

/** A text in parts of at most `longest` characters, cut as `splitAtSeparator` cuts. */
export function* inParts(text: string, longest: number): Generator<string> {
  let rest = text;
  while (rest.length > longest) {
    const cut = cutBefore(rest, longest);
    yield rest.slice(0, cut);
    rest = rest.slice(cut);
  }
  if (rest !== "") yield rest;
}

// Where the group at the beginning of `text`, of at most twice `groupLength`, ends: after its first
// blank line past `groupLength`; where there is none, at the end of the text if it is that short.
function groupEnd(text: string, groupLength: number): number {
  const blankLine = /\n[^\S\n]*\n\s*/g;
  blankLine.lastIndex = groupLength;
  const found = blankLine.exec(text);
  if (found !== null) return found.index + found[0].length;
  return text.length < 2 * groupLength ? text.length : cutBefore(text, 2 * groupLength);
}

// The last line end at or before `limit`, else the last white space, else `limit`, but never in the first half.
function cutBefore(text: string, limit: number): number {
  for (const mark of ["\n", " "]) {
    const at = text.lastIndexOf(mark, limit - 1) + 1;
    if (at > limit / 2) return at;
  }
  return wholeCharacter(text, limit);
}

// `text` without the line ends at its end, and at its beginning unless it continues a document.
function trimLineEnds(text: string, continues: boolean): string {
  let start = 0;
  let end = text.length;
  while (!continues && start < end && isLineEnd(text[start])) start++;
  while (end > start && isLineEnd(text[end - 1])) end--;
  return text.slice(start, end);
}

function isLineEnd(c: string): boolean {
  return c === "\n" || c === "\r";
}
