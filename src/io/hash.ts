/**
 * @file SHA-256 as 64 hexadecimal digits.
 */
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { readProblem } from "./file-errors.ts";

/** Hash of bytes, or of a string in UTF-8. */
export function sha256(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

/** Hash of a file, read a megabyte at a time. */
export function sha256File(path: string): string {
  const hash = createHash("sha256");
  const buffer = new Uint8Array(1 << 20);
  try {
    const fd = openSync(path, "r");
    try {
      for (;;) {
        const count = readSync(fd, buffer);
        if (count === 0) return hash.digest("hex");
        hash.update(buffer.subarray(0, count));
      }
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw readProblem(error, path);
  }
}
