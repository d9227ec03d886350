/**
 * Small statistics of circuits: means with standard errors over prompts, and faithfulness
 * (m(C) − m(∅)) / (m(M) − m(∅)) (Wang et al. 2022; Marks et al. 2024) with a percentile bootstrap
 * over prompts. Nothing is clipped: values above 1 and below 0 are legal. Nothing is normalised by a
 * difference below three standard errors: such a ratio is noise.
 */
import type { Rng } from "../src/engine/index.ts";

/** Standard errors that m(M) must be away from m(∅). */
export const requiredErrors = 3;

/** A ratio, or null with the reason why there is none. */
export interface Score {
  readonly value: number | null;
  /** 95%, bootstrap over prompts. */
  readonly ci: readonly [number, number] | null;
  readonly reason: string | null;
}

/** Arithmetic mean; NaN of nothing. */
export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}

/** Standard deviation with n − 1; 0 of fewer than two. */
export function deviation(values: ArrayLike<number>): number {
  const centre = mean(values);
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += (values[i] - centre) ** 2;
  return values.length < 2 ? 0 : Math.sqrt(squares / (values.length - 1));
}

/** Mean of full − empty over prompts, and its standard error (paired). */
export function effect(
  full: ArrayLike<number>,
  empty: ArrayLike<number>,
): { difference: number; se: number } {
  const differences = Float64Array.from({ length: full.length }, (_, i) => full[i] - empty[i]);
  return {
    difference: mean(differences),
    se: deviation(differences) / Math.sqrt(differences.length),
  };
}

/** Why a ratio over m(M) − m(∅) may not be formed; null when it may. */
export function unstable(full: ArrayLike<number>, empty: ArrayLike<number>): string | null {
  const { difference, se } = effect(full, empty);
  if (Number.isFinite(difference) && difference !== 0) {
    if (Math.abs(difference) >= requiredErrors * se) return null;
  }
  return `|m(M) − m(∅)| = ${Math.abs(difference).toFixed(3)} is below ${requiredErrors} standard errors (${se.toFixed(3)} each)`;
}

/** (m(C) − m(∅)) / (m(M) − m(∅)) from the metric of each prompt, [n] each. */
export function faithfulness(
  circuit: ArrayLike<number>,
  full: ArrayLike<number>,
  empty: ArrayLike<number>,
  rng: Rng,
  resamples = 1000,
): Score {
  const reason = unstable(full, empty);
  if (reason !== null) return { value: null, ci: null, reason };
  const base = mean(empty);
  const value = (mean(circuit) - base) / (mean(full) - base);
  const n = full.length;
  const ratios = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    let above = 0;
    let below = 0;
    for (let i = 0; i < n; i++) {
      const pick = rng.int(n);
      above += circuit[pick] - empty[pick];
      below += full[pick] - empty[pick];
    }
    ratios[r] = above / below;
  }
  const finite = ratios.filter(Number.isFinite).sort();
  const at = (q: number): number => finite[Math.round(q * (finite.length - 1))];
  return { value, ci: [at(0.025), at(0.975)], reason: null };
}
