/** @file The tokens that an expansion is measured on, and those that maps are fitted on where it is not exact. */
import type { Rng } from "../../src/engine/index.ts";
import type { ExpansionMap, FitSequences } from "../../src/expansion/index.ts";
import { type ModelConfig, modelSizes } from "../../src/models/index.ts";

/** Tokens that exactness and losses are measured on. */
export const measuredTokens = 2048;
/** Read besides where a map is to be fitted; every eighth sequence is held out of the fit. */
export const fittedTokens = 16_384;

/** Tokens by what they are for. */
export interface MeasuringTokens {
  /** What exactness and losses are measured on. */
  readonly measured: FitSequences;
  /** What maps are fitted on, and their R² is measured on; null where nothing needs or can be fitted. */
  readonly fit: FitSequences | null;
  readonly heldOut: FitSequences;
  readonly notes: readonly string[];
}

/** Tokens of the text, or random ones without one. Errors: UsageError for a text that can't be read. */
export async function measuringTokens(
  dir: string,
  config: ModelConfig,
  text: string | undefined,
  map: ExpansionMap,
  rng: Rng,
): Promise<MeasuringTokens> {
  if (text === undefined) {
    const context = Math.min(modelSizes(config).context, 128);
    const nSeq = Math.max(1, Math.floor(measuredTokens / context));
    const ids = Int32Array.from({ length: nSeq * context }, () =>
      rng.int(modelSizes(config).vocabSize),
    );
    const measured = { ids, nSeq, context };
    const notes = ["without --text all is measured on random tokens"];
    if (!map.exact) notes.push("without --text no map is fitted where the method is not exact");
    return { measured, fit: null, heldOut: measured, notes };
  }
  const { tokensOfText } = await import("./text-tokens.ts");
  if (map.exact) {
    const { set } = await tokensOfText(dir, config, text, measuredTokens);
    return { measured: set, fit: null, heldOut: set, notes: [] };
  }
  const { set } = await tokensOfText(dir, config, text, measuredTokens + fittedTokens);
  const heldOut = everySequence(set, (i) => i % 8 === 7);
  if (heldOut.nSeq === 0) {
    const notes = [`${set.nSeq} sequences of text are too few to fit a map on and hold some out`];
    return { measured: set, fit: null, heldOut: set, notes };
  }
  return {
    measured: heldOut,
    fit: everySequence(set, (i) => i % 8 !== 7),
    heldOut,
    notes: [],
  };
}

function everySequence(set: FitSequences, keep: (i: number) => boolean): FitSequences {
  const { context } = set;
  const kept = Array.from({ length: set.nSeq }, (_, i) => i).filter(keep);
  const ids = new Int32Array(kept.length * context);
  for (const [to, from] of kept.entries()) {
    ids.set(set.ids.subarray(from * context, (from + 1) * context), to * context);
  }
  return { ids, nSeq: kept.length, context };
}
