// Activations with known features: sums of `active` of `nFeatures` unit directions with weights in [0.5, 1.5).
import { type ActivationSource, rowActivations } from "../../../sae/index.ts";
import { setRowNorms } from "../../../sae/kernels/row-norms.ts";
import { createRng } from "../../../src/engine/index.ts";
import { draw } from "./random-sae.ts";

export interface Planted {
  readonly features: Float32Array; // [nFeatures, d]
  readonly rows: Float32Array; // [n, d]
}

export function plant(n: number, d: number, nFeatures: number, active: number): Planted {
  const features = draw("features", nFeatures * d);
  setRowNorms(features, new Float32Array(nFeatures).fill(1));
  const rng = createRng("planted rows");
  const rows = new Float32Array(n * d);
  for (let t = 0; t < n; t++) {
    const chosen = new Set<number>();
    while (chosen.size < active) chosen.add(rng.int(nFeatures));
    for (const f of chosen) {
      const weight = 0.5 + rng.next();
      for (let j = 0; j < d; j++) rows[t * d + j] += weight * features[f * d + j];
    }
  }
  return { features, rows };
}

export function plantedSource(planted: Planted, d: number, batchSize: number): ActivationSource {
  return rowActivations(planted.rows, d, batchSize);
}

/** Share of the features that some decoder row points at with cosine above `level`. */
export function recovered(
  { features }: Planted,
  W_dec: Float32Array,
  d: number,
  level: number,
): number {
  const unit = W_dec.slice();
  setRowNorms(unit, new Float32Array(W_dec.length / d).fill(1));
  let found = 0;
  for (let f = 0; f < features.length; f += d) {
    let best = 0;
    for (let i = 0; i < unit.length; i += d) {
      let dot = 0;
      for (let j = 0; j < d; j++) dot += features[f + j] * unit[i + j];
      best = Math.max(best, dot);
    }
    if (best > level) found += 1;
  }
  return found / (features.length / d);
}
