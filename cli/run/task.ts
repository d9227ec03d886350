/**
 * A run as a graph of tasks. A task is named, depends on others, writes its artefacts atomically and
 * is a pure function of the plan and of the artefacts it reads: so it may run in any process, in any
 * order that respects the graph, and again after a kill, and leaves the same bytes.
 */

/** One SAE that a task trains: which arm it is, and what it starts from. */
export interface SaeJobSpec {
  readonly arm: string;
  /** `fresh`: own initialisation; `carried`: the carried SAE of this stage; `parent`: the SAE of the stage before. */
  readonly start: "fresh" | "carried" | "parent";
  /** Number of the fresh seed; 0 for the real SAE and for continued ones. */
  readonly seed: number;
  /** Directions to turn before training: of some latents, or of all by one matrix. */
  readonly turn?: "some" | "all";
  /** How many times the stage's tokens it trains on. Default 1. */
  readonly times?: number;
}

/** A crosscoder between a stage's parent and its child, or a model of the child's shape with random weights. */
export type CrosscoderArm = "crosscoder" | "crosscoder-reinit";

/** Which model's activations a task reads: an arm's model at a stage. */
export interface ModelRef {
  readonly stage: number;
  readonly arm: string;
}

/** What a task does. */
export type TaskSpec =
  | { readonly kind: "data"; readonly stage: number }
  | { readonly kind: "language-model"; readonly stage: number; readonly arm: string }
  | { readonly kind: "expand"; readonly stage: number }
  | {
      readonly kind: "sae";
      readonly stage: number;
      readonly model: ModelRef;
      readonly jobs: readonly SaeJobSpec[];
    }
  | { readonly kind: "crosscoder"; readonly stage: number; readonly arm: CrosscoderArm }
  /** SAEs on a dump: training and evaluation. */
  | { readonly kind: "activations" }
  | { readonly kind: "evaluate"; readonly stage: number }
  | { readonly kind: "compare"; readonly stage: number }
  | { readonly kind: "likeness"; readonly stage: number }
  | { readonly kind: "circuits"; readonly stage: number }
  | { readonly kind: "gates"; readonly stage: number }
  | { readonly kind: "report" };

/** A node of the graph. */
export interface Task {
  /** Also its folder under `.work`, e.g. `01-wider/sae-fresh`. */
  readonly id: string;
  /** Index of the stage it belongs to; the report belongs to the last. */
  readonly stage: number;
  /** Shown in the progress line. */
  readonly title: string;
  readonly needs: readonly string[];
  /** Rough work in floating-point operations, for the progress and the order of starting. */
  readonly cost: number;
  readonly spec: TaskSpec;
}

/** What a running task tells. */
export interface TaskProgress {
  /** 0 to 1. */
  readonly fraction: number;
  /** Figures for the progress line, e.g. { loss: 4.2, "tokens/s": 5100 }. */
  readonly figures: Readonly<Record<string, number>>;
  /** A sentence for the log, said once. */
  readonly note?: string;
}
