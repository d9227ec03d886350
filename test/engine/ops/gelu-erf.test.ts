// The exact GELU at known places, against plain f64 loops with their finite differences, and against its composite form.
import { beforeAll, describe, expect, test } from "vitest";
import { normalCdf } from "../../../src/engine/host/gelu-erf.ts";
import { geluErf, geluErfComposite, tf, useBackend } from "../../../src/engine/index.ts";
import {
  checkedBackends,
  expectReference,
  expectSame,
  type Op,
  random,
} from "../../support/operations.ts";

/** Φ(x) by its Taylor series, good for |x| < 6. */
function series(x: number): number {
  let term = x;
  let sum = x;
  for (let k = 1; k < 200; k++) {
    term *= (-x * x) / (2 * k);
    sum += term / (2 * k + 1);
  }
  return 0.5 + sum / Math.sqrt(2 * Math.PI);
}

test("Φ agrees with its series from −5 to 5, and saturates", () => {
  for (let x = -5; x <= 5; x += 1 / 64) {
    expect(Math.abs(normalCdf(x) - series(x))).toBeLessThan(1e-7);
  }
  // Φ(−6) from a table
  expect(normalCdf(-6) / 9.865876e-10).toBeCloseTo(1, 5);
  expect([normalCdf(-40), normalCdf(40), normalCdf(-1e30)]).toEqual([0, 1, 0]);
  expect(normalCdf(Number.NaN)).toBeNaN();
});

describe.each(checkedBackends)("on %s", (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  test("x·Φ(x) at known places, saturated at both ends, NaN kept", async () => {
    const values = await geluErf(tf.tensor1d([0, 1, -1, 100, -100, Number.NaN])).data();
    expect(values.slice(0, 5)).toBeAllclose([0, 0.8413447, -0.1586553, 100, 0], { atol: 1e-6 });
    expect(values[5]).toBeNaN();
  });

  test.each([[1], [17], [40]])(
    "%i numbers and their gradients are those of plain f64 loops",
    async (n) => {
      const inputs = [tf.mul(random(n), 2)];
      await expectReference(geluErf as Op, (x) => x.map((value) => value * series(value)), inputs);
    },
  );

  test("values and gradients are the composite's over many numbers", async () => {
    await expectSame(geluErf as Op, geluErfComposite as Op, [random(300, 137)]);
  });
});
