/**
 * GPT-2's byte alphabet (Radford et al. 2019): each of the 256 bytes as one printable character, so
 * that byte-level tokens can be stored as strings in `tokenizer.json`. Bytes that Latin-1 prints stand
 * for themselves; the other 68 become U+0100 and up, in byte order (a space is Ġ, a newline Ċ).
 */

function isPrintable(byte: number): boolean {
  return (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
}

function makeAlphabet(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(isPrintable(byte) ? byte : next++),
  );
}

/** Character of each byte, [256]. */
export const charOfByte: readonly string[] = makeAlphabet();

/** Byte of each character of the alphabet. */
export const byteOfChar: ReadonlyMap<string, number> = new Map(charOfByte.map((c, b) => [c, b]));

/** The bytes that a token of the alphabet stands for; undefined where a character is not in it. */
export function bytesOfToken(token: string): Uint8Array | undefined {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = byteOfChar.get(token[i]);
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}
