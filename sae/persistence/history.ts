/**
 * @file What became of each latent over all stages of a run: verdicts chained from stage to stage through the latents
 * that they were matched with, and survival curves over tokens of training (Kaplan & Meier 1958).
 *   S(t) = Π over stages up to t of (1 − lost / at risk)
 * Two curves bound the truth. `persisted`: a feature lives on as long as it is called persisted, so that whatever the
 * rule could not decide counts as lost. `not_died`: it lives on until it is called died or lost by the SAE; where its
 * trace ends in another way (uncertain, unknown, split, absorbed, merged) it leaves the count without being lost.
 * (A feature that fires too rarely to be judged at a later stage leaves both counts, so the bounds hold among the judged.)
 * A later stage's cohort is the latents of its SAE that were called born or uncovered there: what descends from a split,
 * merged or undecided latent is an old feature whose trace has ended, and begins no history of its own.
 * With a constant risk per token the half-life is ln 2 · tokens at risk / losses.
 */
import type { Rng } from "../../src/engine/index.ts";
import { quantile } from "./quantile.ts";

/** One expansion: its verdicts on the latents of the SAE before it, by latent. */
export interface HistoryStage {
  readonly stage: string;
  /** Tokens that the grown model was trained on in this stage. */
  readonly tokens: number;
  readonly verdict: readonly string[]; // [latents of the SAE before]
  /** The latent of this stage's SAE that each was matched with; −1 = none. */
  readonly match: Int32Array;
  /** The verdicts on the latents of this stage's own SAE. */
  readonly own: readonly string[]; // [latents]
}

/** One feature from the stage whose SAE first had it. */
export interface FeatureHistory {
  readonly cohort: string;
  /** Its latent in that stage's SAE, then in each later one as far as it can be followed. */
  readonly latents: readonly number[];
  /** The verdict on it at each later stage that it was followed into. */
  readonly verdicts: readonly string[];
}

/** A survival curve at one stage's end. */
export interface SurvivalPoint {
  readonly stage: string;
  /** Tokens of training since the cohort's own stage ended. */
  readonly tokens: number;
  readonly at_risk: number;
  readonly lost: number;
  /** Left the count without being lost. */
  readonly censored: number;
  readonly survival: number;
  /** 95%, by resampling features. */
  readonly ci: readonly [number, number];
}

/** How long the features of one cohort live by one definition of loss. */
export interface Survival {
  readonly points: readonly SurvivalPoint[];
  /** ln 2 · tokens at risk / losses; null below `fewestLosses` losses. */
  readonly half_life_tokens: number | null;
  readonly half_life_ci: readonly [number, number] | null;
}

/** The features that an SAE was the first to have. */
export interface Cohort {
  readonly stage: string;
  /** Features that were judged at least once. */
  readonly features: number;
  readonly persisted: Survival;
  readonly not_died: Survival;
}

/** Half-lives from fewer losses are not reported. */
export const fewestLosses = 5;

const goesOn: ReadonlySet<string> = new Set([
  "persisted",
  "carried_only",
  "drifted_direction",
  "drifted_meaning",
]);
/** Verdicts on latents of a stage's own SAE that make it the first to have them. */
const isNew: ReadonlySet<string> = new Set(["born", "uncovered"]);
const isLoss = {
  persisted: (verdict: string): boolean => verdict !== "persisted",
  not_died: (verdict: string): boolean => verdict === "died" || verdict === "lost_by_sae",
};
const isAlive = {
  persisted: (verdict: string): boolean => verdict === "persisted",
  not_died: (verdict: string): boolean => goesOn.has(verdict),
};

/** Follows every latent of every stage's SAE. `base` has `latents` latents; features are listed by cohort, then latent. */
export function featureHistories(
  base: { readonly stage: string; readonly latents: number },
  stages: readonly HistoryStage[],
): FeatureHistory[] {
  const histories: FeatureHistory[] = [];
  const follow = (cohort: string, from: number, latents: Iterable<number>): void => {
    for (const latent of latents) histories.push(traced(cohort, latent, stages.slice(from)));
  };
  follow(base.stage, 0, range(base.latents));
  for (const [s, { stage, own, verdict, match }] of stages.entries()) {
    const inherited = new Set(verdict.flatMap((name, i) => (goesOn.has(name) ? [match[i]] : [])));
    const first = range(own.length).filter((j) => isNew.has(own[j]) && !inherited.has(j));
    if (s + 1 < stages.length) follow(stage, s + 1, first);
  }
  return histories;
}

function traced(cohort: string, latent: number, stages: readonly HistoryStage[]): FeatureHistory {
  const latents = [latent];
  const verdicts: string[] = [];
  for (const { verdict, match } of stages) {
    const at = latents[latents.length - 1];
    const name = verdict[at];
    verdicts.push(name);
    if (!goesOn.has(name) || match[at] < 0) break;
    latents.push(match[at]);
  }
  return { cohort, latents, verdicts };
}

