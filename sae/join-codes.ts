/** @file Codes that were computed block by block, as one table. */
import type { SparseCodes } from "./sae.ts";

/** The rows of all parts, in order; at least one part, all of one dictionary. */
export function joinCodes(parts: readonly SparseCodes[]): SparseCodes {
  const nTokens = parts.reduce((sum, part) => sum + part.nTokens, 0);
  const nnz = parts.reduce((sum, part) => sum + part.latent.length, 0);
  const rowStart = new Int32Array(nTokens + 1);
  const latent = new Int32Array(nnz);
  const value = new Float32Array(nnz);
  let row = 0;
  let entry = 0;
  for (const part of parts) {
    for (let t = 1; t <= part.nTokens; t++) rowStart[row + t] = entry + part.rowStart[t];
    latent.set(part.latent, entry);
    value.set(part.value, entry);
    row += part.nTokens;
    entry += part.latent.length;
  }
  return { nTokens, dSae: parts[0].dSae, rowStart, latent, value };
}
