/**
 * @file What fires in a planted world, token by token, and what follows from it: the codes that a perfect dictionary
 * would have, and the activations of the parent, of the child and of a child-sized model with random weights.
 */
import type { Rng } from "../../src/engine/index.ts";
import type { SparseCodes } from "../sae.ts";
import type { Feature, PlantedWorld } from "./world.ts";

/** The sources that fire on each of nTokens tokens, in CSR form. */
export interface SourceFirings {
  readonly nTokens: number;
  readonly rowStart: Int32Array; // [nTokens + 1]
  readonly source: Int32Array; // [nnz], ascending within a row
  readonly part: Uint8Array; // [nnz]
  readonly magnitude: Float32Array; // [nnz]
}

/** Common factors behind correlated sources. */
const factors = 4;

/** Draws the firings of nTokens tokens, one independent of the other. */
export function drawFirings(
  { sources, options }: PlantedWorld,
  nTokens: number,
  rng: Rng,
): SourceFirings {
  const n = sources.length;
  const { correlation } = options;
  // Which factors a source hangs on is the world's, not the stream's.
  const loadings = correlation > 0 ? loadingsOf(n) : null;
  const thresholds = sources.map(({ rate }) => normalQuantile(1 - rate));
  const rowStart = new Int32Array(nTokens + 1);
  const source: number[] = [];
  const part: number[] = [];
  const magnitude: number[] = [];
  const fires = new Uint8Array(n);
  const z = new Float64Array(factors);
  for (let t = 0; t < nTokens; t++) {
    if (loadings) for (let k = 0; k < factors; k++) z[k] = rng.normal();
    for (let s = 0; s < n; s++) {
      const { rate, within, parts } = sources[s];
      let chance: boolean;
      if (loadings) {
        let common = 0;
        for (let k = 0; k < factors; k++) common += loadings[s * factors + k] * z[k];
        chance =
          Math.sqrt(correlation) * common + Math.sqrt(1 - correlation) * rng.normal() >
          thresholds[s];
      } else {
        chance = rng.next() < rate;
      }
      fires[s] = chance && (within < 0 || fires[within] === 1) ? 1 : 0;
      if (fires[s] === 0) continue;
      source.push(s);
      part.push(parts.length === 1 ? 0 : partOf(parts, rng.next()));
      magnitude.push(Math.max(0.2, 1 + 0.3 * rng.normal()));
    }
    rowStart[t + 1] = source.length;
  }
  return {
    nTokens,
    rowStart,
    source: Int32Array.from(source),
    part: Uint8Array.from(part),
    magnitude: Float32Array.from(magnitude),
  };
}

/** The true activations of features: what a dictionary with one latent for each, in their order, would say. */
export function featureCodes(
  features: readonly Feature<string>[],
  { nTokens, rowStart, source, part, magnitude }: SourceFirings,
): SparseCodes {
  const answers = new Map<number, { feature: number; part: number }[]>();
  for (const [feature, { triggers }] of features.entries()) {
    for (const trigger of triggers) {
      const list = answers.get(trigger.source);
      if (list) list.push({ feature, part: trigger.part });
      else answers.set(trigger.source, [{ feature, part: trigger.part }]);
    }
  }
  const starts = new Int32Array(nTokens + 1);
  const latent: number[] = [];
  const value: number[] = [];
  for (let t = 0; t < nTokens; t++) {
    const row = new Map<number, number>();
    for (let p = rowStart[t]; p < rowStart[t + 1]; p++) {
      for (const answer of answers.get(source[p]) ?? []) {
        if (answer.part >= 0 && answer.part !== part[p]) continue;
        row.set(answer.feature, (row.get(answer.feature) ?? 0) + magnitude[p]);
      }
    }
    for (const feature of [...row.keys()].sort((a, b) => a - b)) {
      latent.push(feature);
      value.push(row.get(feature) as number);
    }
    starts[t + 1] = latent.length;
  }
  return {
    nTokens,
    dSae: features.length,
    rowStart: starts,
    latent: Int32Array.from(latent),
    value: Float32Array.from(value),
  };
}

