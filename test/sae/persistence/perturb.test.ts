// Perturb and return: which turned latents came back, which stayed, worked out on directions placed by hand.
import { describe, expect, test } from "vitest";
import { directions } from "../../../sae/persistence/cosine.ts";
import type { ArmInput, ArmRole } from "../../../sae/persistence/input.ts";
import { perturbAndReturn } from "../../../sae/persistence/perturb.ts";
import { wilson } from "../../../sae/persistence/wilson.ts";

/** Unit vectors of the plane at these degrees. */
const at = (...degrees: readonly number[]): Float32Array =>
  Float32Array.from(
    degrees.flatMap((angle) => [
      Math.cos((angle * Math.PI) / 180),
      Math.sin((angle * Math.PI) / 180),
    ]),
  );

const arm = (role: ArmRole, now: Float32Array, start: Float32Array | null): ArmInput => ({
  role,
  arm: role,
  sae: "resid",
  seed: 0,
  codes: {
    nTokens: 0,
    dSae: now.length / 2,
    rowStart: new Int32Array(1),
    latent: new Int32Array(0),
    value: new Float32Array(0),
  },
  d_in: 2,
  W_dec: now,
  W_enc: now,
  lineage: null,
  frame: null,
  start,
  turned: start ? Int32Array.of(0, 1, 2, 3) : undefined,
  l0: null,
  fvu: null,
  ce_loss_score_zero: null,
});

// five latents at 0°; the first four were turned by 50°, the fourth fires too rarely
const mapped = directions(at(0, 0, 0, 0, 0), 2);
const start = at(50, 50, 50, 50, 0);
const eligible = Uint8Array.of(1, 1, 1, 0, 1);
// one came back to 10°, one stayed at 45°, one went to 100°
const ended = at(10, 45, 100, 0, 0);

describe("perturbAndReturn", () => {
  test("counts what came back and what stayed among the turned latents that can be judged", () => {
    const arms = [
      arm("carried", at(5, 5, 40, 0, 0), null),
      arm("perturbed", ended, start),
      arm("perturbed-reinit", at(50, 50, 48, 0, 0), start),
    ];
    const cos = (degrees: number): number => Math.cos((degrees * Math.PI) / 180);
    const near = (...degrees: readonly number[]) =>
      expect.closeTo(degrees.reduce((sum, d) => sum + cos(d), 0) / degrees.length, 6);
    expect(perturbAndReturn(arms, mapped, eligible)).toEqual({
      turned: 3,
      // how much nearer they came, over how much nearer they would be had they not been turned
      way_back: {
        value: expect.closeTo(
          (cos(10) + cos(45) + cos(100) - 3 * cos(50)) / (2 * cos(5) + cos(40) - 3 * cos(50)),
          6,
        ),
        ci: [expect.any(Number), expect.any(Number)],
      },
      to_parent: near(10, 45, 100),
      put_to_parent: near(50),
      unturned_to_parent: near(5, 5, 40),
      returned: { value: 1 / 3, ci: wilson(1, 3) },
      stayed: { value: 1 / 3, ci: wilson(1, 3) },
      unturned: 2 / 3,
      reinit: {
        way_back: {
          value: expect.closeTo((cos(48) - cos(50)) / (2 * cos(5) + cos(40) - 3 * cos(50)), 6),
          ci: [expect.any(Number), expect.any(Number)],
        },
        to_parent: near(50, 50, 48),
        returned: { value: 0, ci: wilson(0, 3) },
        stayed: { value: 1, ci: wilson(3, 3) },
      },
    });
  });

  test("the way back has an interval from the latents, none and no value where never turned ones ended no nearer", () => {
    // all came half of the way, in cosine: no spread
    const half = (Math.cos(0) + Math.cos((50 * Math.PI) / 180)) / 2;
    const back = (Math.acos(half) * 180) / Math.PI;
    const perturbed = arm("perturbed", at(back, back, back, 0, 0), start);
    const exact = perturbAndReturn(
      [arm("carried", at(0, 0, 0, 0, 0), null), perturbed],
      mapped,
      eligible,
    )!.way_back;
    expect(exact.value).toBeCloseTo(0.5, 6);
    expect(exact.ci![1] - exact.ci![0]).toBeLessThan(1e-6);
    const away = arm("carried", at(50, 60, 55, 0, 0), null);
    const none = { value: null, ci: null };
    expect(perturbAndReturn([away, perturbed], mapped, eligible)?.way_back).toEqual(none);
    expect(perturbAndReturn([perturbed], mapped, eligible)?.way_back).toEqual(none);
  });

  test("compares a transcoder's directions in the width that it writes", () => {
    const arms = [arm("carried", at(5, 5, 40, 0, 0), null), arm("perturbed", ended, start)];
    const reading = arms.map((of) => ({ ...of, d_in: 5, d_out: 2 }));
    expect(perturbAndReturn(reading, mapped, eligible)).toEqual(
      perturbAndReturn(arms, mapped, eligible),
    );
  });

  test("says nothing without a perturbed arm, without a map, or without latents to judge", () => {
    const perturbed = [arm("perturbed", ended, start)];
    expect(perturbAndReturn([arm("carried", ended, null)], mapped, eligible)).toBeNull();
    expect(perturbAndReturn(perturbed, null, eligible)).toBeNull();
    expect(perturbAndReturn(perturbed, mapped, new Uint8Array(5))).toBeNull();
  });
});

test("Wilson's interval: the textbook case of 8 of 10, and none of none", () => {
  const [low, high] = wilson(8, 10);
  expect(low).toBeCloseTo(0.4902, 3);
  expect(high).toBeCloseTo(0.9433, 3);
  expect(wilson(0, 0)).toEqual([0, 1]);
});
