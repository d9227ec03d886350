/**
 * @file Perturb and return: some latents of the carried SAE were turned away before training. A latent whose feature
 * the model has is drawn back to it; one that was in place by inertia alone stays where it was put. The same on a
 * child with random weights is the floor, the same latents of the carried arm, which were not turned, the ceiling.
 */

import type { Directions } from "./cosine.ts";
import { directions, rowCosine } from "./cosine.ts";
import { type Estimate, leastStandardErrors } from "./estimands.ts";
import { type ArmInput, decoderWidth } from "./input.ts";
import { wilson } from "./wilson.ts";

/** Cosine from which a latent counts as being where it was. */
export const returnCosine = 0.9;

/** Where the turned latents of one arm ended. */
export interface Returned {
  /**
   * How far they came of the way from where they were put to where the same latents, never turned, ended in the carried
   * arm, in mean cosine to the parent's direction: 0 = stayed where they were put, 1 = as if never turned. Null without
   * that arm, or where the two ends are within 3 standard errors.
   */
  readonly way_back: Estimate;
  /** Mean cosine to the parent's mapped direction after training. */
  readonly to_parent: number;
  /** Share whose decoder has a cosine of at least {@link returnCosine} to the parent's mapped direction. */
  readonly returned: Estimate;
  /** Share with that cosine to where they were put. */
  readonly stayed: Estimate;
}

/** perturb_and_return of persistence.json. */
export interface PerturbDocument extends Returned {
  /** Turned latents that fire often enough in the parent to be judged. */
  readonly turned: number;
  /** Mean cosine to the parent's mapped direction where the latents were put, and of the same ones never turned after training. */
  readonly put_to_parent: number;
  readonly unturned_to_parent: number | null;
  /** Share of the same latents, not turned, that the carried arm has at their parent's direction. */
  readonly unturned: number | null;
  /** The same turned latents in a child with random weights; null without that arm. */
  readonly reinit: Returned | null;
}

/** Sums up the perturbed arms; null without one, or without a map. `mapped` is the parent's decoder in the child's frame. */
export function perturbAndReturn(
  arms: readonly ArmInput[],
  mapped: Directions | null,
  eligible: Uint8Array,
): PerturbDocument | null {
  const perturbed = arms.find(({ role }) => role === "perturbed");
  if (mapped === null || perturbed?.turned === undefined || perturbed.start === null) return null;
  const turned = Array.from(perturbed.turned).filter((i) => eligible[i] === 1);
  if (turned.length === 0) return null;
  const mean = (cosine: (i: number) => number): number =>
    turned.reduce((sum, i) => sum + cosine(i), 0) / turned.length;
  const put = directions(perturbed.start, decoderWidth(perturbed));
  const carried = arms.find(({ role }) => role === "carried");
  const unturned = carried ? directions(carried.W_dec, decoderWidth(carried)) : null;
  const ended = (arm: ArmInput): Returned => {
    const now = directions(arm.W_dec, decoderWidth(arm));
    const start = directions(arm.start as Float32Array, decoderWidth(arm));
    const share = (cosine: (i: number) => number): Estimate => {
      const count = turned.filter((i) => cosine(i) >= returnCosine).length;
      return { value: count / turned.length, ci: wilson(count, turned.length) };
    };
    const gained = (to: Directions): number[] =>
      turned.map((i) => rowCosine(mapped, i, to, i) - rowCosine(mapped, i, put, i));
    return {
      way_back: unturned ? ratioOfMeans(gained(now), gained(unturned)) : { value: null, ci: null },
      to_parent: mean((i) => rowCosine(mapped, i, now, i)),
      returned: share((i) => rowCosine(mapped, i, now, i)),
      stayed: share((i) => rowCosine(start, i, now, i)),
    };
  };
  const reinit = arms.find(({ role, start }) => role === "perturbed-reinit" && start !== null);
  const { way_back, to_parent, returned, stayed } = ended(perturbed);
  return {
    turned: turned.length,
    way_back,
    to_parent,
    put_to_parent: mean((i) => rowCosine(mapped, i, put, i)),
    unturned_to_parent: unturned ? mean((i) => rowCosine(mapped, i, unturned, i)) : null,
    returned,
    stayed,
    unturned: unturned
      ? turned.filter((i) => rowCosine(mapped, i, unturned, i) >= returnCosine).length /
        turned.length
      : null,
    reinit: reinit ? ended(reinit) : null,
  };
}

/** Mean a over mean b of paired values, by the delta method; null where mean b is below 3 standard errors. */
function ratioOfMeans(a: readonly number[], b: readonly number[]): Estimate {
  const n = a.length;
  const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / n;
  const error = (values: readonly number[]): number => {
    const centre = mean(values);
    const squares = values.reduce((sum, x) => sum + (x - centre) ** 2, 0);
    return Math.sqrt(squares / (n - 1) / n);
  };
  const below = mean(b);
  if (!(below > 0 && below >= leastStandardErrors * error(b))) return { value: null, ci: null };
  const value = mean(a) / below;
  const spread = (1.96 * error(a.map((x, i) => x - value * b[i]))) / below;
  return { value, ci: [value - spread, value + spread] };
}
