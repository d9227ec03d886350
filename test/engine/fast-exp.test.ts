import { describe, expect, test } from "vitest";
import { fastExp } from "../../src/engine/host/fast-exp.ts";

describe("fastExp(x)", () => {
  test("is within 2e-7 of e^x relatively, from −700 to 700", () => {
    let worst = 0;
    for (let x = -699.9; x < 700; x += 0.0173) {
      const want = Math.exp(x);
      worst = Math.max(worst, Math.abs(fastExp(x) - want) / want);
    }
    expect(worst).toBeLessThan(2e-7);
  });

  test("is exactly 1 at 0, and goes to 0, Infinity and NaN as e^x does", () => {
    expect(fastExp(0)).toBe(1);
    expect(fastExp(-1e9)).toBe(0);
    expect(fastExp(Number.NEGATIVE_INFINITY)).toBe(0);
    expect(fastExp(1e9)).toBe(Number.POSITIVE_INFINITY);
    expect(fastExp(Number.NaN)).toBeNaN();
  });
});
