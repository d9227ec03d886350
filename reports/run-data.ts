/**
 * What a report is made from: the parts of a run's documents that are read, checked and typed.
 * Every part may be missing (null): a run that is still going, or was stopped by a gate, has a report
 * too. Field names are those of the files; each document is in a file of run-data/.
 */
import type { ActivationsEvaluation } from "./run-data/activations.ts";
import type { CircuitSummary } from "./run-data/circuit.ts";
import type { CarryCheck, MapSummary, StageEvaluation } from "./run-data/evaluation.ts";
import type { LikenessSummary } from "./run-data/likeness.ts";
import type { PersistenceSummary } from "./run-data/persistence.ts";
import type { FeatureTable, VerdictTable } from "./run-data/tables.ts";
import type {
  GateSummary,
  GrowthSummary,
  HistorySummary,
  MetricPoint,
  PlanSummary,
  QuestionSummary,
} from "./run-data/whole-run.ts";

/** All of one stage that is there. */
export interface StageData {
  readonly name: string;
  readonly evaluation: StageEvaluation | null;
  readonly map: MapSummary | null;
  readonly check: CarryCheck | null;
  /** Of the SAE that the report follows: the plan's first. */
  readonly persistence: PersistenceSummary | null;
  /** Of the plan's other SAEs. */
  readonly others: readonly PersistenceSummary[];
  /** Over the stage's training, of the same SAE as `persistence`. */
  readonly likeness: LikenessSummary | null;
  readonly verdicts: VerdictTable | null;
  readonly features: FeatureTable | null;
  readonly circuit: CircuitSummary | null;
  readonly gates: GateSummary | null;
}

/** A run. */
export interface RunData {
  readonly plan: PlanSummary;
  readonly toolVersion: string | null;
  readonly backend: string | null;
  /** The base first; stages that the plan names and the run has not begun are there too, all null. */
  readonly stages: readonly StageData[];
  readonly metrics: readonly MetricPoint[];
  /** What each expansion cost and bought. */
  readonly growth: GrowthSummary | null;
  /** By SAE, what became of each latent over all stages. */
  readonly history: readonly HistorySummary[] | null;
  readonly questions: readonly QuestionSummary[] | null;
  /** Of SAEs on a dump; null in a run with a model. Then the stage has no evaluation of its own. */
  readonly activations: { readonly evaluation: ActivationsEvaluation | null } | null;
}
