// What a sparse autoencoder is here: its configuration, its weights on the host, and sparse codes.
// Field names and layouts are SAELens's. Latent i of a row x has the pre-activation
//   pre_i = W_enc[:, i] · (x − b_dec) + b_enc_i   (x itself where apply_b_dec_to_input is false),
// and the reconstruction is Σ f_i W_dec[i, :] + b_dec. The architectures differ in which pre_i survive
// as f_i, and how (architectures.ts). A transcoder (Dunefsky et al. 2024) reads one hook and reconstructs another;
// with a skip connection (Paulo et al. 2025) W_skip x is part of the reconstruction. An SAE may also take a norm off each
// row and give it back to the reconstruction (runtime-norm.ts).
import { UsageError } from "../src/io/index.ts";
import { architectureNames, architectures, type SaeArchitecture } from "./architectures.ts";
import { type RuntimeNorm, runtimeNorms } from "./runtime-norm.ts";

/** What one needs to know to use or to train on an SAE; stored beside its weights. */
export interface SaeConfig {
  readonly architecture: SaeArchitecture;
  /** Width of the activations it reads. */
  readonly d_in: number;
  /** Width of the activations it reconstructs: d_in unless it is a transcoder. */
  readonly d_out: number;
  /** Number of latents. */
  readonly d_sae: number;
  /** Latents per token: exactly (topk) or on average over a batch (batchtopk); null where nothing asks for a number. */
  readonly k: number | null;
  /** Widths of the nested prefixes that reconstruct by themselves, ascending to d_sae; null unless matryoshka_batchtopk. */
  readonly matryoshka_widths: readonly number[] | null;
  /** Whether the encoder reads x − b_dec or x itself. */
  readonly apply_b_dec_to_input: boolean;
  /** The norm that each row loses before it is read and gets back in its reconstruction. */
  readonly normalize_activations: RuntimeNorm;
  /** TransformerLens name of the activations, such as blocks.1.hook_resid_post. */
  readonly hook_name: string;
  /** The activations that a transcoder reconstructs; null for an SAE, which reconstructs what it reads. */
  readonly hook_name_out: string | null;
  /** Whether a transcoder also has a linear map from what it reads to what it reconstructs. */
  readonly skip_connection: boolean;
  readonly model_name: string;
  /** Tokens per sequence in the text it was trained on. */
  readonly context_size: number;
  /** Leading tokens of each sequence that it was never trained on. */
  readonly first_tokens_excluded: number;
  /** Tokens above so many median norms were left out of its training; null = none. */
  readonly max_norm_ratio: number | null;
  /** Weight of the AuxK loss on dead latents. */
  readonly aux_coefficient: number;
}

/** An SAE's weights, row-major f32, in the frame of the activations that it reads: raw ones but for a norm by row (nothing left to fold). */
export interface Sae {
  readonly cfg: SaeConfig;
  readonly W_enc: Float32Array; // [d_in, d_sae]
  readonly b_enc: Float32Array; // [d_sae]
  readonly W_dec: Float32Array; // [d_sae, d_out]
  readonly b_dec: Float32Array; // [d_out]
  /** What a latent's pre-activation must exceed; zeros for standard, null for topk and gated. */
  readonly threshold: Float32Array | null; // [d_sae]
  /** What a transcoder with a skip connection adds to its reconstruction of x: W_skip x. The others have none. */
  readonly W_skip?: Float32Array; // [d_out, d_in]
  /** How a gated SAE's values come from its gates' pre-activations; the others have none. */
  readonly gate?: Gate;
}

/** The magnitude path of a gated SAE, which shares the gate's directions: f = ReLU(e^{r_mag} (pre − b_enc) + b_mag). */
export interface Gate {
  readonly r_mag: Float32Array; // [d_sae]
  readonly b_mag: Float32Array; // [d_sae]
}

/** The nonzero latents of nTokens rows in CSR form; latents ascend within a row, values are > 0. */
export interface SparseCodes {
  readonly nTokens: number;
  readonly dSae: number;
  readonly rowStart: Int32Array; // [nTokens + 1]
  readonly latent: Int32Array; // [nnz]
  readonly value: Float32Array; // [nnz]
}

/** The configuration fields without which an SAE has no shape. */
export type SaeShape = Pick<SaeConfig, "architecture" | "d_in" | "d_sae" | "hook_name">;

/** Completes a configuration with the defaults; an encoder that reads other activations than b_dec is of reads them whole. */
export function saeConfig(shape: SaeShape & Partial<SaeConfig>): SaeConfig {
  return {
    d_out: shape.d_in,
    k: null,
    matryoshka_widths: null,
    apply_b_dec_to_input: (shape.hook_name_out ?? null) === null,
    normalize_activations: "none",
    hook_name_out: null,
    skip_connection: false,
    model_name: "unknown",
    context_size: 0,
    first_tokens_excluded: 1,
    max_norm_ratio: null,
    aux_coefficient: 1,
    ...shape,
  };
}

/** The hook whose activations it reconstructs. */
export function outputHook({ hook_name, hook_name_out }: SaeConfig): string {
  return hook_name_out ?? hook_name;
}

