// A comparison never holds a matrix of all pairs of latents. The full size is measured by `npm run bench:persistence`.
import { expect, it } from "vitest";
import {
  comparePersistence,
  type Dictionary,
  identityFrame,
} from "../../../sae/persistence/index.ts";
import type { SparseCodes } from "../../../sae/sae.ts";
import { createRng } from "../../../src/engine/random.ts";

const latents = 12_000;
const tokens = 600;
const perToken = 8;
const width = 4;

/** Codes of which each token fires `perToken` latents. */
function codes(seed: string): SparseCodes {
  const rng = createRng(seed);
  const rows = Array.from({ length: tokens }, () =>
    [...new Set(Array.from({ length: perToken }, () => rng.int(latents)))].sort((a, b) => a - b),
  );
  const rowStart = new Int32Array(tokens + 1);
  for (const [t, row] of rows.entries()) rowStart[t + 1] = rowStart[t] + row.length;
  return {
    nTokens: tokens,
    dSae: latents,
    rowStart,
    latent: Int32Array.from(rows.flat()),
    value: new Float32Array(rowStart[tokens]).fill(1),
  };
}

it("the memory of a comparison is far below that of one matrix of all pairs", async () => {
  const parent: Dictionary = {
    codes: codes("parent"),
    d_in: width,
    W_dec: Float32Array.from({ length: latents * width }, (_, at) => Math.sin(at)),
    W_enc: new Float32Array(latents * width).fill(1),
    lineage: null,
  };
  const before = process.resourceUsage().maxRSS;
  const { document } = await comparePersistence({
    stage: "01-wider",
    name: "resid",
    parent,
    arms: [
      {
        ...parent,
        role: "carried",
        arm: "carried",
        sae: "resid",
        seed: 0,
        frame: identityFrame,
        start: null,
        l0: null,
        fvu: null,
        ce_loss_score_zero: null,
      },
    ],
    sequenceLength: 20,
    probes: null,
    curves: null,
    off_image: null,
    copy_spread: null,
    rng: createRng(1),
    options: { minFirings: 1, replicates: 10, shiftDraws: 20, partDraws: 1 },
  });
  expect(document.eligible).toBeGreaterThan(3000);
  const grown = (process.resourceUsage().maxRSS - before) * 1024;
  // One matrix of 32-bit numbers would be 576 MB.
  expect(grown).toBeLessThan((latents * latents * 4) / 3);
});
