// What a comparison is made from: the parent's dictionary, the arms, and where probes and training
// curves come from. Every dictionary is given with its codes on the same held-out token rows.
import type { Rng } from "../../src/engine/index.ts";
import type { MapKind } from "../../src/expansion/index.ts";
import { UsageError } from "../../src/io/index.ts";
import type { Lineage } from "../lineage.ts";
import type { SparseCodes } from "../sae.ts";
import type { ActivationStream } from "./probe.ts";
import type { CurvePoint } from "./tokens-ratio.ts";

/** What is needed of a lineage: the stage each latent first appeared in, and its index in the SAE before (−1: appended). */
export type LatentLineage = Pick<Lineage, "stage" | "parent">;

/** One SAE on the held-out rows. */
export interface Dictionary {
  readonly codes: SparseCodes;
  /** Width of the activations it reads. */
  readonly d_in: number;
  /** Width of the activations that a transcoder reconstructs; absent for an SAE, which writes where it reads. */
  readonly d_out?: number;
  readonly W_dec: Float32Array; // [d_sae, d_out]
  readonly W_enc: Float32Array; // [d_in, d_sae]
  readonly lineage: LatentLineage | null;
}

/** Width of its decoder's rows. */
export function decoderWidth({ d_in, d_out = d_in }: Pick<Dictionary, "d_in" | "d_out">): number {
  return d_out;
}

/** Whether its decoder rows are directions of the activations that it reads, and can be held against those. */
export function writesWhereItReads({ d_out }: Pick<Dictionary, "d_out">): boolean {
  return d_out === undefined;
}

/** How parent directions look in an arm's activations; from the expansion map of the arm's model. */
export interface Frame {
  /** E applied to decoder rows, [n, d] → [n, D]. */
  readonly decoder: (rows: Float32Array) => Float32Array;
  /** Rᵀ applied to encoder rows, [n, d] → [n, D]; null: encoder cosines are not measured. */
  readonly encoder: ((rows: Float32Array) => Float32Array) | null;
}

/** The frame of arms on the parent's own model. */
export const identityFrame: Frame = { decoder: (rows) => rows, encoder: (rows) => rows };

/**
 * What an arm is for (methods.md §5). `carried-start` is the carried SAE on the child right after the
 * expansion, before any training: a check of the rule. `frozen` is the same SAE on the trained child.
 * `rotated` began with all directions turned by one random matrix, the perturbed ones with some latents
 * turned; `continued` trained some times as long as the carried one.
 */
export type ArmRole =
  | "carried"
  | "carried-start"
  | "frozen"
  | "fresh"
  | "scratch"
  | "carried-scratch"
  | "same-model"
  | "fresh-parent"
  | "reinit"
  | "no-expand"
  | "rotated"
  | "perturbed"
  | "perturbed-reinit"
  | "continued";

/** One trajectory's SAE. */
export interface ArmInput extends Dictionary {
  readonly role: ArmRole;
  /** Its name in the run, such as fresh-0. */
  readonly arm: string;
  readonly sae: string;
  readonly seed: number;
  /** Null where no map leads to this model (scratch): no cosine then. */
  readonly frame: Frame | null;
  /** The decoder it started from, before training [d_sae, d_out]; null: the parent's rows in `frame`. */
  readonly start: Float32Array | null;
  /** Of perturbed arms, the latents that were turned before training. */
  readonly turned?: Int32Array;
  /** Of continued arms, how many times the carried arm's tokens they trained. */
  readonly times?: number;
  /** Peak learning rate of its last training; null or absent where there was none or nobody knows. */
  readonly lr?: number | null;
  readonly l0: number | null;
  readonly fvu: number | null;
  readonly ce_loss_score_zero: number | null;
}

/** Activations for the probes; each stream is read once. */
export interface ProbeInput {
  readonly parent: ActivationStream;
  readonly child: ActivationStream;
  /** A model of the child's size with random weights (the reinit arm's): the null of readability. */
  readonly random: ActivationStream | null;
  /** The from-scratch model of the child's size: what any such model makes readable. Parent latents alone. */
  readonly scratch?: ActivationStream | null;
}

/** A growth that changed the function, and how the SAE came through it. */
export interface InexactGrowth {
  /** As in map.json. */
  readonly method: string;
  /** The map at the SAE's hook: exact there all the same, the method's own, fitted on text, or none but the copied coordinates. */
  readonly through: MapKind;
  /** Of that map on held-out tokens; null where it was not measured. */
  readonly r2: number | null;
  /** Right after growth, nats; null where not measured. */
  readonly loss_parent: number | null;
  readonly loss_child: number | null;
}

/** The input of {@link comparePersistence}. */
export interface PersistenceInput {
  readonly stage: string;
  /** Name of the SAE that is tracked, such as resid. */
  readonly name: string;
  readonly parent: Dictionary;
  /** Exactly one has the role `carried`; the others may be any of the rest, in any number. */
  readonly arms: readonly ArmInput[];
  /** Token rows per sequence (the context less the first tokens left out), of all or of each in order. */
  readonly sequenceLength: number | Int32Array;
  readonly probes: ProbeInput | null;
  readonly curves: {
    readonly carried: readonly CurvePoint[];
    readonly fresh: readonly (readonly CurvePoint[])[];
  } | null;
  /** Share of the trained child's energy off the image of E, and the spread among copies; passed on. */
  readonly off_image: number | null;
  readonly copy_spread: number | null;
  /** What the growth did to the parent's function, where it was not exact; null or absent where it was. */
  readonly inexact?: InexactGrowth | null;
  readonly rng: Rng;
  readonly options?: Partial<PersistenceOptions>;
  /** Awaited between arms: a chance for other work, or to stop by throwing. */
  readonly pause?: () => Promise<void>;
}

