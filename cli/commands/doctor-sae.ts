/**
 * @file What `doctor --check` looks at of SAEs: codes and best matches against plain f64 loops, and
 * training steps against those of a backend whose kernels are plain loops.
 */
import {
  createSaeTrainer,
  encodeAsync,
  rowActivations,
  type Sae,
  type SaeArchitecture,
  saeConfig,
} from "../../sae/index.ts";
import { bestMatches, createRng, tf, useBackend } from "../../src/engine/index.ts";
import { largestDifference, random } from "./doctor-numbers.ts";

const [dIn, dSae, k, rows] = [13, 37, 4, 29];

/** Largest error of the codes of one row after another: the k largest, or those above a threshold. */
export async function codesError(architecture: SaeArchitecture): Promise<number> {
  const sae: Sae = {
    cfg: configOf(architecture),
    W_enc: random(dIn * dSae, "W_enc"),
    b_enc: random(dSae, "b_enc"),
    W_dec: random(dSae * dIn, "W_dec"),
    b_dec: random(dIn, "b_dec"),
    threshold: architecture === "topk" ? null : new Float32Array(dSae).fill(1.5),
  };
  const x = random(rows * dIn, "rows");
  const input = tf.tensor2d(x, [rows, dIn]);
  const { rowStart, latent, value } = await encodeAsync(sae, input);
  input.dispose();
  const got = new Float64Array(rows * dSae);
  for (let t = 0; t < rows; t++) {
    for (let at = rowStart[t]; at < rowStart[t + 1]; at++) got[t * dSae + latent[at]] = value[at];
  }
  return largestDifference(got, plainCodes(sae, x));
}

function plainCodes({ W_enc, b_enc, b_dec, threshold }: Sae, x: Float32Array): Float64Array {
  const codes = new Float64Array(rows * dSae);
  for (let t = 0; t < rows; t++) {
    const pre = Array.from(b_enc, (bias, i) => {
      let sum = bias;
      for (let j = 0; j < dIn; j++) sum += (x[t * dIn + j] - b_dec[j]) * W_enc[j * dSae + i];
      return sum;
    });
    const kth = [...pre].sort((a, b) => b - a)[k - 1];
    pre.forEach((value, i) => {
      const kept = threshold ? value > threshold[i] : value >= kth;
      codes[t * dSae + i] = kept ? Math.max(value, 0) : 0;
    });
  }
  return codes;
}

/** Largest difference of a weight after three training steps, AuxK included, from the same steps on plain loops. */
export async function stepsError(architecture: SaeArchitecture): Promise<number> {
  const active = tf.getBackend();
  const got = await trained(architecture);
  await useBackend(active === "cpu" ? "wasm" : "cpu");
  try {
    const want = await trained(architecture);
    return Math.max(...got.map((values, i) => largestDifference(values, want[i])));
  } finally {
    await tf.setBackend(active);
  }
}

async function trained(architecture: SaeArchitecture): Promise<Float32Array[]> {
  const source = rowActivations(random(3 * rows * dIn, "activations"), dIn, rows);
  const job = {
    name: "checked",
    config: configOf(architecture),
    init: null,
    rng: createRng("doctor's SAE"),
    pinNorms: false,
  };
  const trainer = await createSaeTrainer(source, [job], {
    ...{ steps: 3, lr: 1e-2, warmup: 0, decay: 0 },
    deadAfterTokens: rows, // so that some latents are dead by the second step
  });
  const losses: number[] = [];
  while (trainer.taken < 3) losses.push((await trainer.step()).saes[0].loss);
  const { W_enc, b_enc, W_dec, b_dec } = trainer.saes().get(job.name) as Sae;
  return [W_enc, b_enc, W_dec, b_dec, Float32Array.from(losses)];
}

/** Largest error of the three best matches of each row by correlation; infinite where another row is named. */
export async function matchesError(): Promise<number> {
  const top = 3;
  const [a, b] = [random(rows * dIn, "left"), random(dSae * dIn, "right")];
  const { index, value } = await bestMatches(a, b, dIn, { top, measure: "correlation" });
  let worst = 0;
  for (let i = 0; i < rows; i++) {
    const scores = Array.from({ length: dSae }, (_, j) => correlation(a, i * dIn, b, j * dIn));
    const order = scores.map((_, j) => j).sort((p, q) => scores[q] - scores[p]);
    for (let r = 0; r < top; r++) {
      const isSame = index[i * top + r] === order[r];
      worst = Math.max(worst, isSame ? Math.abs(value[i * top + r] - scores[order[r]]) : Infinity);
    }
  }
  return worst;
}

function correlation(a: Float32Array, i: number, b: Float32Array, j: number): number {
  let [sumA, sumB, ab, aa, bb] = [0, 0, 0, 0, 0];
  for (let s = 0; s < dIn; s++) {
    sumA += a[i + s];
    sumB += b[j + s];
    ab += a[i + s] * b[j + s];
    aa += a[i + s] ** 2;
    bb += b[j + s] ** 2;
  }
  return (ab - (sumA * sumB) / dIn) / Math.sqrt((aa - sumA ** 2 / dIn) * (bb - sumB ** 2 / dIn));
}

function configOf(architecture: SaeArchitecture): Sae["cfg"] {
  return saeConfig({ architecture, d_in: dIn, d_sae: dSae, k, hook_name: "hook_embed" });
}
