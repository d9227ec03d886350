/**
 * @file HyperCloning (Samragh et al. 2024, arXiv 2409.12903): the residual stream, heads and neurons are repeated n
 * times, E = 1ₙ ⊗ I at every layer, and each copy of an input carries 1/n of its weight. Mean, variance and root mean
 * square of a whole number of repetitions are the parent's, so that norms keep gain, bias and epsilon: exact for any
 * norm, at whole multiples only. Its authors scale a tied unembedding on the fly; here the final norm's gain and bias are
 * divided by n instead, which keeps the architecture stock. One key head becomes n here, where they leave it alone.
 */
import { repeatedFanOut } from "../plan/fan-out.ts";
import { copiedStream, repeatedIndices } from "./selected-stream.ts";
import type { WidthMethod } from "./width-growth.ts";

/** HyperCloning: whole multiples, equal shares. */
export const hypercloning: WidthMethod = {
  wholeMultiples: true,
  norms: ["layer", "rms"],
  epsFactor: () => 1,
  whyInexact: () => null,
  stream: (d, D, { tied }) => copiedStream(repeatedIndices(d, D), d, tied),
  units: (n, N) => repeatedFanOut(n, repeatedIndices(n, N)),
};
