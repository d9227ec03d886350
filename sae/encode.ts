/**
 * @file An SAE's encoder in its inference form: one dense product on the engine, then selection in
 * plain JavaScript (wasm's TopK is slow); the native addon does both at once. TopK keeps the k largest
 * pre-activations of a row, then ReLU (Gao et al. 2024); a BatchTopK SAE is a JumpReLU with a threshold
 * per latent (Bussmann et al. 2024), so that a token's codes don't depend on the other tokens of its batch; ReLU and
 * gated SAEs are thresholds too (selection.ts).
 */
import { hostView, linear, type SaeWork, saeAddon, tf } from "../src/engine/index.ts";
import { CodeBuffer } from "./kernels/code-buffer.ts";
import { selectAbove, selectTopK } from "./kernels/select.ts";
import { rowsWithoutNorm, withoutNorm } from "./runtime-norm.ts";
import type { Sae, SparseCodes } from "./sae.ts";
import { applyLine, selectionOf } from "./selection.ts";

/**
 * The codes of activations x [nTokens, d_in], usable inside a hook. Backends that only read
 * asynchronously (webgpu) throw here: use `encodeAsync` there.
 */
export function encode(sae: Sae, x: tf.Tensor2D): SparseCodes {
  if (sae.cfg.normalize_activations !== "none") {
    const normalised = normalisedTensor(sae, hostView(x) ?? (x.dataSync() as Float32Array));
    const codes = encode(withoutNorm(sae), normalised);
    normalised.dispose();
    return codes;
  }
  const native = encodeNatively(sae, x);
  if (native) return native;
  const pre = preActivations(sae, x);
  const codes = select(sae, hostView(pre) ?? (pre.dataSync() as Float32Array), x.shape[0]);
  pre.dispose();
  return codes;
}

/** The same codes as `encode`, on any backend. */
export async function encodeAsync(sae: Sae, x: tf.Tensor2D): Promise<SparseCodes> {
  if (sae.cfg.normalize_activations !== "none") {
    const values = hostView(x) ?? ((await x.data()) as Float32Array);
    const normalised = normalisedTensor(sae, values);
    const codes = await encodeAsync(withoutNorm(sae), normalised);
    normalised.dispose();
    return codes;
  }
  const native = encodeNatively(sae, x);
  if (native) return native;
  const pre = preActivations(sae, x);
  const codes = select(sae, hostView(pre) ?? ((await pre.data()) as Float32Array), x.shape[0]);
  pre.dispose();
  return codes;
}

function normalisedTensor({ cfg }: Sae, x: Float32Array): tf.Tensor2D {
  const rows = rowsWithoutNorm(cfg.normalize_activations, x, cfg.d_in);
  return tf.tensor2d(rows, [x.length / cfg.d_in, cfg.d_in]);
}

/** (x − b_dec) W_enc + b_enc, or x W_enc + b_enc, of rows whose norm is off: [nTokens, d_sae]. The caller disposes it. */
export function preActivations(sae: Sae, x: tf.Tensor2D): tf.Tensor2D {
  const { d_in, d_sae, apply_b_dec_to_input } = sae.cfg;
  checkWidth(sae, x);
  return tf.tidy(() => {
    const read = apply_b_dec_to_input ? (tf.sub(x, tf.tensor1d(sae.b_dec)) as tf.Tensor2D) : x;
    return linear(read, tf.tensor2d(sae.W_enc, [d_in, d_sae]), tf.tensor1d(sae.b_enc));
  });
}

function checkWidth({ cfg: { d_in } }: Sae, x: tf.Tensor2D): void {
  if (x.shape[1] !== d_in) {
    throw new Error(`internal: the SAE reads activations of width ${d_in}, got ${x.shape[1]}`);
  }
}

/** One for all calls: it keeps its buffers. */
let work: SaeWork | undefined;

/** The codes by the native addon while that is the active backend, else undefined. */
function encodeNatively(sae: Sae, x: tf.Tensor2D): SparseCodes | undefined {
  const addon = saeAddon();
  const values = addon && hostView(x);
  if (!addon || !values) return undefined;
  checkWidth(sae, x);
  const { W_enc, b_enc, b_dec, cfg } = sae;
  const selection = selectionOf(sae);
  const { threshold } = selection;
  work ??= new addon.SaeWork();
  work.center(values, cfg.apply_b_dec_to_input ? b_dec : new Float32Array(cfg.d_in));
  const nnz = threshold
    ? work.selectAbove(W_enc, b_enc, false, threshold)
    : work.selectTop(W_enc, b_enc, false, cfg.k as number, 0)[0];
  const codes = {
    nTokens: x.shape[0],
    dSae: cfg.d_sae,
    rowStart: new Int32Array(x.shape[0] + 1),
    latent: new Int32Array(nnz),
    value: new Float32Array(nnz),
  };
  work.copyCodes(false, codes.rowStart, codes.latent, codes.value);
  applyLine(selection, codes.latent, codes.value, nnz);
  return codes;
}

function select(sae: Sae, pre: Float32Array, nTokens: number): SparseCodes {
  const { d_sae, k } = sae.cfg;
  const selection = selectionOf(sae);
  const out = new CodeBuffer();
  if (selection.threshold) selectAbove(pre, nTokens, d_sae, selection.threshold, out);
  else selectTopK(pre, nTokens, d_sae, k as number, out);
  const codes = out.toCodes(d_sae);
  applyLine(selection, codes.latent, codes.value, codes.value.length);
  return codes;
}
