/**
 * Counts the distinct words (see words.ts) of a stream of texts: all that byte-pair training needs to
 * know of a corpus.
 */
import { ownCopy, wholeCharacter } from "./slices.ts";
import { forEachWord } from "./words.ts";

/** Words longer than this, in UTF-16 units, are counted in pieces: no token is learnt from whole lines of "====". */
const longestWord = 256;

/** Occurrences of each word in the first `maxCharacters` UTF-16 units of `texts`. */
export async function countWords(
  texts: AsyncIterable<string> | Iterable<string>,
  maxCharacters: number,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  let room = maxCharacters;
  for await (const whole of texts) {
    const text = whole.length > room ? whole.slice(0, wholeCharacter(whole, room)) : whole;
    forEachWord(text, (start, end) => {
      for (let from = start; from < end; ) {
        const to = end - from > longestWord ? wholeCharacter(text, from + longestWord) : end;
        const word = text.slice(from, to);
        const count = counts.get(word);
        counts.set(count === undefined ? ownCopy(word) : word, (count ?? 0) + 1);
        from = to;
      }
    });
    room -= text.length;
    if (room <= 0) break;
  }
  return counts;
}
