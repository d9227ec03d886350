/**
 * GPT-2's pre-tokenisation: cuts a text into the words inside which byte pairs are merged. The same as
 *   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * with \s = Unicode White_Space, as the Hugging Face library reads it (JavaScript's own \s counts
 * U+FEFF and leaves U+0085 out). A scan by hand: five times the speed, and no regular expression that
 * runs out of stack on a word of many megabytes. Letters and numbers are those of the Unicode version
 * of this Node; libraries of another age may cut characters assigned since then differently.
 */

const other = 1;
const letter = 2;
const digit = 3;
const space = 4;

const isLetter = /\p{L}/u;
const isNumber = /\p{N}/u;
const isSpace = /\p{White_Space}/u;

const pages: (Uint8Array | undefined)[] = []; // class of each code point, 256 to a page, made when first met

function makePage(page: number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, i) => {
    const c = String.fromCodePoint(page * 256 + i);
    return isLetter.test(c) ? letter : isNumber.test(c) ? digit : isSpace.test(c) ? space : other;
  });
}

function classOf(codePoint: number): number {
  const page = codePoint >> 8;
  pages[page] ??= makePage(page);
  return pages[page][codePoint & 255];
}

const apostrophe = 0x27;
const blank = 0x20;

// Length of the contraction that begins with the apostrophe at `at`, 0 if there is none.
function contraction(text: string, at: number): number {
  switch (text[at + 1]) {
    case "s":
    case "t":
    case "m":
    case "d":
      return 2;
    case "r":
    case "v":
      return text[at + 2] === "e" ? 3 : 0;
    case "l":
      return text[at + 2] === "l" ? 3 : 0;
    default:
      return 0;
  }
}

function endOfRun(text: string, start: number, kind: number): number {
  let i = start;
  while (i < text.length) {
    const codePoint = text.codePointAt(i) as number;
    if (classOf(codePoint) !== kind) break;
    i += codePoint > 0xffff ? 2 : 1;
  }
  return i;
}

function endOfWord(text: string, start: number): number {
  const first = text.codePointAt(start) as number;
  if (first === apostrophe) {
    const length = contraction(text, start);
    if (length > 0) return start + length;
  }
  const kind = classOf(first);
  if (kind !== space) return endOfRun(text, start, kind);
  if (first === blank && start + 1 < text.length) {
    const next = classOf(text.codePointAt(start + 1) as number);
    if (next !== space) return endOfRun(text, start + 1, next);
  }
  const end = endOfRun(text, start, space); // white space lies in the basic plane: one unit each
  return end === text.length || end === start + 1 ? end : end - 1;
}

/** Calls `visit` with the range of each word of `text`, in order; the ranges cover the text. */
export function forEachWord(text: string, visit: (start: number, end: number) => void): void {
  for (let start = 0; start < text.length; ) {
    const end = endOfWord(text, start);
    visit(start, end);
    start = end;
  }
}
