/**
 * @file A crosscoder's part of persistence.json and its columns of persistence/<name>.arrow: how its latents fall, what
 * latent scaling unmasked, and how its word agrees with the verdicts on the parent's latents.
 */
import { type ColumnSpec, dictionary, float32, int32 } from "../../src/io/index.ts";
import type { ThresholdDocument } from "../persistence/document.ts";
import type { Artefact, CrosscoderClass, CrosscoderClasses } from "./classes.ts";
import type { Crosscoder } from "./crosscoder.ts";
import type { CrosscoderMeasures } from "./measure-crosscoder.ts";
import type { CrosscoderWitness, WitnessClass } from "./witness.ts";

/** How many latents are in each class. */
export interface ClassCounts {
  readonly unknown: number;
  readonly shared: number;
  readonly parent_only: number;
  readonly child_only: number;
}

/** Latents with one verdict, by what the crosscoder says of them; `none`: it has no latent of their function. */
export interface WitnessCounts extends ClassCounts {
  readonly verdict: string;
  /** Of the shared, those whose two parts are in one direction through the map. */
  readonly aligned: number;
  readonly none: number;
}

/** What a crosscoder is on held-out tokens. */
export interface CrosscoderFigures {
  readonly architecture: string;
  readonly d_sae: number;
  readonly l0: number;
  readonly fvu_parent: number;
  readonly fvu_child: number;
  /** Its latents after latent scaling, and by decoder norms alone. */
  readonly latents: ClassCounts;
  readonly by_norm: ClassCounts;
  /** Of the shared, those whose two parts are in one direction through the map: shared as something inherited would be. */
  readonly aligned: number;
  /** Latents that the norms give to one model and latent scaling to both, by artefact. */
  readonly unmasked: Readonly<Record<Artefact, number>>;
  readonly thresholds: {
    readonly norm_ratio: ThresholdDocument;
    readonly nu_error: ThresholdDocument;
    readonly nu_reconstruction: ThresholdDocument;
    readonly cosine: ThresholdDocument;
  };
}

/** `crosscoder` of persistence.json. */
export interface CrosscoderDocument extends CrosscoderFigures {
  /** The parent's latents. */
  readonly verdicts: readonly WitnessCounts[];
  /** Of the persisted and of the died latents whose function the crosscoder has: the share that it calls shared, and the parent's alone. */
  readonly persisted_shared: number | null;
  readonly died_parent_only: number | null;
  /** Cohen's kappa of persisted or died with shared or parent-only; null where either side says one thing alone. */
  readonly kappa: number | null;
  /** The same between the parent and the child's shape with random weights: how much is shared by what any model has. */
  readonly reinit: CrosscoderFigures | null;
}

/** A crosscoder with what was measured on it. */
export interface JudgedCrosscoder {
  readonly crosscoder: Crosscoder;
  readonly measures: CrosscoderMeasures;
  readonly sorted: CrosscoderClasses;
}

/** Sums up. `verdicts` are those on the parent's latents. */
export function crosscoderDocument(
  judged: JudgedCrosscoder,
  verdicts: readonly string[],
  witness: CrosscoderWitness,
  reinit: JudgedCrosscoder | null,
): CrosscoderDocument {
  const table = [...new Set(verdicts)].sort().map((verdict): WitnessCounts => {
    const said = witness.classes.filter((_, i) => verdicts[i] === verdict);
    const aligned = witness.classes.filter(
      (of, i) =>
        verdicts[i] === verdict &&
        of === "shared" &&
        judged.sorted.aligned[witness.latent[i]] === 1,
    ).length;
    return { verdict, ...countsOf(said), aligned, none: countOf(said, "none") };
  });
  const of = (verdict: string): WitnessCounts | undefined =>
    table.find((row) => row.verdict === verdict);
  const [persisted, died] = [of("persisted"), of("died")];
  return {
    ...figuresOf(judged),
    verdicts: table,
    persisted_shared: shareOf(persisted, "shared"),
    died_parent_only: shareOf(died, "parent_only"),
    kappa: kappa(
      [persisted?.shared ?? 0, persisted?.parent_only ?? 0],
      [died?.shared ?? 0, died?.parent_only ?? 0],
    ),
    reinit: reinit && figuresOf(reinit),
  };
}

