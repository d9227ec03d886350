/** @file What SAEs make of rows that come in blocks: their codes, and how well they reconstruct them. */
import { tf } from "../../src/engine/index.ts";
import { encodeAsync } from "../encode.ts";
import { joinCodes } from "../join-codes.ts";
import { measureReconstruction, reconstructionFigures } from "../reconstruction.ts";
import type { Sae, SparseCodes } from "../sae.ts";

/** Codes and figures of one SAE on some rows. */
export interface EncodedRows {
  readonly codes: SparseCodes;
  /** Mean number of active latents a row. */
  readonly l0: number;
  /** As in `eval`; null where the rows do not vary, and for transcoders, whose targets are not among the rows. */
  readonly fvu: number | null;
}

/** Encodes rows of the SAEs' width with several of them in one pass. */
export async function encodeRows(
  saes: readonly Sae[],
  blocks: AsyncIterable<Float32Array>,
): Promise<EncodedRows[]> {
  const parts: SparseCodes[][] = saes.map(() => []);
  const rows = tensors(blocks, saes[0].cfg.d_in);
  const fvus = saes.some(({ cfg }) => cfg.hook_name_out !== null)
    ? await encodeOnly(saes, rows, parts)
    : reconstructionFigures(
        await measureReconstruction(rows, saes, null, (i, codes) => parts[i].push(codes)),
        saes,
        false,
      ).map(({ fvu }) => fvu);
  return parts.map((part, i) => {
    const codes = joinCodes(part);
    return { codes, l0: codes.latent.length / codes.nTokens, fvu: fvus[i] };
  });
}

async function encodeOnly(
  saes: readonly Sae[],
  rows: AsyncIterable<tf.Tensor2D>,
  parts: SparseCodes[][],
): Promise<null[]> {
  for await (const x of rows) {
    for (const [i, sae] of saes.entries()) parts[i].push(await encodeAsync(sae, x));
    x.dispose();
  }
  return saes.map(() => null);
}

async function* tensors(
  blocks: AsyncIterable<Float32Array>,
  width: number,
): AsyncGenerator<tf.Tensor2D> {
  for await (const block of blocks) yield tf.tensor2d(block, [block.length / width, width]);
}
