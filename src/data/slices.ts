/**
 * Two cares to take when a string is cut up: memory (a slice keeps the whole string alive in V8) and
 * surrogate pairs (a cut through one leaves two halves that are no characters).
 */

/** A copy that does not keep the text it was sliced from alive. */
export function ownCopy(slice: string): string {
  return slice.length < 13 ? slice : Buffer.from(slice, "utf16le").toString("utf16le"); // V8 copies below 13
}

/** `at`, or one less where a cut at `at` would part a surrogate pair. */
export function wholeCharacter(text: string, at: number): number {
  const unit = text.charCodeAt(at - 1);
  return unit >= 0xd800 && unit <= 0xdbff ? at - 1 : at;
}