/** Whose activations: the parent's, the trained child's, those of the child right after growth, or of random weights. */
export type Side = "parent" | "child" | "grown" | "random";

/** Width of a side's activations. */
export function widthOf({ d, D }: PlantedWorld, side: Side): number {
  return side === "parent" ? d : D;
}

/** Activations [nTokens, width] of the firings; `noise` names the noise. */
export function activationRows(
  world: PlantedWorld,
  side: Side,
  firings: SourceFirings,
  noise: Rng,
): Float32Array {
  if (side === "random") return randomRows(world, firings, noise);
  if (side === "grown") return mapRows(world, activationRows(world, "parent", firings, noise));
  const isParent = side === "parent";
  const width = widthOf(world, side);
  const offset = isParent ? world.parentOffset : mapRows(world, world.parentOffset);
  const directions = isParent ? world.parentDirections : world.childDirections;
  const codes = featureCodes(isParent ? world.parent : world.child, firings);
  const out = noisyRows(codes.nTokens, offset, world.options.noise, noise);
  for (let t = 0; t < codes.nTokens; t++) {
    for (let p = codes.rowStart[t]; p < codes.rowStart[t + 1]; p++) {
      const from = codes.latent[p] * width;
      const size = codes.value[p];
      for (let a = 0; a < width; a++) out[t * width + a] += size * directions[from + a];
    }
  }
  return out;
}

/** E applied to rows [n, d], activations or directions alike: [n, D]. */
export function mapRows({ E, d, D }: PlantedWorld, rows: Float32Array): Float32Array {
  const n = rows.length / d;
  const out = new Float32Array(n * D);
  for (let r = 0; r < n; r++) {
    for (let a = 0; a < D; a++) {
      let sum = 0;
      for (let b = 0; b < d; b++) sum += E[a * d + b] * rows[r * d + b];
      out[r * D + a] = sum;
    }
  }
  return out;
}

/** ReLU(V z) of the sources that depend on the token alone: such a model computes nothing else of the text. */
function randomRows(
  { D, sources, randomWeights, options }: PlantedWorld,
  { nTokens, rowStart, source, magnitude }: SourceFirings,
  noise: Rng,
): Float32Array {
  const out = noisyRows(nTokens, new Float32Array(D), options.noise, noise);
  const scale = 1 / Math.sqrt(options.active);
  const row = new Float64Array(D);
  for (let t = 0; t < nTokens; t++) {
    row.fill(0);
    for (let p = rowStart[t]; p < rowStart[t + 1]; p++) {
      if (!sources[source[p]].byToken) continue;
      const from = source[p] * D;
      for (let a = 0; a < D; a++) row[a] += scale * magnitude[p] * randomWeights[from + a];
    }
    for (let a = 0; a < D; a++) out[t * D + a] += Math.max(0, row[a]);
  }
  return out;
}

function noisyRows(n: number, offset: Float32Array, noise: number, rng: Rng): Float32Array {
  const width = offset.length;
  return Float32Array.from(
    { length: n * width },
    (_, i) => offset[i % width] + noise * rng.normal(),
  );
}

function partOf(parts: readonly number[], chance: number): number {
  let below = 0;
  for (const [part, share] of parts.entries()) {
    below += share;
    if (chance < below) return part;
  }
  return parts.length - 1;
}

/** Unit vectors, spread by the golden ratio so that no draw is needed. */
function loadingsOf(n: number): Float64Array {
  const out = new Float64Array(n * factors);
  for (let s = 0; s < n; s++) {
    let squares = 0;
    for (let k = 0; k < factors; k++) {
      const x = Math.cos(2 * Math.PI * (((s + 1) * (k + 2) * 0.6180339887) % 1));
      out[s * factors + k] = x;
      squares += x * x;
    }
    for (let k = 0; k < factors; k++) out[s * factors + k] /= Math.sqrt(squares);
  }
  return out;
}

/** Quantile of the standard normal, by bisection on its tail (Abramowitz & Stegun 26.2.17, error below 1e-7). */
function normalQuantile(p: number): number {
  let [low, high] = [-9, 9];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (normalCdf(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

function normalCdf(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  const tail =
    density *
    t *
    (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return x >= 0 ? 1 - tail : tail;
}
