/**
 * @file Which model a crosscoder's latents belong to. By their decoder norms alone a latent is one model's when the
 * weaker part is no more than chance makes (the literature's rule, with its known artefacts); latent scaling then
 * unmasks those whose feature the other model has all the same. Each threshold is max(floor, 99th percentile of the
 * null measured on the same tokens), the null pooled over latents that fire about as often, as a rare latent's figures
 * are noisier. Shared says nothing of inheritance: what any two models on one text have, token
 * identity above all, is shared too. A shared latent is *aligned* where its child's part lies where the expansion map
 * puts the parent's, cosine ≥ τ. The floors are Minder et al.'s: Δ within .1 of an end (a norm ratio of .2), ν^ε .2, ν^r .5;
 * the cosine's is that of verdicts, .7.
 */
import type { ThresholdDocument } from "../persistence/document.ts";
import { firingCount, firingsOf } from "../persistence/firings.ts";
import { quantile } from "../persistence/quantile.ts";
import { frequencyBins } from "../persistence/shift-null.ts";
import type { CrosscoderMeasures, LatentFigures } from "./measure-crosscoder.ts";

/** Whose a latent is; unknown where it fires too rarely to tell. */
export type CrosscoderClass = "shared" | "parent-only" | "child-only" | "unknown";

/** Why a latent that the norms give to one model is shared. */
export type Artefact = "shrinkage" | "decoupling";

/** The classes of all latents. */
export interface CrosscoderClasses {
  /** After latent scaling; as `byNorm` where there was no map for it. */
  readonly classes: readonly CrosscoderClass[]; // [d_sae]
  readonly byNorm: readonly CrosscoderClass[]; // [d_sae]
  /** What unmasked it; null for the others. */
  readonly artefact: readonly (Artefact | null)[]; // [d_sae]
  /** 1 for a shared latent whose parts are in one direction through the map. */
  readonly aligned: Uint8Array; // [d_sae]
  readonly thresholds: Readonly<Record<keyof LatentFigures | "cosine", ThresholdDocument>>;
}

/** Options of {@link crosscoderClasses}. */
export interface CrosscoderClassOptions {
  /** A latent that fires less in the held-out tokens is unknown. */
  readonly minFirings: number;
  readonly floors: Readonly<Record<keyof LatentFigures | "cosine", number>>;
  /** A firing-frequency bin with fewer latents is joined with the next. */
  readonly leastLatents: number;
}

/** Defaults of {@link CrosscoderClassOptions}. */
export const crosscoderClassDefaults: CrosscoderClassOptions = {
  minFirings: 50,
  floors: { normRatio: 0.2, nuError: 0.2, nuReconstruction: 0.5, cosine: 0.7 },
  leastLatents: 100,
};

const figureNames: readonly (keyof LatentFigures)[] = ["normRatio", "nuError", "nuReconstruction"];

/** Sorts the latents. */
export function crosscoderClasses(
  { codes, delta, cosine, figures, chance, chanceCosine }: CrosscoderMeasures,
  given: Partial<CrosscoderClassOptions> = {},
): CrosscoderClasses {
  const { minFirings, floors, leastLatents } = { ...crosscoderClassDefaults, ...given };
  const firings = firingsOf(codes, "crosscoder: codes");
  const eligible = Uint8Array.from(delta, (value, i) =>
    firingCount(firings, i) >= minFirings && !Number.isNaN(value) ? 1 : 0,
  );
  const bins = frequencyBins(firings, eligible, leastLatents);
  const perLatent = (): Float64Array => new Float64Array(delta.length);
  const used = { normRatio: perLatent(), nuError: perLatent(), nuReconstruction: perLatent() };
  const thresholds = {} as Record<keyof LatentFigures | "cosine", ThresholdDocument>;
  for (const name of figureNames) {
    let highest = Number.NaN;
    used[name].fill(floors[name]);
    for (const latents of bins) {
      const drawn = latents.map((i) => chance[name][i]).filter(Number.isFinite);
      const p99 = quantile(Float64Array.from(drawn), 0.99);
      if (Number.isNaN(p99)) continue;
      highest = Number.isNaN(highest) ? p99 : Math.max(highest, p99);
      for (const i of latents) used[name][i] = Math.max(floors[name], p99);
    }
    thresholds[name] = thresholdOf(floors[name], highest);
  }
  const pairs = chanceCosine.filter((value, i) => eligible[i] === 1 && Number.isFinite(value));
  thresholds.cosine = thresholdOf(floors.cosine, quantile(pairs, 0.99));
  const classes: CrosscoderClass[] = [];
  const byNorm: CrosscoderClass[] = [];
  const artefact: (Artefact | null)[] = [];
  for (let i = 0; i < delta.length; i++) {
    const reaches = (name: keyof LatentFigures): boolean => figures[name][i] >= used[name][i];
    const alone: CrosscoderClass = delta[i] > 0.5 ? "child-only" : "parent-only";
    const norm = !eligible[i] ? "unknown" : reaches("normRatio") ? "shared" : alone;
    const isAlone = norm === alone;
    const why =
      isAlone && reaches("nuError")
        ? "shrinkage"
        : isAlone && reaches("nuReconstruction")
          ? "decoupling"
          : null;
    byNorm.push(norm);
    artefact.push(why);
    classes.push(why === null ? norm : "shared");
  }
  const aligned = Uint8Array.from(classes, (of, i) =>
    of === "shared" && cosine[i] >= thresholds.cosine.used ? 1 : 0,
  );
  return { classes, byNorm, artefact, aligned, thresholds };
}

function thresholdOf(floor: number, p99: number): ThresholdDocument {
  const isMeasured = !Number.isNaN(p99);
  return {
    floor,
    null_p99: isMeasured ? p99 : null,
    used: isMeasured ? Math.max(floor, p99) : floor,
  };
}
