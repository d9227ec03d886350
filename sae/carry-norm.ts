/**
 * @file Carrying an SAE that normalises its rows. The child's rows are E x, and their norm is another than x's unless
 * E lets it pass. Where it does, the child's normalised rows are g times E of the parent's, for one g:
 *   constant_norm_rescale   EᵀE = c² I                       g = √(D/d) / c
 *   layer_norm              E 1 = a 1, 1ᵀE = (a D/d) 1ᵀ and  g = √((D − 1)/(d − 1)) / c
 *                           EᵀE = c² I on vectors of mean 0
 * (up to layer_norm's ε of 1e-5 beside the deviation). Copies of all entries alike let both pass, and LEMON's copies
 * with means in the new entries let layer_norm pass, as they do the model's own LayerNorm. What else there is
 * changes the norm by token, so that no SAE of the child has the parent's latents; then the carry is refused.
 */
import {
  carriedHook,
  type ExpansionMap,
  grownWidth,
  mapVectors,
  vectorMap,
} from "../src/expansion/index.ts";
import { UsageError } from "../src/io/index.ts";
import type { RuntimeNorm } from "./runtime-norm.ts";
import type { Sae } from "./sae.ts";

/** How far E may be from the form above, relative to its entries. */
const tolerance = 1e-6;

/** What of an SAE's configuration its norm is about. */
export type NormedRows = Pick<Sae["cfg"], "normalize_activations" | "d_in" | "hook_name">;

/**
 * Holds an SAE that is not trained yet against a map whose expansion is not done yet, and returns the child's hook that
 * it will read. A map that is yet to be learned or fitted counts as one that changes the norm. Errors: UsageError where
 * the carry would be refused.
 */
export function checkPlannedNorm(cfg: NormedRows, map: ExpansionMap): string {
  const entry = carriedHook(map, cfg.hook_name);
  const toFit = !map.exact && !entry.exact && !entry.published;
  // until it is learned the map of the stream is missing, and only units have theirs
  const toLearn =
    map.method === "ligo" &&
    map.child.d_model > map.parent.d_model &&
    !/^(head|neuron)_map:/.test(entry.tensor);
  const isOpen = toFit || toLearn;
  const D = isOpen ? cfg.d_in : grownWidth(vectorMap(map, entry.tensor), cfg.d_in);
  normFactor({ cfg }, map, entry.tensor, D, isOpen);
  return entry.to[0];
}

/**
 * What the parent's normalised rows are multiplied by where the child normalises E x instead of x; 1 without a norm.
 * `tensor` is the map's linear map at the hook, from width d to D. Errors: UsageError where E changes the norm by token.
 */
export function normFactor(
  { cfg }: { readonly cfg: NormedRows },
  map: ExpansionMap,
  tensor: string,
  D: number,
  isFitted: boolean,
): number {
  const { normalize_activations: norm, d_in: d, hook_name } = cfg;
  if (norm === "none") return 1;
  const identity = new Float64Array(d * d);
  for (let i = 0; i < d; i++) identity[i * d + i] = 1;
  const c = isFitted ? null : commonScale(norm, mapVectors(map, tensor, identity), d, D);
  if (c === null) {
    throw new UsageError({
      code: "sae-norm-map",
      where: `SAE at ${hook_name}: normalize_activations ${norm}`,
      expected: "an expansion that scales all activations alike, as this norm needs",
      got: isFitted
        ? "a map that is learned or fitted on text"
        : "one that changes the norm of each token by a factor of its own",
      hint:
        norm === "layer_norm"
          ? "lemon and hypercloning let layer_norm pass in the residual stream of models with LayerNorm; an SAE trained with expected_average_only_in can be carried anywhere"
          : "only whole copies (hypercloning to a multiple of the width) let it pass; an SAE trained with expected_average_only_in can be carried anywhere",
    });
  }
  return norm === "layer_norm"
    ? Math.sqrt(Math.max(1, D - 1) / Math.max(1, d - 1)) / c
    : Math.sqrt(D / d) / c;
}

/** c of `columns`, row i of which is E e_i: [d, D]; null where E is not of the form that the norm needs. */
function commonScale(
  norm: RuntimeNorm,
  columns: Float64Array,
  d: number,
  D: number,
): number | null {
  const isCentred = norm === "layer_norm";
  if (isCentred && !keepsMeans(columns, d, D)) return null;
  const products = new Float64Array(d * d); // EᵀE
  for (let i = 0; i < d; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = 0; k < D; k++) sum += columns[i * D + k] * columns[j * D + k];
      products[i * d + j] = sum;
      products[j * d + i] = sum;
    }
  }
  if (isCentred) centre(products, d);
  // the projection off the ones has 1 − 1/d on its diagonal and −1/d elsewhere
  const off = isCentred ? 1 / d : 0;
  let trace = 0;
  for (let i = 0; i < d; i++) trace += products[i * d + i];
  const squared = trace / (isCentred ? Math.max(1, d - 1) : d);
  const isScaled = products.every((value, at) => {
    const wanted = squared * ((at % (d + 1) === 0 ? 1 : 0) - off);
    return Math.abs(value - wanted) <= tolerance * squared;
  });
  return isScaled && squared > 0 ? Math.sqrt(squared) : null;
}

/** Whether E 1 = a 1 and 1ᵀE = (a D/d) 1ᵀ. */
function keepsMeans(columns: Float64Array, d: number, D: number): boolean {
  const ofChild = new Float64Array(D); // E 1
  const ofParent = new Float64Array(d); // 1ᵀE
  for (let i = 0; i < d; i++) {
    for (let k = 0; k < D; k++) {
      ofChild[k] += columns[i * D + k];
      ofParent[i] += columns[i * D + k];
    }
  }
  const a = ofChild[0];
  const near = (value: number, wanted: number): boolean =>
    Math.abs(value - wanted) <= tolerance * Math.abs(wanted);
  return a !== 0 && ofChild.every((v) => near(v, a)) && ofParent.every((v) => near(v, (a * D) / d));
}

/** P A P in place, P taking the mean off: rows and columns of the symmetric A [d, d] lose theirs. */
function centre(A: Float64Array, d: number): void {
  const means = new Float64Array(d);
  let all = 0;
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < d; j++) means[i] += A[i * d + j] / d;
    all += means[i] / d;
  }
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < d; j++) A[i * d + j] += all - means[i] - means[j];
  }
}
