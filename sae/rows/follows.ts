/** @file Where sequences begin in rows that are named by document and position. */

/**
 * Whether the token at `pos` of `doc` comes right after that at `posBefore` of `docBefore` in one sequence. A marker
 * in front of token p, which has the position −1 − p, begins one.
 */
export function follows(docBefore: number, posBefore: number, doc: number, pos: number): boolean {
  if (doc !== docBefore || pos < 0) return false;
  return pos === (posBefore < 0 ? -1 - posBefore : posBefore + 1);
}
