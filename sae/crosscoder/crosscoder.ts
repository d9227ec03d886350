/**
 * @file A crosscoder between a parent and its child (Lindsey et al. 2024, "Sparse crosscoders"): one set of latents that
 * reads both models' activations on the same tokens, f = σ(Σ_s W_enc^s x_s + b_enc), and writes both,
 * x̂_s = f W_dec^s + b_dec^s. That is a sparse autoencoder on joined rows x = [scale_P h_P ; scale_C h_C], so it is kept,
 * trained and encoded as one. Each side's scale gives its activations, about their mean, the mean norm √((d + D)/2):
 * neither side weighs more, and a latent that is as strong in both models has decoder parts of equal norm.
 */
import { UsageError } from "../../src/io/index.ts";
import type { SaeArchitecture } from "../architectures.ts";
import { type Sae, validateSae } from "../sae.ts";

/** How a crosscoder's latents are selected: BatchTopK, or ReLU with an L1 penalty by the sum of both parts' norms. */
export type CrosscoderArchitecture = "batchtopk" | "standard";

/** Their names. */
export const crosscoderArchitectures: readonly CrosscoderArchitecture[] = ["batchtopk", "standard"];

/** One of the models that a crosscoder reads. */
export interface CrosscoderSide {
  readonly model_name: string;
  /** TransformerLens name of the activations. */
  readonly hook_name: string;
  /** Width of the activations. */
  readonly d_in: number;
  /** What they are multiplied by before they are joined. */
  readonly scale: number;
}

/** A crosscoder: an SAE on joined rows, and what the rows are joined from. */
export interface Crosscoder {
  /** d_in is the sum of the sides'; its decoder rows are the parent's part, then the child's. */
  readonly sae: Sae;
  readonly parent: CrosscoderSide;
  readonly child: CrosscoderSide;
  /** Rows it was trained on: how far chance may have moved its decoder. */
  readonly tokens: number;
}

/** The name that joined activations have in an SAE's configuration. */
export function joinedHook(parent: string, child: string): string {
  return `${parent} & ${child}`;
}

/** The sides' widths, the parent's first. */
export function sideWidths({ parent, child }: Pick<Crosscoder, "parent" | "child">): number[] {
  return [parent.d_in, child.d_in];
}

/** Joined rows [n, d + D] of the same n tokens. Errors: `internal:` for different numbers of rows. */
export function joinRows(
  { parent, child }: Pick<Crosscoder, "parent" | "child">,
  ofParent: Float32Array, // [n, d]
  ofChild: Float32Array, // [n, D]
): Float32Array {
  const [d, D] = [parent.d_in, child.d_in];
  const n = ofParent.length / d;
  if (ofChild.length !== n * D) {
    throw new Error(`internal: ${n} rows of the parent, ${ofChild.length / D} of the child`);
  }
  const out = new Float32Array(n * (d + D));
  for (let t = 0; t < n; t++) {
    const at = t * (d + D);
    for (let j = 0; j < d; j++) out[at + j] = parent.scale * ofParent[t * d + j];
    for (let j = 0; j < D; j++) out[at + d + j] = child.scale * ofChild[t * D + j];
  }
  return out;
}

/** One side's part of each joined row [n, d + D], in a copy. */
export function sideRows(
  crosscoder: Pick<Crosscoder, "parent" | "child">,
  side: "parent" | "child",
  rows: Float32Array,
): Float32Array {
  const [d, D] = sideWidths(crosscoder);
  const [from, width] = side === "parent" ? [0, d] : [d, D];
  const out = new Float32Array((rows.length / (d + D)) * width);
  for (let at = from, to = 0; to < out.length; at += d + D, to += width) {
    out.set(rows.subarray(at, at + width), to);
  }
  return out;
}

/** Throws a UsageError unless the joined SAE is valid, of an architecture that crosscoders have, and fits its sides. */
export function validateCrosscoder(
  { sae, parent, child, tokens }: Crosscoder,
  where: string,
): void {
  validateSae(sae, where);
  const fail = (field: string, expected: string, got: unknown): never => {
    throw new UsageError({
      code: "crosscoder-invalid",
      where: `${where}: ${field}`,
      expected,
      got: String(got),
    });
  };
  const { architecture, d_in } = sae.cfg;
  if (!(crosscoderArchitectures as readonly SaeArchitecture[]).includes(architecture)) {
    fail("architecture", crosscoderArchitectures.join(" or "), architecture);
  }
  for (const [name, side] of Object.entries({ parent, child })) {
    if (!Number.isSafeInteger(side.d_in) || side.d_in < 1) {
      fail(`${name}.d_in`, "a positive integer", side.d_in);
    }
    if (!(side.scale > 0 && side.scale < Infinity)) {
      fail(`${name}.scale`, "a positive number", side.scale);
    }
  }
  if (!Number.isSafeInteger(tokens) || tokens < 0) fail("tokens", "a whole number from 0", tokens);
  if (parent.d_in + child.d_in !== d_in) {
    fail("d_in", `${parent.d_in + child.d_in}, the sides' widths together`, d_in);
  }
}
