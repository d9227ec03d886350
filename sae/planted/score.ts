/**
 * @file Verdicts held against planted truth: which feature a latent stands for, the confusion matrix of kinds and
 * verdicts, and precision, recall and F1 of each class with Wilson intervals at 95%.
 */
import { correlationMatches } from "../persistence/correlation.ts";
import { firingsOf } from "../persistence/firings.ts";
import { wilson } from "../persistence/wilson.ts";
import type { SparseCodes } from "../sae.ts";

/** Correlation with a feature's true activations from which a latent stands for it. */
export const standsFrom = 0.7;

/** The feature that each latent stands for, by the correlation of its activations with the true ones; −1 = none. */
export function featureOf(
  codes: SparseCodes,
  truth: SparseCodes,
  least: number = standsFrom,
): Int32Array {
  const matches = correlationMatches(
    firingsOf(codes, "latents"),
    firingsOf(truth, "planted features"),
    truth,
  );
  return matches.child.map((feature, i) => (matches.correlation[i] >= least ? feature : -1));
}

/** How often each planted kind got each verdict. */
export type Confusion = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** Counts pairs of a kind and a verdict. */
export function confusionOf(pairs: Iterable<readonly [string, string]>): Confusion {
  const out: Record<string, Record<string, number>> = {};
  for (const [kind, verdict] of pairs) {
    out[kind] ??= {};
    out[kind][verdict] = (out[kind][verdict] ?? 0) + 1;
  }
  return out;
}

/** The sum of several matrices. */
export function sumConfusions(matrices: readonly Confusion[]): Confusion {
  const out: Record<string, Record<string, number>> = {};
  for (const matrix of matrices) {
    for (const [kind, line] of Object.entries(matrix)) {
      out[kind] ??= {};
      for (const [verdict, n] of Object.entries(line)) {
        out[kind][verdict] = (out[kind][verdict] ?? 0) + n;
      }
    }
  }
  return out;
}

/** A share with its 95% Wilson interval; NaN of none. */
export interface Rate {
  readonly value: number;
  readonly of: number;
  readonly ci: readonly [number, number];
}

/** Precision, recall and F1 of a class. */
export interface ClassScore {
  readonly precision: Rate;
  readonly recall: Rate;
  readonly f1: number;
}

/**
 * The score of the class: a latent is rightly called when its kind is `kind` and its verdict in `verdicts`. Rows named
 * in `without` are left out of the precision, verdicts `unknown` out of the recall.
 */
export function classScore(
  confusion: Confusion,
  kind: string,
  verdicts: readonly string[] = [kind],
  without: readonly string[] = ["borderline", "none", "too rare"],
): ClassScore {
  let hits = 0;
  let called = 0;
  let planted = 0;
  for (const [row, line] of Object.entries(confusion)) {
    for (const [verdict, n] of Object.entries(line)) {
      const isCalled = verdicts.includes(verdict);
      if (isCalled && !without.includes(row)) called += n;
      if (row === kind && verdict !== "unknown") planted += n;
      if (row === kind && isCalled) hits += n;
    }
  }
  return {
    precision: rateOf(hits, called),
    recall: rateOf(hits, planted),
    f1: (2 * hits) / (called + planted),
  };
}

/** The share k of n with its Wilson interval at 95%; NaN for n = 0. */
export function rateOf(k: number, n: number): Rate {
  if (n === 0) return { value: Number.NaN, of: 0, ci: [Number.NaN, Number.NaN] };
  return { value: k / n, of: n, ci: wilson(k, n) };
}
