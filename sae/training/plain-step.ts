/**
 * @file A training step's parts as plain loops on host arrays after a dense product on the engine, so that every
 * backend gives the same step for the same pre-activations. This is what the native kernels must compute.
 */
import { adamwArray, hostView, linear, tf } from "../../src/engine/index.ts";
import { bucketByLatent, createBuckets } from "../kernels/bucket.ts";
import { CodeBuffer } from "../kernels/code-buffer.ts";
import { addPartPenalty } from "../kernels/part-norms.ts";
import { residualAndSlopes } from "../kernels/reconstruct.ts";
import { projectOutRows, setRowNorms } from "../kernels/row-norms.ts";
import {
  createBatchTopKScratch,
  selectAbove,
  selectBatchTopK,
  selectTopAmong,
  selectTopK,
} from "../kernels/select.ts";
import { transposeInto } from "../kernels/transpose.ts";
import { decoderBiasGradient, weightGradients } from "../kernels/weight-gradients.ts";
import type { StepKernels } from "./step-kernels.ts";
import { adamEpsilon, saeArrayNames, type TrainingSae, zeroArrays } from "./training-sae.ts";

/** One term of the loss: its codes and what their reconstruction left. */
interface Term {
  readonly codes: CodeBuffer;
  residual: Float32Array; // [n, d_out]
  slope: Float32Array; // [≥ nnz]
}

/** Step kernels with buffers for SAEs of this shape. */
export function plainStepKernels(d_in: number, d_sae: number, d_out: number = d_in): StepKernels {
  const gradients = zeroArrays({ d_in, d_out, d_sae });
  const buckets = createBuckets();
  const batchTopK = createBatchTopKScratch();
  const uploaded = new Float32Array(d_in * d_sae); // [d_in, d_sae]
  const main = emptyTerm();
  const aux = emptyTerm();
  const other = emptyTerm();
  const prefixes: Term[] = [];
  let hasAux = false;
  let hasOther = false;
  let nPrefixes = 0;
  let x: Float32Array = new Float32Array(0); // [n, d_in], as the encoder reads them
  let goal = x; // [n, d_out]

  /** The terms that the decoder's bias is part of, like the main one. */
  const besideMain = (): Term[] => [...prefixes.slice(0, nPrefixes), ...(hasOther ? [other] : [])];

  return {
    codes: main.codes,
    async select(sae, rows, rule, wanted) {
      const n = rows.length / d_in;
      if (x.length !== rows.length) x = new Float32Array(rows.length);
      if (sae.cfg.apply_b_dec_to_input) center(rows, sae.weights.b_dec, x);
      else x.set(rows);
      const tensor = preActivations(sae, x, uploaded);
      const pre = hostView(tensor) ?? ((await tensor.data()) as Float32Array);
      let least = 0;
      if (rule.kind === "top") selectTopK(pre, n, d_sae, rule.k, main.codes);
      else if (rule.kind === "above") selectAbove(pre, n, d_sae, rule.threshold, main.codes);
      else {
        const guess = 0.7 * sae.threshold;
        least = selectBatchTopK(pre, n, d_sae, rule.total, guess, main.codes, batchTopK);
      }
      hasAux = wanted !== null;
      hasOther = false;
      if (wanted) selectTopAmong(pre, n, d_sae, wanted.dead, wanted.k, aux.codes);
      tensor.dispose();
      return least;
    },
    takeValues() {},
    residual({ weights: { W_dec } }, widths, given = x) {
      goal = given;
      nPrefixes = widths.length;
      let narrower = 0;
      for (const [i, width] of widths.entries()) {
        prefixes[i] ??= emptyTerm();
        takePrefix(main.codes, width, prefixes[i].codes);
        narrower += reconstruct(prefixes[i], W_dec, d_out, goal);
      }
      const squares = reconstruct(main, W_dec, d_out, goal);
      const left = hasAux ? reconstruct(aux, W_dec, d_out, main.residual) : 0;
      return { main: squares, prefixes: narrower, aux: left };
    },
    wholeResidual() {
      const sum = main.residual.slice();
      for (const { residual } of besideMain()) {
        for (let i = 0; i < sum.length; i++) sum[i] += residual[i];
      }
      return sum;
    },
    slopes: () => main.slope,
    takeSlopes() {},
    evaluate({ weights: { W_dec } }, values, train) {
      hasOther = train;
      takePrefix(main.codes, d_sae, other.codes);
      other.codes.value.set(values);
      const squares = reconstruct(other, W_dec, d_out, goal);
      return { squares, slopes: other.slope };
    },
    update(sae, { lr, beta1, beta2, step, scale, auxScale, freeNorms, partPenalty }) {
      const { weights, m, v, norms } = sae;
      const whole = [main, ...besideMain()];
      if (hasOther) other.slope.fill(0); // the caller added them to the main ones
      for (const [i, term] of [...whole, ...(hasAux ? [aux] : [])].entries()) {
        const { codes, slope, residual } = term;
        bucketByLatent(codes, codes.nRows, d_sae, buckets);
        const weight = term === aux ? auxScale : scale;
        weightGradients(codes, buckets, slope, residual, x, weight, i > 0, gradients);
      }
      const residuals = whole.map(({ residual }) => residual);
      const { W_enc } = weights;
      const encoder = sae.cfg.apply_b_dec_to_input ? { W_enc, b_enc: gradients.b_enc } : null;
      decoderBiasGradient(residuals, encoder, scale, gradients.b_dec);
      if (partPenalty) addPartPenalty(partPenalty, weights.W_dec, d_out, gradients.W_dec);
      if (!freeNorms) projectOutRows(gradients.W_dec, weights.W_dec, d_out);
      const numbers = { lr, beta1, beta2, eps: adamEpsilon, weightDecay: 0, step, scale: 1 };
      for (const name of saeArrayNames) {
        adamwArray(weights[name], gradients[name], m[name], v[name], weights[name], numbers);
      }
      if (!freeNorms) setRowNorms(weights.W_dec, norms);
    },
  };
}

