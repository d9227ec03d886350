/**
 * @file bert2BERT (Chen et al., ACL 2022, arXiv 2110.07143). FPI, function-preserving initialisation: the first
 * n entries are the parent's, the rest are sampled from them; the copies of an input share its weight equally; one
 * map serves the stream at every layer; heads are copied whole. Every round of n copies is drawn without replacement,
 * so that at a whole multiple each is copied equally often (the paper reports 384 → 768 as exact). Norms keep gain,
 * bias and epsilon: exact at whole multiples, nearly so elsewhere. The final norm takes tied copies back.
 * AKI, advanced knowledge initialisation: the same, but what is added to the outputs of a layer's matrices (new heads
 * and neurons, new coordinates of what writes into the stream) comes from the same matrices of the next layer, expanded
 * by this layer's own map. The last layer has no next and takes FPI; so do embeddings and norms. Never exact.
 */
import type { Rng } from "../../engine/index.ts";
import { repeatedFanOut } from "../plan/fan-out.ts";
import { copiedStream, unevenCopies } from "./selected-stream.ts";
import type { WidthMethod } from "./width-growth.ts";

/** The indices 0 to n − 1, then rounds of random permutations of them, up to N entries. */
export function sampledIndices(n: number, N: number, rng: Rng): Int32Array {
  const out = new Int32Array(N);
  const round = Int32Array.from({ length: n }, (_, i) => i);
  for (let i = 0; i < N; i++) {
    const at = i % n;
    if (i >= n && at === 0) shuffle(round, rng);
    out[i] = round[at];
  }
  return out;
}

function shuffle(values: Int32Array, rng: Rng): void {
  for (let i = values.length - 1; i > 0; i--) {
    const j = rng.int(i + 1);
    [values[i], values[j]] = [values[j], values[i]];
  }
}

/** bert2BERT's FPI: sampled copies, equal shares, any size. */
export const bert2bertFpi: WidthMethod = {
  wholeMultiples: false,
  norms: ["layer", "rms"],
  epsFactor: () => 1,
  whyInexact: unevenCopies,
  stream: (d, D, { tied }, rng) => copiedStream(sampledIndices(d, D, rng), d, tied),
  units: (n, N, rng) => repeatedFanOut(n, sampledIndices(n, N, rng)),
};

/** bert2BERT's AKI: FPI whose additions come from the next layer. */
export const bert2bertAki: WidthMethod = {
  ...bert2bertFpi,
  fromNextLayer: true,
  whyInexact: () => "what is added to a layer comes from the next one",
};
