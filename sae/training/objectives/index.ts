/** Every architecture's objective. */
import type { SaeArchitecture } from "../../architectures.ts";
import { gated } from "./gated.ts";
import { jumprelu } from "./jumprelu.ts";
import { batchtopk, matryoshka, topk } from "./largest.ts";
import type { Objective } from "./objective.ts";
import { relu } from "./relu.ts";

/** How an SAE of each architecture is trained. */
export const objectives: Readonly<Record<SaeArchitecture, Objective>> = {
  standard: relu,
  gated,
  topk,
  batchtopk,
  matryoshka_batchtopk: matryoshka,
  jumprelu,
};
