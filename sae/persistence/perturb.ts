/**
 * @file Perturb and return: some latents of the carried SAE were turned away before training. A latent whose feature
 * the model has is drawn back to it; one that was in place by inertia alone stays where it was put. The same on a
 * child with random weights is the floor, the same latents of the carried arm, which were not turned, the ceiling.
 */

import type { Directions } from "./cosine.ts";
import { directions, rowCosine } from "./cosine.ts";
import type { Estimate } from "./estimands.ts";
import type { ArmInput } from "./input.ts";
import { wilson } from "./wilson.ts";

/** Cosine from which a latent counts as being where it was. */
export const returnCosine = 0.9;

/** Where the turned latents of one arm ended. */
export interface Returned {
  /** Share whose decoder has a cosine of at least {@link returnCosine} to the parent's mapped direction. */
  readonly returned: Estimate;
  /** Share with that cosine to where they were put. */
  readonly stayed: Estimate;
  /** Mean cosine to the parent's mapped direction after training. */
  readonly to_parent: number;
}

/** perturb_and_return of persistence.json. */
export interface PerturbDocument extends Returned {
  /** Turned latents that fire often enough in the parent to be judged. */
  readonly turned: number;
  /** Share of the same latents, not turned, that the carried arm has at their parent's direction. */
  readonly unturned: number | null;
  /** Mean cosine to the parent's mapped direction where the latents were put, and of the same ones never turned after training. */
  readonly put_to_parent: number;
  readonly unturned_to_parent: number | null;
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
  const put = directions(perturbed.start, perturbed.d_in);
  const ended = (arm: ArmInput): Returned => {
    const now = directions(arm.W_dec, arm.d_in);
    const start = directions(arm.start as Float32Array, arm.d_in);
    const share = (cosine: (i: number) => number): Estimate => {
      const count = turned.filter((i) => cosine(i) >= returnCosine).length;
      return { value: count / turned.length, ci: wilson(count, turned.length) };
    };
    return {
      to_parent: mean((i) => rowCosine(mapped, i, now, i)),
      returned: share((i) => rowCosine(mapped, i, now, i)),
      stayed: share((i) => rowCosine(start, i, now, i)),
    };
  };
  const reinit = arms.find(({ role, start }) => role === "perturbed-reinit" && start !== null);
  const carried = arms.find(({ role }) => role === "carried");
  const unturned = carried && directions(carried.W_dec, carried.d_in);
  return {
    turned: turned.length,
    ...ended(perturbed),
    unturned: unturned
      ? turned.filter((i) => rowCosine(mapped, i, unturned, i) >= returnCosine).length /
        turned.length
      : null,
    put_to_parent: mean((i) => rowCosine(mapped, i, put, i)),
    unturned_to_parent: unturned ? mean((i) => rowCosine(mapped, i, unturned, i)) : null,
    reinit: reinit ? ended(reinit) : null,
  };
}
