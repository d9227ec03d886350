import { beforeAll, describe, expect, it } from "vitest";
import {
  appendLatents,
  decode,
  encode,
  growSae,
  rowActivations,
  type Sae,
  type SaeArchitecture,
  saeConfig,
} from "../../sae/index.ts";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import { testBackend } from "../support/backend.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

/** Latent 0 reads and writes coordinate 0; the other coordinates of the activations go unexplained. */
function sae(architecture: SaeArchitecture): Sae {
  return {
    cfg: saeConfig({ architecture, d_in: 4, d_sae: 1, k: 1, hook_name: "hook_embed" }),
    W_enc: Float32Array.of(0.5, 0, 0, 0),
    b_enc: Float32Array.of(0),
    W_dec: Float32Array.of(2, 0, 0, 0),
    b_dec: new Float32Array(4),
    threshold: architecture === "batchtopk" ? Float32Array.of(0.25) : null,
  };
}

/** Coordinate 0 always at work, now and then one of the others. */
function rows(n: number): Float32Array {
  const rng = createRng(1);
  const out = new Float32Array(n * 4);
  for (let row = 0; row < n; row++) {
    out[row * 4] = 1 + rng.next();
    if (rng.next() < 0.3) out[row * 4 + 1 + rng.int(3)] = 2 + 2 * rng.next();
  }
  return out;
}

describe("growSae", () => {
  it.each(["topk", "batchtopk"] as const)(
    "appends latents along the residual error and leaves the others alone: %s",
    async (architecture) => {
      const old = sae(architecture);
      const grown = await appendLatents(old, rows(500), 6, createRng(2));
      expect(grown.cfg).toMatchObject({ d_sae: 7, d_in: 4, k: 1 });
      expect(grown.W_dec.slice(0, 4)).toEqual(old.W_dec);
      expect(grown.b_enc[0]).toBe(0);
      for (let latent = 1; latent < 7; latent++) {
        const decoder = grown.W_dec.slice(latent * 4, latent * 4 + 4);
        expect(decoder[0]).toBeCloseTo(0, 5); // coordinate 0 leaves no residual
        expect(Math.hypot(...decoder)).toBeCloseTo(2, 5); // the carried latents' median
        const reads = [0, 1, 2, 3].map((j) => grown.W_enc[j * 7 + latent]);
        expect(Math.hypot(...reads)).toBeCloseTo(1 / 2, 5);
      }
      expect(grown.threshold?.slice(1) ?? null).toEqual(
        architecture === "topk" ? null : new Float32Array(6).fill(0.25),
      );
    },
  );

  it("never raises the reconstruction error of a thresholded SAE on what it saw", async () => {
    const old = sae("batchtopk");
    const data = rows(500);
    const x = tf.tensor2d(data.slice(), [500, 4]);
    const error = (candidate: Sae) =>
      decode(candidate, encode(candidate, x)).reduce((sum, y, i) => sum + (y - data[i]) ** 2, 0);
    const before = error(old);
    let last = before;
    for (const count of [1, 2, 4, 12]) {
      const next = error(await appendLatents(old, data, count, createRng(2)));
      expect(next).toBeLessThanOrEqual(last * (1 + 1e-6));
      last = next;
    }
    x.dispose();
    expect(last).toBeLessThan(0.7 * before);
  });

  it("reads as many batches as it needs, and none for no latents", async () => {
    const source = rowActivations(rows(300), 4, 100);
    const steps: number[] = [];
    const watched = {
      ...source,
      batch: (step: number) => {
        steps.push(step);
        return source.batch(step);
      },
    };
    expect(await growSae(sae("topk"), watched, 0, createRng(1))).toEqual(sae("topk"));
    expect(steps).toEqual([]);
    const grown = await growSae(sae("topk"), watched, 3, createRng(1));
    expect(steps.at(-1)).toBe(40); // 4,096 rows
    expect(await growSae(sae("topk"), source, 3, createRng(1))).toEqual(grown);
  });

  it("finds some direction where there is no error at all", async () => {
    const flat = new Float32Array(400);
    const grown = await appendLatents(sae("topk"), flat, 3, createRng(1));
    expect(grown.W_enc.every(Number.isFinite)).toBe(true);
    expect(grown.b_enc.every(Number.isFinite)).toBe(true);
    expect(Math.hypot(...grown.W_dec.slice(4, 8))).toBeCloseTo(2, 5);
  });

  it("lets new latents fire no more often than the carried ones", async () => {
    const old = sae("batchtopk");
    const often = { ...old, b_enc: Float32Array.of(-0.65) }; // a latent that fires a fifth of the time
    const data = rows(1000);
    const x = tf.tensor2d(data.slice(), [1000, 4]);
    const before = encode(often, x).latent.length / 1000;
    const codes = encode(await appendLatents(often, data, 5, createRng(3)), x);
    x.dispose();
    for (let latent = 1; latent <= 5; latent++) {
      const rate = codes.latent.filter((i) => i === latent).length / 1000;
      expect(rate).toBeLessThan(1.5 * before); // less often where that lowers the error
    }
  });
});
