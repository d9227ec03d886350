import { describe, expect, it } from "vitest";
import { activationCovariance, probeScores, probeSums } from "../../../sae/persistence/probe.ts";
import type { SparseCodes } from "../../../sae/sae.ts";
import { createRng } from "../../../src/engine/random.ts";
import { UsageError } from "../../../src/io/index.ts";
import { codesOf, column, tableOf } from "./support.ts";

const tokens = 90;
const dIn = 5;
const half = Uint8Array.from({ length: tokens }, (_, t) => Math.floor(t / 11) % 2);

function activations(seed: number): Float32Array {
  const rng = createRng(seed);
  return Float32Array.from({ length: tokens * dIn }, () => rng.normal() + 0.5);
}

/** Latent 0 is nearly linear in x, latent 1 is noise, latent 2 never fires. */
function latents(x: Float32Array, seed: number): SparseCodes {
  const rng = createRng(seed);
  return codesOf(
    Array.from({ length: tokens }, (_, t) => [
      Math.max(0, 1 + x[t * dIn] - 2 * x[t * dIn + 3] + 0.1 * rng.normal()),
      rng.next() < 0.3 ? rng.next() : 0,
      0,
    ]),
  );
}

function* blocks(x: Float32Array, rows: number): Generator<Float32Array> {
  for (let t = 0; t < x.length / dIn; t += rows) {
    yield x.subarray(t * dIn, Math.min(x.length, (t + rows) * dIn));
  }
}

/** Ridge with intercept on the fit half by Gaussian elimination, R² on the other; all dense, f64. */
function naiveScore(x: Float32Array, y: number[], ridge: number): number {
  const rows = (which: number): number[] =>
    Array.from(half.keys()).filter((t) => half[t] === which);
  const fit = rows(0);
  const mean = Array.from({ length: dIn }, (_, a) =>
    fit.reduce((sum, t) => sum + x[t * dIn + a] / fit.length, 0),
  );
  const yMean = fit.reduce((sum, t) => sum + y[t] / fit.length, 0);
  const system = Array.from({ length: dIn }, (_, a) => {
    const row = Array.from({ length: dIn }, (_, b) =>
      fit.reduce(
        (sum, t) => sum + ((x[t * dIn + a] - mean[a]) * (x[t * dIn + b] - mean[b])) / fit.length,
        0,
      ),
    );
    row.push(
      fit.reduce((sum, t) => sum + ((x[t * dIn + a] - mean[a]) * (y[t] - yMean)) / fit.length, 0),
    );
    return row;
  });
  const trace = system.reduce((sum, row, a) => sum + row[a], 0);
  for (let a = 0; a < dIn; a++) system[a][a] += (ridge * trace) / dIn;
  for (let a = 0; a < dIn; a++) {
    for (let b = 0; b < dIn; b++) {
      if (a === b) continue;
      const factor = system[b][a] / system[a][a];
      for (let c = a; c <= dIn; c++) system[b][c] -= factor * system[a][c];
    }
  }
  const w = system.map((row, a) => row[dIn] / row[a]);
  const held = rows(1);
  const heldMean = held.reduce((sum, t) => sum + y[t] / held.length, 0);
  let error = 0;
  let spread = 0;
  for (const t of held) {
    let prediction = yMean;
    for (let a = 0; a < dIn; a++) prediction += w[a] * (x[t * dIn + a] - mean[a]);
    error += (y[t] - prediction) ** 2;
    spread += (y[t] - heldMean) ** 2;
  }
  return 1 - error / spread;
}

describe("probes", () => {
  const x = activations(1);
  const codes = latents(x, 2);

  it("agree with ridge regression done densely, whatever the block size", async () => {
    const table = tableOf(codes);
    for (const rows of [1, 7, 32, tokens]) {
      const sums = await probeSums({ dIn, blocks: blocks(x, rows) }, [codes], half, "x");
      const r2 = probeScores(sums, 0, 0.05);
      expect(r2[0]).toBeCloseTo(naiveScore(x, column(table, 0), 0.05), 9);
      expect(r2[1]).toBeCloseTo(naiveScore(x, column(table, 1), 0.05), 9);
      expect(r2[2]).toBeNaN();
    }
  });

  it("read what is linear and not what is noise", async () => {
    const sums = await probeSums({ dIn, blocks: blocks(x, 16) }, [codes], half, "x");
    const r2 = probeScores(sums, 0, 1e-3);
    expect(r2[0]).toBeGreaterThan(0.7);
    expect(r2[1]).toBeLessThan(0.2);
  });

  it("do not depend on the basis of the activations", async () => {
    const turned = Float32Array.from(x, (_, at) => {
      const [t, a] = [Math.floor(at / dIn), at % dIn];
      const [u, v] = [x[t * dIn], x[t * dIn + 1]];
      return a === 0 ? 0.6 * u - 0.8 * v : a === 1 ? 0.8 * u + 0.6 * v : x[at];
    });
    const score = async (rows: Float32Array): Promise<number> =>
      probeScores(await probeSums({ dIn, blocks: [rows] }, [codes], half, "x"), 0, 1e-3)[0];
    expect(await score(turned)).toBeCloseTo(await score(x), 5);
  });

  it("serve several sets of codes in one pass", async () => {
    const other = latents(x, 5);
    const both = await probeSums({ dIn, blocks: [x] }, [other, codes], half, "x");
    const one = await probeSums({ dIn, blocks: [x] }, [codes], half, "x");
    expect([...probeScores(both, 1, 0.1)]).toEqual([...probeScores(one, 0, 0.1)]);
  });

  it("have no score where all rows are in one half", async () => {
    const sums = await probeSums({ dIn, blocks: [x] }, [codes], new Uint8Array(tokens), "x");
    expect(probeScores(sums, 0, 0.1)[0]).toBeNaN();
  });

  it("refuse NaN, missing rows, rows too many and broken rows", async () => {
    const spoiled = x.slice();
    spoiled[7] = Number.NaN;
    for (const bad of [spoiled, x.subarray(dIn), x.subarray(1), [x, x]]) {
      const given = bad instanceof Float32Array ? [bad] : bad;
      await expect(
        probeSums({ dIn, blocks: given }, [codes], half, "activations of the child"),
      ).rejects.toThrow(UsageError);
    }
    await expect(
      probeSums({ dIn, blocks: [spoiled] }, [codes], half, "activations of the child"),
    ).rejects.toThrow("activations of the child: expected finite activations");
  });
});

describe("activationCovariance", () => {
  it("is the covariance over all rows", async () => {
    const x = activations(3);
    const sums = await probeSums({ dIn, blocks: blocks(x, 10) }, [], half, "x");
    const covariance = activationCovariance(sums);
    const mean = (a: number): number => {
      let sum = 0;
      for (let t = 0; t < tokens; t++) sum += x[t * dIn + a] / tokens;
      return sum;
    };
    let want = 0;
    for (let t = 0; t < tokens; t++) {
      want += ((x[t * dIn + 1] - mean(1)) * (x[t * dIn + 4] - mean(4))) / tokens;
    }
    expect(covariance[1 * dIn + 4]).toBeCloseTo(want, 10);
    expect(covariance[4 * dIn + 1]).toBeCloseTo(want, 10);
  });
});