/** Width of the activations that a transcoder reconstructs; undefined for an SAE, which reconstructs what it reads. */
export function writtenWidth({ cfg: { d_out, hook_name_out } }: Sae): number | undefined {
  return hook_name_out === null ? undefined : d_out;
}

/** "SAE", "transcoder" or "skip transcoder". */
export function saeKind({ hook_name_out, skip_connection }: SaeConfig): string {
  if (hook_name_out === null) return "SAE";
  return skip_connection ? "skip transcoder" : "transcoder";
}

/**
 * Throws a UsageError unless the configuration is possible and every array has its shape and holds
 * only finite numbers. `where` names the file or argument in the message.
 */
export function validateSae(sae: Sae, where: string): void {
  const { architecture, d_in, d_out, d_sae, k, first_tokens_excluded: skipped } = sae.cfg;
  const fail = (field: string, expected: string, got: string): never => {
    throw new UsageError({ code: "sae-invalid", where: `${where}: ${field}`, expected, got });
  };
  if (!architectureNames.includes(architecture)) {
    fail("architecture", architectureNames.join(", "), String(architecture));
  }
  const traits = architectures[architecture];
  for (const [field, value] of Object.entries({ d_in, d_out, d_sae })) {
    if (!Number.isSafeInteger(value) || value < 1) fail(field, "a positive integer", String(value));
  }
  if (k === null ? traits.k !== "none" : !(k > 0 && k <= d_sae)) {
    fail("k", `a number in (0, d_sae = ${d_sae}]`, String(k));
  }
  if (traits.k === "exact" && !Number.isInteger(k)) fail("k", "an integer for topk", String(k));
  checkWidths(sae.cfg, fail);
  const norm = sae.cfg.normalize_activations;
  if (!runtimeNorms.includes(norm)) {
    fail("normalize_activations", runtimeNorms.join(", "), String(norm));
  }
  checkOutput(sae.cfg, fail);
  if (!Number.isSafeInteger(skipped) || skipped < 0) {
    fail("first_tokens_excluded", "a whole number from 0", String(skipped));
  }
  const ratio = sae.cfg.max_norm_ratio;
  if (ratio !== null && !(Number.isFinite(ratio) && ratio >= 1)) {
    fail("max_norm_ratio", "a number from 1", String(ratio));
  }
  const sizes: [keyof Sae | keyof Gate, number][] = [
    ["W_enc", d_in * d_sae],
    ["b_enc", d_sae],
    ["W_dec", d_sae * d_out],
    ["b_dec", d_out],
  ];
  if (sae.cfg.skip_connection) sizes.push(["W_skip", d_out * d_in]);
  else if (sae.W_skip) fail("W_skip", "none without skip_connection", "a tensor");
  if (traits.selects === "above threshold") sizes.push(["threshold", d_sae]);
  else if (sae.threshold !== null) fail("threshold", `none for ${architecture}`, "a tensor");
  if (traits.selects === "gate") sizes.push(["r_mag", d_sae], ["b_mag", d_sae]);
  else if (sae.gate) fail("r_mag", `none for ${architecture}`, "a tensor");
  const arrays = { ...sae, ...sae.gate };
  for (const [field, size] of sizes) {
    const data = arrays[field as keyof typeof arrays] as Float32Array | null | undefined;
    if (data?.length !== size) fail(field, `${size} numbers`, `${data?.length ?? 0}`);
    const bad = data!.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) fail(field, "finite numbers", `${data![bad]} at index ${bad}`);
  }
}

/** What only a transcoder may have, and what it may not. */
function checkOutput(
  cfg: SaeConfig,
  fail: (field: string, expected: string, got: string) => never,
): void {
  const { d_in, d_out, hook_name, hook_name_out, apply_b_dec_to_input } = cfg;
  if (hook_name_out === null) {
    if (d_out !== d_in) fail("d_out", `d_in = ${d_in} for an SAE`, String(d_out));
    if (cfg.skip_connection) {
      fail("skip_connection", "false for an SAE, which it would make the identity", "true");
    }
    return;
  }
  if (hook_name_out === hook_name && hook_name !== "unknown") {
    fail("hook_name_out", "another hook than hook_name for a transcoder", hook_name_out);
  }
  if (cfg.normalize_activations !== "none") {
    const why = "what it reconstructs has another scale than what it reads";
    fail("normalize_activations", `none for a transcoder: ${why}`, cfg.normalize_activations);
  }
  if (apply_b_dec_to_input) {
    fail("apply_b_dec_to_input", "false for a transcoder: b_dec belongs to its output", "true");
  }
}

function checkWidths(
  { architecture, d_sae, matryoshka_widths: widths }: SaeConfig,
  fail: (field: string, expected: string, got: string) => never,
): void {
  const isNested = architecture === "matryoshka_batchtopk";
  const isRight =
    widths === null
      ? !isNested
      : isNested &&
        widths.at(-1) === d_sae &&
        widths.every((w, i) => Number.isSafeInteger(w) && w > (widths[i - 1] ?? 0));
  if (isRight) return;
  const expected = isNested ? `ascending widths that end at d_sae = ${d_sae}` : "none";
  fail("matryoshka_widths", expected, JSON.stringify(widths));
}
