/** @file What a planted world is drawn from, and the defaults. */
import type { ChildKind, ParentKind } from "./world.ts";

/** Options of a planted world. */
export interface PlantedOptions {
  /** Width of the parent and of the child. */
  readonly d: number;
  readonly D: number;
  /** Features of each kind; merged ones come in pairs, so that 3 makes six features of the parent. */
  readonly counts: Readonly<Record<ChildKind, number>>;
  /** Degrees by which features of these kinds turn, taken in order again and again. */
  readonly angles: Readonly<
    Record<"persisted" | "borderline" | "drifted_direction", readonly number[]>
  >;
  /** Degrees between a feature and those it splits into. */
  readonly partAngle: number;
  /** Mean number of sources that fire on a token. */
  readonly active: number;
  /** Standard deviation of the noise in each dimension; magnitudes are about 1. */
  readonly noise: number;
  /** Share of the variance of what makes sources fire that a few common factors have: 0 = independent. */
  readonly correlation: number;
  /** Share of the features that persist which fire only where another does. */
  readonly hierarchical: number;
  /** Share of the sources that fire a tenth as often as they would. */
  readonly rare: number;
  /** Share of the sources that a model with random weights sees too. */
  readonly byToken: number;
}

/** Defaults at width d: one and a half features a dimension, a child half as wide again. */
export function plantedDefaults(d: number): PlantedOptions {
  return {
    d,
    D: Math.round(1.5 * d),
    counts: plantedCounts(Math.round(1.5 * d)),
    angles: { persisted: [0, 0, 15, 30], borderline: [45], drifted_direction: [60, 75, 90] },
    partAngle: 60,
    active: 0.7 * Math.sqrt(d),
    noise: 0.03,
    correlation: 0,
    hierarchical: 0,
    rare: 0,
    byToken: 0.3,
  };
}

/** About how many features of each kind there are among `features` of the parent: three in five persist. */
export function plantedCounts(features: number): Readonly<Record<ParentKind | "born", number>> {
  const share = (part: number): number => Math.max(1, Math.round(features * part));
  const rest = {
    borderline: 0,
    drifted_direction: share(0.08),
    drifted_meaning: share(0.05),
    split: share(0.08),
    absorbed: share(0.05),
    merged: share(0.05),
    died: share(0.11),
  };
  const others = Object.values(rest).reduce((a, b) => a + b, 0) + rest.merged;
  return { persisted: Math.max(1, features - others), ...rest, born: share(0.1) };
}
