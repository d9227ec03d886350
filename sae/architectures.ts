/**
 * @file The SAE architectures by what inference needs to know of each: which pre-activations become codes, which
 * arrays beside the four common ones say so, and under which name SAELens stores it. Names are SAELens's.
 *   standard               f = ReLU(pre)                                   Bricken et al. 2023; norm-weighted L1
 *   gated                  f = 1[pre > 0] · ReLU(e^{r_mag} (pre − b_enc) + b_mag)   Rajamanoharan et al. 2024a
 *   topk                   the k largest of a row, then ReLU               Gao et al. 2024
 *   batchtopk              pre where it exceeds the latent's threshold     Bussmann et al. 2024
 *   matryoshka_batchtopk   likewise; prefixes of the latents reconstruct   Bussmann et al. 2025
 *   jumprelu               pre where it exceeds the latent's threshold     Rajamanoharan et al. 2024b
 */

/** How latents are selected and trained. */
export type SaeArchitecture =
  | "standard"
  | "gated"
  | "topk"
  | "batchtopk"
  | "matryoshka_batchtopk"
  | "jumprelu";

/** What inference needs to know of an architecture. */
export interface ArchitectureTraits {
  /** For people. */
  readonly title: string;
  /** The k largest of a row, what exceeds a threshold, or what a gate lets through. */
  readonly selects: "largest" | "above threshold" | "gate";
  /** Whether `k` says how many latents are to be active: exactly, on average, or not at all. */
  readonly k: "exact" | "mean" | "none";
  /** The architecture that SAELens reads it as in inference. */
  readonly stored: "standard" | "gated" | "topk" | "jumprelu";
}

/** Every architecture. */
export const architectures: Readonly<Record<SaeArchitecture, ArchitectureTraits>> = {
  standard: { title: "ReLU", selects: "above threshold", k: "none", stored: "standard" },
  gated: { title: "Gated", selects: "gate", k: "none", stored: "gated" },
  topk: { title: "TopK", selects: "largest", k: "exact", stored: "topk" },
  batchtopk: { title: "BatchTopK", selects: "above threshold", k: "mean", stored: "jumprelu" },
  matryoshka_batchtopk: {
    title: "Matryoshka BatchTopK",
    selects: "above threshold",
    k: "mean",
    stored: "jumprelu",
  },
  jumprelu: { title: "JumpReLU", selects: "above threshold", k: "none", stored: "jumprelu" },
};

/** Their names. */
export const architectureNames: readonly SaeArchitecture[] = Object.keys(
  architectures,
) as SaeArchitecture[];
