// What a sparse autoencoder is here: its configuration, its weights on the host, and sparse codes.
// Field names and layouts are SAELens's. Latent i of a row x has the pre-activation
//   pre_i = W_enc[:, i] · (x − b_dec) + b_enc_i,
// and the reconstruction is Σ f_i W_dec[i, :] + b_dec. The two architectures differ in which pre_i
// survive: topk keeps the k largest of a row and then ReLU; batchtopk keeps, in inference, those
// above the latent's threshold (JumpReLU), which training estimates so that k survive on average.
import { UsageError } from "../src/io/index.ts";

/** How latents are selected; see Bussmann et al. 2024 (batchtopk) and Gao et al. 2024 (topk). */
export type SaeArchitecture = "topk" | "batchtopk";

/** What one needs to know to use or to train on an SAE; stored beside its weights. */
export interface SaeConfig {
  readonly architecture: SaeArchitecture;
  /** Width of the activations it reads and writes. */
  readonly d_in: number;
  /** Number of latents. */
  readonly d_sae: number;
  /** Latents per token: exactly (topk) or on average over a batch (batchtopk). */
  readonly k: number;
  /** TransformerLens name of the activations, such as blocks.1.hook_resid_post. */
  readonly hook_name: string;
  readonly model_name: string;
  /** Tokens per sequence in the text it was trained on. */
  readonly context_size: number;
  /** Leading tokens of each sequence that it was never trained on. */
  readonly first_tokens_excluded: number;
  /** Weight of the AuxK loss on dead latents. */
  readonly aux_coefficient: number;
}

/** An SAE's weights, row-major f32, in the frame of the raw activations (nothing left to fold). */
export interface Sae {
  readonly cfg: SaeConfig;
  readonly W_enc: Float32Array; // [d_in, d_sae]
  readonly b_enc: Float32Array; // [d_sae]
  readonly W_dec: Float32Array; // [d_sae, d_in]
  readonly b_dec: Float32Array; // [d_in]
  /** JumpReLU threshold of each latent for batchtopk; null for topk. */
  readonly threshold: Float32Array | null; // [d_sae]
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
export type SaeShape = Pick<SaeConfig, "architecture" | "d_in" | "d_sae" | "k" | "hook_name">;

/** Completes a configuration with the defaults. */
export function saeConfig(shape: SaeShape & Partial<SaeConfig>): SaeConfig {
  return {
    model_name: "unknown",
    context_size: 0,
    first_tokens_excluded: 1,
    aux_coefficient: 1,
    ...shape,
  };
}

/**
 * Throws a UsageError unless the configuration is possible and every array has its shape and holds
 * only finite numbers. `where` names the file or argument in the message.
 */
export function validateSae(sae: Sae, where: string): void {
  const { architecture, d_in, d_sae, k, first_tokens_excluded: skipped } = sae.cfg;
  const fail = (field: string, expected: string, got: string): never => {
    throw new UsageError({ code: "sae-invalid", where: `${where}: ${field}`, expected, got });
  };
  if (architecture !== "topk" && architecture !== "batchtopk") {
    fail("architecture", "topk or batchtopk", String(architecture));
  }
  for (const [field, value] of Object.entries({ d_in, d_sae })) {
    if (!Number.isSafeInteger(value) || value < 1) fail(field, "a positive integer", String(value));
  }
  if (!(k > 0 && k <= d_sae)) fail("k", `a number in (0, d_sae = ${d_sae}]`, String(k));
  if (architecture === "topk" && !Number.isInteger(k)) fail("k", "an integer for topk", String(k));
  if (!Number.isSafeInteger(skipped) || skipped < 0) {
    fail("first_tokens_excluded", "a whole number from 0", String(skipped));
  }
  const sizes: [keyof Sae, number][] = [
    ["W_enc", d_in * d_sae],
    ["b_enc", d_sae],
    ["W_dec", d_sae * d_in],
    ["b_dec", d_in],
  ];
  if (architecture === "batchtopk") sizes.push(["threshold", d_sae]);
  else if (sae.threshold !== null) fail("threshold", "none for topk", "a tensor");
  for (const [field, size] of sizes) {
    const data = sae[field] as Float32Array | null;
    if (data?.length !== size) fail(field, `${size} numbers`, `${data?.length ?? 0}`);
    const bad = data!.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) fail(field, "finite numbers", `${data![bad]} at index ${bad}`);
  }
}
