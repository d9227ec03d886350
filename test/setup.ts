// Matchers shared by all tests.
import { expect } from "vitest";

interface Tolerance {
  readonly rtol?: number;
  readonly atol?: number;
}

declare module "vitest" {
  interface Matchers<T> {
    /** Element-wise |got − want| ≤ atol + rtol·|want| on arrays of numbers; NaN never matches. */
    toBeAllclose(want: ArrayLike<number>, tolerance?: Tolerance): T;
  }
}

expect.extend({
  toBeAllclose(
    got: ArrayLike<number>,
    want: ArrayLike<number>,
    { rtol = 1e-5, atol = 1e-6 }: Tolerance = {},
  ) {
    if (got.length !== want.length) {
      return { pass: false, message: () => `expected ${want.length} numbers, got ${got.length}` };
    }
    let worst = -1;
    let excess = 0;
    for (let i = 0; i < want.length; i++) {
      const off = Math.abs(got[i] - want[i]) - (atol + rtol * Math.abs(want[i]));
      if (!(off <= 0) && !(off < excess)) {
        worst = i;
        excess = off;
      }
    }
    return {
      pass: worst < 0,
      message: () =>
        worst < 0
          ? "arrays are close"
          : `element ${worst}: got ${got[worst]}, want ${want[worst]} (rtol ${rtol}, atol ${atol})`,
    };
  },
});
