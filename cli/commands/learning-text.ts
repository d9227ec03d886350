/** @file The text that a growth method learns on: its end is held out, so that what it did can be measured. */
import { spreadSequences, type TokenSet } from "../../src/data/index.ts";
import { type GrowthText, learnDefaults, textNeeded } from "../../src/expansion/index.ts";
import { UsageError } from "../../src/io/index.ts";
import type { ModelConfig } from "../../src/models/index.ts";
import { fittedTokens, type MeasuringTokens, measuredTokens } from "./measuring-tokens.ts";
import { tokensOfText } from "./text-tokens.ts";

/** Sequences to learn on, and others to measure on. */
export type LearningText = Pick<GrowthText, "train" | "heldOut">;

/**
 * The first tokens of `text` that `steps` steps need, and about 2,048 to measure on, at most a fifth of the
 * sequences, from where those end. Errors: no text, those of `tokensOfText`, a text of one sequence.
 */
export async function learningText(
  modelDir: string,
  config: ModelConfig,
  text: string | undefined,
  steps: number = learnDefaults.steps,
): Promise<LearningText> {
  if (text === undefined) throw textNeeded("ligo");
  const most = steps * learnDefaults.batchTokens + measuredTokens;
  const { set } = await tokensOfText(modelDir, config, text, most);
  if (set.nSeq < 2) {
    throw new UsageError({
      code: "corpus-too-short",
      where: `--text ${text}`,
      expected: `two sequences of ${set.context} tokens or more: one to learn on, one to measure on`,
      got: "one",
      hint: "Bring more text.",
    });
  }
  const wanted = Math.round(measuredTokens / set.context);
  const held = Math.max(1, Math.min(wanted, Math.floor(set.nSeq / 5)));
  return {
    train: sequences(set, 0, set.nSeq - held),
    heldOut: sequences(set, set.nSeq - held, set.nSeq),
  };
}

/** What is measured and fitted beside learning: on the text that it held out, and on a part of what it saw. */
export function tokensBeside({ train, heldOut }: LearningText): MeasuringTokens {
  const fit = spreadSequences(train, Math.ceil(fittedTokens / train.context));
  return { measured: heldOut, fit, heldOut, notes: [] };
}

function sequences(set: TokenSet, from: number, to: number): TokenSet {
  return {
    ids: set.ids.subarray(from * set.context, to * set.context),
    doc: set.doc.subarray(from, to),
    start: set.start.subarray(from, to),
    nSeq: to - from,
    context: set.context,
  };
}
