import { beforeAll, describe, expect, test } from "vitest";
import { createRng, tf, useBackend } from "../../../src/engine/index.ts";
import { fitRidge, PairSums } from "../../../src/expansion/map/fit-map.ts";
import { applyPoints, applyRPoints, type DenseMap } from "../../../src/expansion/map/vector-map.ts";
import { testBackend } from "../../support/backend.ts";
import { python } from "../../support/python.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

/** The fit of rows [n, d] and [n, D], added in `parts` parts. */
async function fitOf(
  x: Float32Array,
  y: Float32Array,
  d: number,
  D: number,
  { ridge = fitRidge, parts = 1 } = {},
): Promise<DenseMap> {
  const sums = new PairSums(d, D);
  const n = x.length / d;
  for (let part = 0; part < parts; part++) {
    const [from, to] = [part, part + 1].map((i) => Math.floor((i * n) / parts));
    const small = tf.tensor2d(x.slice(from * d, to * d), [to - from, d]);
    const big = tf.tensor2d(y.slice(from * D, to * D), [to - from, D]);
    await sums.add(small, big);
    tf.dispose([small, big]);
  }
  return sums.fit(ridge);
}

/** Rows with means far from zero and scales from .01 to 100, and an affine image of them with noise. */
function pairs(n: number, d: number, D: number, noise: number) {
  const rng = createRng(`${n} ${d} ${D}`);
  const x = Float32Array.from(
    { length: n * d },
    (_, i) => 10 ** ((i % d) % 5) * 0.01 * (rng.normal() + 3),
  );
  const A = Float64Array.from({ length: D * d }, (_, i) => rng.normal() / 10 ** ((i % d) % 5));
  const y = new Float32Array(n * D);
  for (let row = 0; row < n; row++) {
    for (let j = 0; j < D; j++) {
      let value = 5 * (j % 3) + noise * rng.normal();
      for (let i = 0; i < d; i++) value += A[j * d + i] * x[row * d + i];
      y[row * D + j] = value;
    }
  }
  return { x, y, A };
}

describe("a fitted map", () => {
  test("of three points of a line, by hand", async () => {
    // x = 0, 1, 2 and y = 1, 3, 5: variance 2/3, covariance 4/3. With a penalty of half the variance the slope is
    // (4/3)/(1) = 4/3 and the line goes through the means (1, 3). Back: variance of y 8/3, slope (4/3)/(4) = 1/3.
    const fit = await fitOf(Float32Array.of(0, 1, 2), Float32Array.of(1, 3, 5), 1, 1, {
      ridge: 0.5,
    });
    expect(fit.E[0]).toBeCloseTo(4 / 3, 6);
    expect(fit.offset?.e[0]).toBeCloseTo(5 / 3, 6);
    expect(fit.R[0]).toBeCloseTo(1 / 3, 6);
    expect(fit.offset?.r[0]).toBeCloseTo(0, 6);
  });

  test("finds an affine map whatever the scales of its coordinates", async () => {
    const { x, y, A } = pairs(400, 5, 7, 0);
    // y spans 5 dimensions of 7: the ridge must stay above the rounding of f32 products
    const fit = await fitOf(x, y, 5, 7, { ridge: 1e-5 });
    for (let i = 0; i < A.length; i++) {
      expect(fit.E[i] * 10 ** (i % 5)).toBeCloseTo(A[i] * 10 ** (i % 5), 3);
    }
    const mapped = applyPoints({ kind: "dense", ...fit }, x);
    expect(mapped).toBeAllclose(y, { atol: 1e-2 });
    const back = applyRPoints({ kind: "dense", ...fit }, y);
    expect(back).toBeAllclose(x, { rtol: 0.01, atol: 0.05 });
  });

  test("is the same from one part and from many", async () => {
    const { x, y } = pairs(203, 6, 4, 1);
    const [whole, parts] = [await fitOf(x, y, 6, 4), await fitOf(x, y, 6, 4, { parts: 7 })];
    expect(parts.E).toBeAllclose(whole.E, { rtol: 1e-3, atol: 1e-5 });
    expect(parts.offset?.e as Float64Array).toBeAllclose(whole.offset?.e as Float64Array, {
      rtol: 1e-3,
      atol: 1e-3,
    });
  });

  test("does not depend on the units of a coordinate", async () => {
    const { x, y } = pairs(100, 3, 2, 1);
    const scaled = x.map((value, i) => (i % 3 === 1 ? value * 1024 : value));
    const [a, b] = [await fitOf(x, y, 3, 2), await fitOf(scaled, y, 3, 2)];
    for (const row of [0, 1]) expect(b.E[row * 3 + 1] * 1024).toBeCloseTo(a.E[row * 3 + 1], 4);
  });

  test("gives coordinates that never change, or are copies, no trouble", async () => {
    const { x, y } = pairs(60, 2, 2, 0.1);
    const withDead = new Float32Array(60 * 4);
    for (let i = 0; i < 60; i++) {
      withDead.set([x[2 * i], 7, x[2 * i + 1], x[2 * i + 1]], 4 * i);
    }
    const fit = await fitOf(withDead, y, 4, 2);
    expect(fit.E.every(Number.isFinite)).toBe(true);
    expect([fit.E[1], fit.E[5]]).toBeAllclose([0, 0], { atol: 1e-6 });
    expect(fit.E[2]).toBeCloseTo(fit.E[3], 6);
  });

  test("needs a row", () => {
    expect(() => new PairSums(2, 2).fit()).toThrow("internal: a map is fitted on at least one row");
  });
});

const script = `
import sys, json, numpy as np
x, y, d, D, ridge = json.loads(sys.argv[1])
x = np.array(x, dtype=np.float64).reshape(-1, d)
y = np.array(y, dtype=np.float64).reshape(-1, D)
xc, yc = x - x.mean(0), y - y.mean(0)
# ridge as extra rows of a least-squares problem
rows = np.diag(np.sqrt(ridge * (xc ** 2).sum(0)))
E = np.linalg.lstsq(np.vstack([xc, rows]), np.vstack([yc, np.zeros((d, D))]), rcond=None)[0].T
e = y.mean(0) - E @ x.mean(0)
print(json.dumps([E.ravel().tolist(), e.tolist()]))
`;

python.test("numpy's least squares finds the same map", async (run) => {
  const { x, y } = pairs(80, 5, 3, 2);
  const fit = await fitOf(x, y, 5, 3, { ridge: 0.01, parts: 3 });
  const answer = await run(script, [JSON.stringify([[...x], [...y], 5, 3, 0.01])]);
  const [E, e] = JSON.parse(answer) as [number[], number[]];
  expect(fit.E).toBeAllclose(E, { rtol: 1e-4, atol: 1e-6 });
  expect(fit.offset?.e as Float64Array).toBeAllclose(e, { rtol: 1e-4, atol: 1e-3 });
});
