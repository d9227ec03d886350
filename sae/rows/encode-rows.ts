/** @file What an SAE makes of rows that come in blocks: its codes, and how well it reconstructs them. */
import { tf } from "../../src/engine/index.ts";
import { decode } from "../decode.ts";
import { encodeAsync } from "../encode.ts";
import { joinCodes } from "../join-codes.ts";
import type { Sae, SparseCodes } from "../sae.ts";

/** Codes and figures of one SAE on some rows. */
export interface EncodedRows {
  readonly codes: SparseCodes;
  /** Mean number of active latents a row. */
  readonly l0: number;
  /** E‖x − x̂‖² / (E‖x‖² − ‖E x‖²), in f64; null where the rows do not vary. */
  readonly fvu: number | null;
}

/** Encodes rows of the SAE's width with several SAEs in one pass. */
export async function encodeRows(
  saes: readonly Sae[],
  blocks: AsyncIterable<Float32Array>,
): Promise<EncodedRows[]> {
  const width = saes[0].cfg.d_in;
  const parts: SparseCodes[][] = saes.map(() => []);
  const errors = saes.map(() => 0);
  const mean = new Float64Array(width);
  let [rows, squares] = [0, 0];
  for await (const block of blocks) {
    const x = tf.tensor2d(block, [block.length / width, width]);
    for (const [i, sae] of saes.entries()) {
      const codes = await encodeAsync(sae, x);
      parts[i].push(codes);
      const values = decode(sae, codes);
      let error = 0;
      for (let at = 0; at < block.length; at++) error += (block[at] - values[at]) ** 2;
      errors[i] += error;
    }
    for (let at = 0; at < block.length; at++) {
      mean[at % width] += block[at];
      squares += block[at] ** 2;
    }
    rows += x.shape[0];
    x.dispose();
  }
  const variance = squares - mean.reduce((sum, total) => sum + total ** 2 / rows, 0);
  return parts.map((part, i) => {
    const codes = joinCodes(part);
    return {
      codes,
      l0: codes.latent.length / rows,
      fvu: variance > 0 ? errors[i] / variance : null,
    };
  });
}
