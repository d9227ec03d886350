// SwiGLU by hand, against plain f64 loops with their finite differences, and against its composite form.
import { beforeAll, describe, expect, test } from "vitest";
import { swiglu, swigluComposite, tf, useBackend } from "../../../src/engine/index.ts";
import {
  checkedBackends,
  expectReference,
  expectSame,
  type Op,
  random,
} from "../../support/operations.ts";

describe.each(checkedBackends)("on %s", (backend) => {
  beforeAll(async () => {
    await useBackend(backend);
  });

  test("silu(gate)·up by hand, saturated at both ends, NaN kept", async () => {
    const gate = tf.tensor1d([0, 1, -200, 200, Number.NaN]);
    const values = await swiglu(gate, tf.tensor1d([5, 2, 3, 3, 1])).data();
    expect(values.slice(0, 4)).toBeAllclose([0, 2 / (1 + Math.exp(-1)), 0, 600]);
    expect(values[4]).toBeNaN();
  });

  test.each([[1], [17], [40]])(
    "%i numbers and their gradients are those of plain f64 loops",
    async (n) => {
      await expectReference(
        swiglu as Op,
        (gate, up) => gate.map((g, i) => (g / (1 + Math.exp(-g))) * up[i]),
        [random(n), random(n)],
      );
    },
  );

  test("values and gradients are the composite's over many numbers", async () => {
    await expectSame(swiglu as Op, swigluComposite as Op, [random(300, 137), random(300, 137)]);
  });
});
