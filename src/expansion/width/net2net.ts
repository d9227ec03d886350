/**
 * @file Net2Net's wider step (Chen, Goodfellow & Shlens 2015, arXiv 1511.05641) on every width of a transformer, the
 * stream included: entry j of the child is entry j mod n of the parent, and the copies of an input share its weight
 * equally. The paper draws the copies at random; going round keeps their numbers as even as they can be. Norms keep
 * gain, bias and epsilon, so that growth of the stream is exact only where every coordinate is copied equally often;
 * heads and neurons are exact at any number. The paper knows no tied weights: the final norm is divided by the copies.
 */
import { repeatedFanOut } from "../plan/fan-out.ts";
import { copiedStream, repeatedIndices, unevenCopies } from "./selected-stream.ts";
import type { WidthMethod } from "./width-growth.ts";

/** Net2Net: circular copies, equal shares, any size. */
export const net2net: WidthMethod = {
  wholeMultiples: false,
  norms: ["layer", "rms"],
  epsFactor: () => 1,
  whyInexact: unevenCopies,
  stream: (d, D, { tied }) => copiedStream(repeatedIndices(d, D), d, tied),
  units: (n, N) => repeatedFanOut(n, repeatedIndices(n, N)),
};
