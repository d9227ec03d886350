// Encoding and decoding by the addon against the engine's product and the plain loops, at sizes of several blocks.
import { afterAll, expect } from "vitest";
import { decode, encode, type Sae, type SparseCodes } from "../../sae/index.ts";
import { tf, useBackend } from "../../src/engine/index.ts";
import { missingNative } from "../support/native.ts";
import { testWith } from "../support/require.ts";
import { dense, draw, randomSae } from "./support/random-sae.ts";

const native = testWith("native", await missingNative());

afterAll(async () => {
  await useBackend("wasm");
});

async function on(backend: "native" | "wasm", sae: Sae, rows: Float32Array): Promise<SparseCodes> {
  await useBackend(backend);
  const x = tf.tensor2d(rows, [rows.length / sae.cfg.d_in, sae.cfg.d_in]);
  const codes = encode(sae, x);
  x.dispose();
  return codes;
}

for (const architecture of ["topk", "batchtopk"] as const) {
  for (const [d_in, d_sae, k, n] of [
    [31, 257, 6, 0],
    [31, 257, 6, 1],
    [40, 600, 12, 1100],
  ]) {
    native(
      `${architecture}: ${n} rows through ${d_in} × ${d_sae} equal the plain form`,
      async () => {
        const sae = randomSae({ architecture, d_in, d_sae, k }, 11);
        const rows = draw("rows", n * d_in);
        const want = await on("wasm", sae, rows);
        const plain = decode(sae, want);
        const got = await on("native", sae, rows);
        expect(got.rowStart).toEqual(want.rowStart);
        expect(got.latent).toEqual(want.latent);
        expect(got.value).toBeAllclose(want.value, { rtol: 1e-4, atol: 1e-5 });
        expect(decode(sae, got)).toBeAllclose(plain, { rtol: 1e-4, atol: 1e-4 });
      },
    );
  }
}

native("codes cut at a latent decode to the nested prefix of the dictionary", async () => {
  const sae = randomSae({ architecture: "topk", d_in: 9, d_sae: 40, k: 8 }, 3);
  const codes = await on("native", sae, draw("nested", 9 * 21));
  const cut = 17;
  const kept: [latent: number[], value: number[], rowStart: number[]] = [[], [], [0]];
  for (let t = 0; t < codes.nTokens; t++) {
    for (let p = codes.rowStart[t]; p < codes.rowStart[t + 1]; p++) {
      if (codes.latent[p] >= cut) continue;
      kept[0].push(codes.latent[p]);
      kept[1].push(codes.value[p]);
    }
    kept[2].push(kept[0].length);
  }
  const prefix = {
    ...codes,
    latent: Int32Array.from(kept[0]),
    value: Float32Array.from(kept[1]),
    rowStart: Int32Array.from(kept[2]),
  };
  const f = dense(codes);
  const want = new Float32Array(codes.nTokens * 9);
  for (let t = 0; t < codes.nTokens; t++) {
    for (let j = 0; j < 9; j++) {
      let sum = sae.b_dec[j];
      for (let i = 0; i < cut; i++) sum += f[t * 40 + i] * sae.W_dec[i * 9 + j];
      want[t * 9 + j] = sum;
    }
  }
  expect(decode(sae, prefix)).toBeAllclose(want, { rtol: 1e-4, atol: 1e-5 });
});