function figuresOf({ crosscoder, measures, sorted }: JudgedCrosscoder): CrosscoderFigures {
  const { architecture, d_sae } = crosscoder.sae.cfg;
  const { classes, byNorm, artefact, aligned, thresholds } = sorted;
  return {
    architecture,
    d_sae,
    l0: measures.l0,
    fvu_parent: measures.fvuParent,
    fvu_child: measures.fvuChild,
    latents: countsOf(classes),
    by_norm: countsOf(byNorm),
    aligned: aligned.reduce((sum, one) => sum + one, 0),
    unmasked: {
      shrinkage: countOf(artefact, "shrinkage"),
      decoupling: countOf(artefact, "decoupling"),
    },
    thresholds: {
      norm_ratio: thresholds.normRatio,
      nu_error: thresholds.nuError,
      nu_reconstruction: thresholds.nuReconstruction,
      cosine: thresholds.cosine,
    },
  };
}

/** Cohen's kappa of a table of counts with agreement on its diagonal; null where chance agreement is certain. */
export function kappa(
  [a, b]: readonly [number, number],
  [c, d]: readonly [number, number],
): number | null {
  const n = a + b + c + d;
  if (n === 0) return null;
  const chance = ((a + b) * (a + c) + (c + d) * (b + d)) / n ** 2;
  return chance === 1 ? null : ((a + d) / n - chance) / (1 - chance);
}

const witnessClasses: readonly WitnessClass[] = [
  "shared",
  "parent-only",
  "child-only",
  "unknown",
  "none",
];

/** The columns: the parent's latents, then the child's, as in the table's other columns. */
export function crosscoderColumns(
  parent: CrosscoderWitness,
  child: CrosscoderWitness,
  { delta, cosine, figures }: CrosscoderMeasures,
): ColumnSpec[] {
  const both = [parent, child];
  const latent = both.flatMap((side) => Array.from(side.latent));
  const figure = (name: string, values: Float64Array): ColumnSpec => ({
    ...{ name, type: float32, nullable: true },
    values: Float32Array.from(latent, (j) => (j < 0 ? Number.NaN : values[j])),
  });
  return [
    {
      name: "crosscoder",
      type: dictionary([...witnessClasses]),
      values: both.flatMap((side) => [...side.classes]),
    },
    {
      name: "crosscoder_latent",
      type: int32,
      values: latent.map((j) => (j < 0 ? null : j)),
      nullable: true,
    },
    {
      name: "crosscoder_corr",
      type: float32,
      values: Float32Array.from(both.flatMap((side) => Array.from(side.correlation))),
      nullable: true,
    },
    figure("crosscoder_delta", delta),
    figure("crosscoder_cos", cosine),
    figure("nu_error", figures.nuError),
    figure("nu_reconstruction", figures.nuReconstruction),
  ];
}

function countsOf(said: readonly (CrosscoderClass | WitnessClass)[]): ClassCounts {
  return {
    unknown: countOf(said, "unknown"),
    shared: countOf(said, "shared"),
    parent_only: countOf(said, "parent-only"),
    child_only: countOf(said, "child-only"),
  };
}

function countOf<T>(values: readonly T[], wanted: T): number {
  return values.reduce((count, value) => count + (value === wanted ? 1 : 0), 0);
}

function shareOf(
  counts: WitnessCounts | undefined,
  wanted: "shared" | "parent_only",
): number | null {
  if (counts === undefined) return null;
  const judged = counts.shared + counts.parent_only + counts.child_only;
  return judged === 0 ? null : counts[wanted] / judged;
}