/** The constants of the method; the defaults are those of methods.md §4–5. */
export interface PersistenceOptions {
  /** A latent that fires less in the held-out tokens is unknown. */
  readonly minFirings: number;
  readonly correlationFloor: number;
  readonly cosineFloor: number;
  /** Strong containment, both ways. */
  readonly containment: number;
  /** Correlation from which a direction that is kept has drifted in meaning. */
  readonly meaningFloor: number;
  /** Correlation within the parent from which latents are redundant. */
  readonly redundancy: number;
  /** Share of a latent's strong firings that its pieces cover together, and that each must add. */
  readonly coverage: number;
  readonly partShare: number;
  readonly mostParts: number;
  /** Gain in R² of the pieces over the best single latent. */
  readonly gainFloor: number;
  readonly freshShare: number;
  /** Fresh SAEs alone call latents split or merged up to this estimated share of false calls. */
  readonly falseShare: number;
  readonly probeShare: number;
  /** R² above the random-weights null from which a probe counts. */
  readonly probeMargin: number;
  /** Ridge penalty and whitening shrinkage, in units of tr(Σ)/D. */
  readonly ridge: number;
  readonly q: number;
  readonly replicates: number;
  readonly blocks: number;
  /** Shifted latents per firing-frequency bin. */
  readonly shiftDraws: number;
  /** Shuffled wholes per firing-frequency bin, at least; a quarter of the eligible latents where that is more. */
  readonly partDraws: number;
  /** Arms whose L0 or FVU differ by more, relatively, are not matched. */
  readonly matchedWithin: number;
  /** Fresh parent seeds from which "never seed-stable" means anything. */
  readonly stabilitySeeds: number;
}

/** Defaults of {@link PersistenceOptions}. */
export const persistenceDefaults: PersistenceOptions = {
  minFirings: 50,
  correlationFloor: 0.5,
  cosineFloor: 0.7,
  containment: 0.7,
  meaningFloor: 0.2,
  redundancy: 0.95,
  coverage: 0.7,
  partShare: 0.1,
  mostParts: 4,
  gainFloor: 0.1,
  freshShare: 0.5,
  falseShare: 0.2,
  probeShare: 0.8,
  probeMargin: 0.1,
  ridge: 1e-3,
  q: 0.05,
  replicates: 400,
  blocks: 100,
  shiftDraws: 500,
  partDraws: 2000,
  matchedWithin: 0.05,
  stabilitySeeds: 3,
};

/** Throws a UsageError unless there is one carried arm and every dictionary has its shape, finite weights and the parent's rows. */
export function validateInput(input: PersistenceInput): void {
  const fail = (where: string, expected: string, got: string): never => {
    throw new UsageError({ code: "persistence-input", where, expected, got });
  };
  const carried = input.arms.filter(({ role }) => role === "carried").length;
  if (carried !== 1) fail("arms", "one carried arm", String(carried));
  const { nTokens } = input.parent.codes;
  const { sequenceLength } = input;
  if (typeof sequenceLength === "number") {
    if (!(Number.isInteger(sequenceLength) && sequenceLength >= 1)) {
      fail("sequenceLength", "a positive integer", String(sequenceLength));
    }
  } else {
    const rows = sequenceLength.reduce((sum, length) => sum + length, 0);
    if (sequenceLength.some((length) => length < 1) || rows !== nTokens) {
      fail("sequenceLength", `positive lengths that add up to ${nTokens} rows`, `${rows} rows`);
    }
  }
  for (const [name, dictionary] of [
    ["parent", input.parent] as const,
    ...input.arms.map((arm) => [`arm ${arm.arm}`, arm] as const),
  ]) {
    const { codes, d_in, d_out = d_in, W_dec, W_enc, lineage } = dictionary;
    if (codes.nTokens !== nTokens) {
      fail(`${name}: codes`, `${nTokens} rows, as the parent has`, String(codes.nTokens));
    }
    for (const [field, weights] of Object.entries({ W_dec, W_enc })) {
      const size = codes.dSae * (field === "W_dec" ? d_out : d_in);
      if (weights.length !== size) {
        fail(`${name}: ${field}`, `${size} numbers`, String(weights.length));
      }
      const bad = weights.findIndex((value) => !Number.isFinite(value));
      if (bad >= 0) fail(`${name}: ${field}`, "finite numbers", `${weights[bad]} at ${bad}`);
    }
    if (lineage !== null && lineage.parent.length !== codes.dSae) {
      fail(`${name}: lineage`, `${codes.dSae} latents`, String(lineage.parent.length));
    }
  }
  for (const { arm, start, W_dec } of input.arms) {
    if (start !== null && start.length !== W_dec.length) {
      fail(`arm ${arm}: start`, `${W_dec.length} numbers`, String(start.length));
    }
  }
}
