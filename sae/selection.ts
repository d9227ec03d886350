/**
 * @file An SAE's selection in inference, as one rule for all architectures: the k largest pre-activations of a row, or
 * all above a threshold per latent; the values are the pre-activations themselves or, in a gated SAE, an increasing
 * line in them. A gated latent fires where its gate is open and its magnitude positive,
 * pre > max(0, b_enc − b_mag e^{−r_mag}), so that a gate too is a threshold.
 */
import type { Sae } from "./sae.ts";

/** How codes come from pre-activations. */
export interface Selection {
  /** What pre-activations must exceed [d_sae]; null for the k largest of a row. */
  readonly threshold: Float32Array | null;
  /** value = slope · pre + shift, by latent; null for pre itself. */
  readonly line: { readonly slope: Float32Array; readonly shift: Float32Array } | null;
}

const selections = new WeakMap<Sae, Selection>();

/** The rule of an SAE; worked out once for each. */
export function selectionOf(sae: Sae): Selection {
  let selection = selections.get(sae);
  if (!selection) {
    selection = sae.gate
      ? gateSelection(sae.b_enc, sae.gate.r_mag, sae.gate.b_mag)
      : { threshold: sae.threshold, line: null };
    selections.set(sae, selection);
  }
  return selection;
}

/** Pre-activations of selected codes become the codes' values, in place. */
export function applyLine(
  { line }: Selection,
  latent: Int32Array,
  value: Float32Array,
  nnz: number,
): void {
  if (line === null) return;
  for (let p = 0; p < nnz; p++) {
    const i = latent[p];
    // rounding may leave a value just above its threshold at or below zero
    value[p] = Math.max(line.slope[i] * value[p] + line.shift[i], Number.MIN_VALUE);
  }
}

function gateSelection(b_enc: Float32Array, r_mag: Float32Array, b_mag: Float32Array): Selection {
  const slope = r_mag.map((r) => Math.exp(r));
  const shift = b_mag.map((b, i) => b - slope[i] * b_enc[i]);
  const threshold = shift.map((s, i) => Math.max(0, -s / slope[i]));
  return { threshold, line: { slope, shift } };
}
