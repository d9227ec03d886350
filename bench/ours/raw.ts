/** The raw little-endian files by which data reaches the peers. Apart from what makes the data: not every task needs an engine. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** Writes numbers as they lie in memory: `<name>.f32` or `<name>.i32`. */
export function writeRaw(folder: string, name: string, values: Float32Array | Int32Array): void {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  writeFileSync(join(folder, `${name}.${values instanceof Float32Array ? "f32" : "i32"}`), bytes);
}
