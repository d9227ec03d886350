/**
 * A token as one line of text that can be shown: characters without a shape of their own (controls,
 * line ends, direction marks, unassigned) are escaped, and so are bytes that are not UTF-8.
 */

const invisible = /[\p{C}\p{Zl}\p{Zp}]/gu;
const shortEscapes = new Map([
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

/** `token` (its text, or its bytes) in printable form. */
export function printableToken(token: string | Uint8Array): string {
  if (typeof token !== "string") {
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(token);
    if (text.includes("\ufffd")) return escapeBytes(token);
    return printableToken(text);
  }
  return token.replace(invisible, (c) => {
    const code = (c.codePointAt(0) as number).toString(16);
    return shortEscapes.get(c) ?? `\\u{${code}}`;
  });
}

// Bytes of a token that is not whole characters: ASCII as it is, the rest as \xNN.
function escapeBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) =>
    byte < 0x80
      ? printableToken(String.fromCharCode(byte))
      : `\\x${byte.toString(16).toUpperCase()}`,
  ).join("");
}
