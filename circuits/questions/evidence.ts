/**
 * What the five answers are read from: plain objects with the fields of the run's own documents
 * (`stages/<stage>/eval.json`, `persistence.json`, `circuits/<task>.json`, lines of `metrics.jsonl`),
 * so that those can be handed over as they are. Null or absent = not measured.
 */
import type { CircuitDocument } from "../circuit-document.ts";

export type Interval = readonly [number, number] | null;

/** A ratio with its interval. */
export interface Estimate {
  readonly value: number | null;
  readonly ci?: Interval;
}

/** One line of `metrics.jsonl`; `tokens` and `flops` are cumulative, ancestors included. */
export interface LossPoint {
  readonly arm: string;
  readonly phase: string;
  readonly tokens: number;
  readonly flops?: number | null;
  readonly held_out_loss?: number | null;
}

/** A trained model's end point. */
export interface ModelEvidence {
  readonly held_out_loss: number | null;
  readonly held_out_se?: number | null;
  readonly tokens_trained: number | null;
  readonly flops_trained: number | null;
  readonly params?: number | null;
  /** Before any training on; null in the base stage. */
  readonly loss_after_expansion?: number | null;
}

/** The part of `eval.json` that is read. */
export interface EvalEvidence {
  readonly model: ModelEvidence;
  readonly controls?: Readonly<Partial<Record<string, ModelEvidence>>>;
  readonly off_image?: {
    readonly after_expansion: number | null;
    readonly after_training: number | null;
  } | null;
  readonly weight_drift?: {
    readonly read: { readonly relative: number | null; readonly inside_share: number | null };
    readonly write: { readonly relative: number | null; readonly inside_share: number | null };
    readonly dimension_share: number | null;
  } | null;
}

/** Shares of eligible parent latents that find a match. */
export interface CellEvidence {
  readonly function: number | null;
  readonly match: number | null;
  readonly ci?: Interval;
}

interface ProbeShare {
  /** Share of the latents that a probe reads from the parent which it reads here as well. */
  readonly read: number;
}

/** `probes` of persistence.json. */
export interface ProbesEvidence {
  readonly child: ProbeShare;
  readonly inherited: ProbeShare | null;
  readonly scratch: ProbeShare | null;
  readonly random: ProbeShare | null;
}

/** The part of `persistence.json` that is read. */
export interface PersistenceEvidence {
  readonly eligible: number;
  readonly counts: Readonly<Partial<Record<string, number>>>;
  readonly persisted: Estimate;
  readonly reinit_persisted?: Estimate | null;
  readonly cells?: Readonly<Partial<Record<string, CellEvidence | null>>>;
  /** Of the parent's latents, from what. */
  readonly probes?: ProbesEvidence | null;
  readonly corrected?: Estimate | null;
  readonly inheritance?: (Estimate & { readonly of_findable?: number | null }) | null;
}

interface LikenessPair {
  readonly to_parent: Estimate;
  readonly to_scratch: Estimate | null;
}

/** Where a curve falls below another, in tokens of the stage's training. */
export interface CrossingEvidence {
  readonly after: number | null;
  readonly by: number;
}

/** The part of likeness.json that is read: one SAE's curves over a stage's training. */
export interface LikenessEvidence {
  readonly child: readonly (LikenessPair & {
    readonly tokens: number;
    readonly corrected: Estimate;
  })[];
  readonly references: {
    readonly parent: LikenessPair;
    readonly no_expand: LikenessPair | null;
  };
  readonly crossings: {
    readonly half: CrossingEvidence | null;
    readonly scratch_nearer: CrossingEvidence | null;
  };
}

/** One stage; the base stage comes first. */
export interface StageEvidence {
  readonly stage: string;
  readonly eval: EvalEvidence;
  /** Of its map.json; null in the base stage. */
  readonly expansion?: { readonly method: string; readonly exact: boolean } | null;
  readonly persistence: PersistenceEvidence | null;
  /** Of the first SAE, in likeness.json. */
  readonly likeness?: LikenessEvidence | null;
  readonly circuit: CircuitDocument | null;
}

/** A whole run. */
export interface FiveQuestionsInput {
  readonly stages: readonly StageEvidence[];
  readonly curves: readonly LossPoint[];
}

/** Where a number comes from. */
export interface Source {
  readonly file: string;
  readonly field: string;
}

/** An answer; value, interval and unit are null when the run can't tell. */
export interface Answer {
  /** One sentence. */
  readonly answer: string;
  readonly value: number | null;
  readonly ci: Interval;
  readonly unit: string | null;
  readonly evidence: readonly Source[];
  /** Whether the evidence decides the question, by the thresholds stated beside the code. */
  readonly confident: boolean;
}

/** An answer that there is none, and why. */
export function cannotTell(why: string, evidence: readonly Source[] = []): Answer {
  return {
    answer: `This run can't tell: ${why}.`,
    ...{ value: null, ci: null, unit: null, confident: false },
    evidence,
  };
}

/** The path of a stage's document inside the run. */
export function stageFile(stage: string, name: string): string {
  return `stages/${stage}/${name}`;
}

/** The expansion stages: all but the first. */
export function expansions(input: FiveQuestionsInput): readonly StageEvidence[] {
  return input.stages.slice(1);
}

/** A share as a whole percentage, with one decimal below 10%. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(Math.abs(share) < 0.1 && share !== 0 ? 1 : 0)}%`;
}

/** A number with its sign and three decimals. */
export function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
}

/** Two decimals and, where there is one, the interval. */
export function withInterval(value: number, ci: Interval | undefined): string {
  return ci
    ? `${value.toFixed(2)} [${ci[0].toFixed(2)}, ${ci[1].toFixed(2)}]`
    : `${value.toFixed(2)} (no interval)`;
}
