/**
 * @file The map from a model to its grandchild: two expansions, one after the other. R of the
 * composition is the product of the two R, a left inverse of the product of the two E; for LEMON it
 * is the Moore–Penrose inverse too, because the image of E contains 1 and EᵀE = qI + c·11ᵀ keeps it.
 * Heads and neurons average over all their copies, which differs from averaging twice off the image.
 * Hooks that the second has no place for are left out.
 * Where one of the two maps was fitted the composition is fitted too, without an R²: two of them don't make one.
 */

import { upcycledNames } from "../block-layout.ts";
import { type FanOut, freshUnits } from "../plan/fan-out.ts";
import { type ExpansionMap, type HookMap, hookEntry, vectorMap } from "./expansion-map.ts";
import {
  applyE,
  applyPoints,
  applyR,
  applyRPoints,
  type DenseMap,
  grownWidth,
  isFitted,
  parentWidth,
  transposed,
  type VectorMap,
} from "./vector-map.ts";

/** `first` then `second`. Exactness is measured, not composed: null. Errors: internal where the two don't meet. */
export function composeMaps(first: ExpansionMap, second: ExpansionMap): ExpansionMap {
  const meet = ["d_model", "n_layer", "n_head", "d_head", "d_mlp"] as const;
  if (meet.some((size) => first.child[size] !== second.parent[size])) {
    throw new Error("internal: the second expansion does not start at the first one's child");
  }
  const linear = new Map<string, DenseMap>();
  for (const tensor of ["residual", "normed", "final"]) {
    const composed = composeDense(first.linear.get(tensor), second.linear.get(tensor));
    if (composed) linear.set(tensor, composed);
  }
  const middle = new Map(second.layers.flatMap((to, layer) => to.map((at) => [at, layer])));
  const units = (kind: "heads" | "neurons") =>
    second[kind].map((next, layer) => composeUnits(first[kind][middle.get(layer) ?? -1], next));
  const isUpcycled = second.child.n_expert !== undefined && second.parent.n_expert === undefined;
  const inherited = first.fresh
    .flatMap((name) =>
      second.layers[blockOf(name)].map((at) => name.replace(/\.(h|layers)\.\d+\./, `.$1.${at}.`)),
    )
    .flatMap((name) => (isUpcycled ? upcycledNames(name, second.child.n_expert as number) : name));
  const hooks = first.hooks.flatMap((entry) => composeHook(entry, first, second, linear) ?? []);
  return {
    format: "sae-carry/map",
    version: 1,
    method: `${first.method}, ${second.method}`,
    exact: first.exact && second.exact,
    parent: first.parent,
    child: second.child,
    hooks,
    linear,
    layers: first.layers.map((to) => to.flatMap((layer) => second.layers[layer])),
    heads: units("heads"),
    neurons: units("neurons"),
    experts:
      second.experts?.map((next, layer) => composeExperts(first, middle.get(layer), next)) ?? null,
    fresh: [...inherited, ...second.fresh],
    exactness: null,
  };
}

/**
 * Of equal places in the middle model, those count that the second expansion keeps exactly; if it keeps none, the
 * first. A fitted composition is put into `linear`. null where the second has no place for the hook, as for neurons of
 * an MLP that became experts.
 */
function composeHook(
  entry: HookMap,
  first: ExpansionMap,
  second: ExpansionMap,
  linear: Map<string, DenseMap>,
): HookMap | null {
  const all = entry.to.flatMap((hook) => hookEntry(second, hook) ?? []);
  if (all.length === 0) return null;
  const kept = all.filter(({ exact }) => exact);
  const next = kept.length > 0 ? kept : all.slice(0, 1);
  const ascending = next
    .flatMap(({ to }) => to)
    .sort((a, b) => (layerOf(a) ?? 0) - (layerOf(b) ?? 0));
  const to = [...ascending.slice(-1), ...ascending.slice(0, -1)];
  const common = {
    from: entry.from,
    to,
    exact: entry.exact && next[0].exact,
    published: entry.published && next[0].published,
    r2: null,
    r2_unfitted: null,
  };
  const [a, b] = [vectorMap(first, entry.tensor), vectorMap(second, next[0].tensor)];
  if (isFitted(a) || isFitted(b)) {
    const tensor = `fit:${entry.from}`;
    linear.set(tensor, composeFitted(a, b));
    return { ...common, tensor, fit: tensor };
  }
  const changed = [entry.tensor, next[0].tensor].find((tensor) => tensor !== "identity");
  const tensor = changed?.replace(/:\d+$/, `:${layerOf(to[0])}`) ?? "identity";
  return { ...common, tensor, fit: null };
}

/** One map after another where at least one was fitted: their products, and their offsets through one another. */
function composeFitted(a: VectorMap, b: VectorMap): DenseMap {
  const d = parentWidth(a) ?? parentWidth(b);
  if (d === null) throw new Error("internal: a fitted map has a width");
  const D = grownWidth(b, grownWidth(a, d));
  const E = transposed(applyE(b, applyE(a, unitRows(d))), d, D);
  const R = transposed(applyR(a, applyR(b, unitRows(D))), D, d);
  const e = applyPoints(b, applyPoints(a, new Float64Array(d)));
  const r = applyRPoints(a, applyRPoints(b, new Float64Array(D)));
  return { E, R, d, D, offset: { e, r } };
}

function unitRows(n: number): Float64Array {
  return Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
}

function composeDense(a: DenseMap | undefined, b: DenseMap | undefined): DenseMap | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  // rows of Eᵀ are columns of E: E2·E1 column by column, R1·R2 row by row through R2ᵀ
  const columns = transposed(a.E, a.D, a.d); // [d, middle]
  const E = transposed(applyE({ kind: "dense", ...b }, columns), a.d, b.D);
  const first = transposed(b.R, b.d, b.D); // [D, middle]
  const R = transposed(applyR({ kind: "dense", ...a }, first), b.D, a.d);
  return { E, R, d: a.d, D: b.D };
}

/** Without `first` the layer was inserted by the second expansion, or by the first: its units are fresh. */
function composeUnits(first: FanOut | undefined, second: FanOut): FanOut {
  const n = second.source.length;
  if (first === undefined) return freshUnits(n);
  const via = (at: number) => (at < 0 ? -1 : first.source[at]);
  return {
    source: second.source.map(via),
    alpha: second.alpha.map((share, j) =>
      via(second.source[j]) < 0 ? 0 : share * first.alpha[second.source[j]],
    ),
  };
}

/** A dense MLP counts as expert 0; the experts of a layer that the first expansion inserted are fresh. */
function composeExperts(
  first: ExpansionMap,
  layer: number | undefined,
  second: Int32Array,
): Int32Array {
  const isFresh = layer === undefined || !first.layers.some((to) => to.includes(layer));
  const before = layer === undefined ? undefined : first.experts?.[layer];
  return second.map((from) => (isFresh || from < 0 ? -1 : before ? before[from] : from));
}

function layerOf(hook: string): number | undefined {
  const match = /^blocks\.(\d+)\./.exec(hook);
  return match ? Number(match[1]) : undefined;
}

function blockOf(parameter: string): number {
  return Number(/\.(?:h|layers)\.(\d+)\./.exec(parameter)?.[1]);
}
