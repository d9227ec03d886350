/** @file What LiGO allows and claims: all sizes under both norms, none exactly; the norms keep their epsilon. */
import type { WidthClaims } from "../width/width-growth.ts";

/** LiGO (Wang et al., ICLR 2023, arXiv 2303.00980). It widens and deepens at once, and learns how on text. */
export const ligo: WidthClaims = {
  wholeMultiples: false,
  norms: ["layer", "rms"],
  epsFactor: () => 1,
  whyInexact: () =>
    "its units combine the parent's, as it learns on text, and the norms see other statistics",
};