/** The codes of latents below `width`; latents ascend within a row. */
function takePrefix(codes: CodeBuffer, width: number, out: CodeBuffer): void {
  out.reset(codes.nRows, codes.nnz);
  let kept = 0;
  for (let row = 0; row < codes.nRows; row++) {
    for (let p = codes.rowStart[row]; p < codes.rowStart[row + 1]; p++) {
      if (codes.latent[p] >= width) break;
      out.latent[kept] = codes.latent[p];
      out.value[kept] = codes.value[p];
      kept += 1;
    }
    out.closeRow(kept);
  }
}

function emptyTerm(): Term {
  return { codes: new CodeBuffer(), residual: new Float32Array(0), slope: new Float32Array(0) };
}

/** out [n, d] = rows − bias [d]. */
function center(rows: Float32Array, bias: Float32Array, out: Float32Array): void {
  const d = bias.length;
  for (let at = 0; at < rows.length; at += d) {
    for (let j = 0; j < d; j++) out[at + j] = rows[at + j] - bias[j];
  }
}

/** x W_encᵀ + b_enc on the engine: [n, d_sae]. The caller disposes it. */
function preActivations(
  { cfg: { d_in, d_sae }, weights: { W_enc, b_enc } }: TrainingSae,
  x: Float32Array,
  uploaded: Float32Array,
): tf.Tensor {
  transposeInto(W_enc, d_sae, d_in, uploaded);
  return tf.tidy(() =>
    linear(
      tf.tensor2d(x, [x.length / d_in, d_in]),
      tf.tensor2d(uploaded, [d_in, d_sae]),
      tf.tensor1d(b_enc.slice()),
    ),
  );
}

/** Fills a term's residual and slopes; returns Σ‖residual‖². */
function reconstruct(
  term: Term,
  W_dec: Float32Array,
  d_out: number,
  target: Float32Array, // [n, d_out]
): number {
  const { codes } = term;
  if (term.residual.length !== target.length) term.residual = new Float32Array(target.length);
  if (term.slope.length < codes.nnz) term.slope = new Float32Array(codes.nnz);
  const { residual, slope } = term;
  return residualAndSlopes(codes, codes.nRows, d_out, W_dec, target, residual, slope);
}
