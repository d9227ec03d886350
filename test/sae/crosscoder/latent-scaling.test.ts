// Latent scaling by hand, against least squares, and what a shift does.
import { expect, test } from "vitest";
import { latentScaling } from "../../../sae/crosscoder/latent-scaling.ts";
import { createRng } from "../../../src/engine/index.ts";

const codesOf = (rows: readonly (readonly [latent: number, value: number][])[]) => ({
  rowStart: Int32Array.from([0, ...rows.map((_, t) => rows.slice(0, t + 1).flat().length)]),
  latent: Int32Array.from(rows.flat(), ([i]) => i),
  value: Float32Array.from(rows.flat(), ([, f]) => f),
});

test("β by hand: Σ f⟨d, y⟩ over Σ f²‖d‖², a part at a time", () => {
  // latent 0 has direction (3, 4) in the first part and 2 in the second, latent 1 (1, 0) and 0, latent 2 never fires
  const sums = latentScaling(Float32Array.of(3, 4, 2, 1, 0, 0, 1, 1, 1), [2, 1]);
  const codes = codesOf([
    [[0, 2]],
    [
      [0, 1],
      [1, 3],
    ],
    [],
  ]); // prettier-ignore
  sums.add(codes, Float32Array.of(3, 4, 5, 1, 1, -1, 9, 9, 9));
  const [first, second] = sums.betas();
  // Σf² = 5; first: (2·25 + 1·7)/(5·25), second: (2·10 − 2)/(5·4); latent 1: 3·1/(9·1), and a direction of zeros
  expect(first[0]).toBeCloseTo(57 / 125, 12);
  expect(second[0]).toBeCloseTo(18 / 20, 12);
  expect(first[1]).toBeCloseTo(1 / 3, 12);
  expect(second[1]).toBe(0);
  expect([first[2], second[2]]).toEqual([Number.NaN, Number.NaN]);
});

test("β is where the squared error is least", () => {
  const rng = createRng("latent scaling");
  const [n, d] = [40, 3];
  const direction = Float32Array.from({ length: d }, () => rng.normal());
  const rows = Float32Array.from({ length: n * d }, () => rng.normal());
  const f = Float32Array.from({ length: n }, () => Math.abs(rng.normal()));
  const sums = latentScaling(direction, [d]);
  const all = codesOf(Array.from(f, (value): [number, number][] => [[0, value]]));
  // in two blocks, as a stream gives them
  const half = { ...all, rowStart: all.rowStart.slice(20).map((p) => p - 20) };
  sums.add(all, rows.subarray(0, 20 * d));
  sums.add({ ...half, latent: all.latent.slice(20), value: f.slice(20) }, rows.subarray(20 * d));
  const [[beta]] = sums.betas();
  const error = (b: number): number =>
    rows.reduce((sum, y, at) => sum + (b * f[Math.floor(at / d)] * direction[at % d] - y) ** 2, 0);
  for (const off of [-0.05, -0.001, 0.001, 0.05]) {
    expect(error(beta + off)).toBeGreaterThan(error(beta));
  }
});

test("a shifted row meets the codes of the token that many places before it", () => {
  const sums = latentScaling(Float32Array.of(1), [1]);
  sums.add(codesOf([[[0, 1]], [[0, 2]], [[0, 3]]]), Float32Array.of(10, 20, 30), 1);
  // rows 10, 20, 30 meet f = 3, 1, 2
  expect(sums.betas()[0][0]).toBeCloseTo((30 + 20 + 60) / 14, 12);
});
