/**
 * @file Calibration of the rule on planted nulls: worlds of oracle dictionaries in which half of the features are gone
 * and as many unrelated ones have come. Counted are calls on features that are gone, among all calls: of the matches
 * that Benjamini–Hochberg lets pass at q (mutual argmax, no floor), of function matches, and of the verdict persisted.
 */
import { createRng } from "../../src/engine/index.ts";
import { comparePersistence, persistenceDefaults } from "../persistence/index.ts";
import type { PlantedOptions } from "./options.ts";
import { oracleInput } from "./oracle.ts";
import { plantWorld } from "./world.ts";

/** Calls of one kind and how many of them are false. */
export interface Calls {
  readonly called: number;
  readonly false: number;
}

/** What was called in a world of `gone` features that are no more and `kept` ones that are. */
export interface CalibrationRecord {
  readonly kept: number;
  readonly gone: number;
  /** q ≤ .05 against token shifts, whatever the correlation. */
  readonly significant: Calls;
  /** The same, and correlation ≥ τ. */
  readonly matched: Calls;
  readonly persisted: Calls;
}

/** One world. `gone` is the share of the features that are no more; at 1 every call is false. */
export async function calibrationStudy(
  seed: number,
  options: Partial<PlantedOptions> = {},
  gone = 0.5,
): Promise<CalibrationRecord> {
  const rng = createRng(`planted null ${seed}`);
  const features = Math.round(1.5 * (options.d ?? 48));
  const died = Math.round(features * gone);
  const none = {
    ...{
      borderline: 0,
      drifted_direction: 0,
      drifted_meaning: 0,
      split: 0,
      absorbed: 0,
      merged: 0,
    },
  };
  const world = plantWorld(rng.fork("world"), {
    ...options,
    counts: { ...none, persisted: features - died, died, born: died },
  });
  const { input, parentTruth } = oracleInput(world, rng.fork("oracle"), {
    lost: 0,
    uncovered: 0,
    carriedOnly: 0,
  });
  const { rows, document } = await comparePersistence(input);
  const count = (isCalled: (row: number) => boolean): Calls => {
    const called = [...parentTruth.keys()].filter(isCalled);
    return { called: called.length, false: called.filter((i) => parentTruth[i] === "died").length };
  };
  const { q } = persistenceDefaults;
  const tau = document.thresholds.correlation.used;
  return {
    kept: parentTruth.filter((kind) => kind === "persisted").length,
    gone: died,
    significant: count((i) => rows.q[i] <= q),
    matched: count((i) => rows.q[i] <= q && rows.corr[i] >= tau),
    persisted: count((i) => rows.verdict[i] === "persisted"),
  };
}