/** Survival of each cohort's features; those whose first verdict is `unknown` were never at risk. */
export function cohorts(
  histories: readonly FeatureHistory[],
  stages: readonly HistoryStage[],
  rng: Rng,
  replicates = 400,
): Cohort[] {
  const names = [...new Set(histories.map(({ cohort }) => cohort))];
  return names.map((name) => {
    const judged = histories.filter(
      ({ cohort, verdicts }) => cohort === name && verdicts[0] !== "unknown",
    );
    const later = stages.slice(stages.findIndex(({ stage }) => stage === name) + 1);
    const curve = (rule: keyof typeof isLoss): Survival =>
      survival(judged, later, rule, rng.fork(`${name} ${rule}`), replicates);
    return {
      stage: name,
      features: judged.length,
      persisted: curve("persisted"),
      not_died: curve("not_died"),
    };
  });
}

interface Counts {
  readonly atRisk: number[];
  readonly lost: number[];
  readonly censored: number[];
}

function survival(
  histories: readonly FeatureHistory[],
  stages: readonly HistoryStage[],
  rule: keyof typeof isLoss,
  rng: Rng,
  replicates: number,
): Survival {
  // features with the same verdicts count alike: few kinds, so that resampling is cheap
  const kinds = new Map<string, { readonly verdicts: readonly string[]; count: number }>();
  for (const { verdicts } of histories) {
    const key = verdicts.join();
    const kind = kinds.get(key);
    if (kind) kind.count++;
    else kinds.set(key, { verdicts, count: 1 });
  }
  const list = [...kinds.values()];
  const counts = list.map(({ count }) => count);
  const tally = (weights: readonly number[]): Counts => count(list, weights, stages.length, rule);
  const value = tally(counts);
  const kindOf = list.flatMap(({ count: n }, kind) => new Array<number>(n).fill(kind));
  const drawn = Array.from({ length: replicates }, () => {
    const weights = new Array<number>(list.length).fill(0);
    for (let i = 0; i < kindOf.length; i++) weights[kindOf[rng.int(kindOf.length)]]++;
    return tally(weights);
  });
  const curve = products(value);
  const curves = drawn.map(products);
  const halves = drawn.map((sample) => halfLife(sample, stages)).filter(Number.isFinite);
  const half = halfLife(value, stages);
  const losses = value.lost.reduce((sum, n) => sum + n, 0);
  const isKnown = losses >= fewestLosses && Number.isFinite(half);
  let tokens = 0;
  return {
    points: stages.map(({ stage, tokens: own }, s) => {
      tokens += own;
      return {
        stage,
        tokens,
        at_risk: value.atRisk[s],
        lost: value.lost[s],
        censored: value.censored[s],
        survival: curve[s],
        ci: interval(curves.map((other) => other[s])),
      };
    }),
    half_life_tokens: isKnown ? half : null,
    half_life_ci: isKnown ? interval(halves) : null,
  };
}

function count(
  kinds: readonly { readonly verdicts: readonly string[] }[],
  weights: readonly number[],
  stages: number,
  rule: keyof typeof isLoss,
): Counts {
  const zeros = (): number[] => new Array<number>(stages).fill(0);
  const counts = { atRisk: zeros(), lost: zeros(), censored: zeros() };
  for (const [kind, { verdicts }] of kinds.entries()) {
    for (const [s, verdict] of verdicts.entries()) {
      // fires too rarely to be judged: neither at risk nor lost
      if (verdict === "unknown") {
        counts.censored[s] += weights[kind];
        break;
      }
      counts.atRisk[s] += weights[kind];
      if (isLoss[rule](verdict)) counts.lost[s] += weights[kind];
      else if (!isAlive[rule](verdict)) counts.censored[s] += weights[kind];
      if (!isAlive[rule](verdict)) break;
    }
  }
  return counts;
}

function products({ atRisk, lost }: Counts): number[] {
  let alive = 1;
  return atRisk.map((n, s) => {
    alive *= n === 0 ? 1 : 1 - lost[s] / n;
    return alive;
  });
}

/** ln 2 · tokens at risk / losses; a loss is taken to fall in the middle of its stage. */
function halfLife({ atRisk, lost }: Counts, stages: readonly HistoryStage[]): number {
  const exposure = stages.reduce(
    (sum, { tokens }, s) => sum + tokens * (atRisk[s] - lost[s] / 2),
    0,
  );
  const losses = lost.reduce((sum, n) => sum + n, 0);
  return losses === 0 ? Number.POSITIVE_INFINITY : (Math.LN2 * exposure) / losses;
}

function interval(values: readonly number[]): [number, number] {
  return [quantile(values, 0.025), quantile(values, 0.975)];
}

function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}
