/** Names of SAE architectures as flags and plans take them; sae/architectures.ts has what they are. Light: --help reads it. */
import type { SaeArchitecture } from "../../sae/index.ts";

/** What `--arch` and `saes[].architecture` take. */
export const saeArchitectureNames: readonly SaeArchitecture[] = [
  "batchtopk",
  "topk",
  "matryoshka_batchtopk",
  "jumprelu",
  "gated",
  "standard",
];
