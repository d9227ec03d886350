/**
 * @file The expansion map: where every hook, layer, head and neuron of a parent model lies in its
 * child. All that is said about a growth method after the weights are written is said here.
 */
import { UsageError } from "../../io/index.ts";
import type { FanOut } from "../plan/fan-out.ts";
import {
  applyE,
  applyPoints,
  applyReadout,
  applyRPoints,
  type DenseMap,
  type Rows,
  type VectorMap,
} from "./vector-map.ts";

/** Sizes of a model. */
export interface SizeInfo {
  readonly d_model: number;
  readonly n_layer: number;
  readonly n_head: number;
  /** Heads of keys and values where they are fewer. */
  readonly n_kv_head?: number;
  /** Width of a head where it isn't d_model / n_head. */
  readonly d_head?: number;
  /** Neurons in an MLP, or in each expert. */
  readonly d_mlp: number;
  /** Tokens; absent in maps of versions that could not add any. */
  readonly vocab_size?: number;
  /** Experts in a layer and how many a token uses, where there are any. */
  readonly n_expert?: number;
  readonly n_expert_per_token?: number;
  readonly params: number;
}

/** One hook of the parent and its places in the child. */
export interface HookMap {
  readonly from: string;
  /**
   * The first is the primary. Where identity blocks follow, that is the latest equal boundary; the
   * second is the earliest (the hook's ".pre"), any others lie between.
   */
  readonly to: readonly string[];
  /**
   * Key of the map that all that follows uses: the method's own where it has one, else the fitted one, and until one is
   * fitted the copied coordinates; "identity" where nothing changes.
   */
  readonly tensor: string;
  /** Whether the map holds exactly right after the expansion. */
  readonly exact: boolean;
  /** Whether the growth method itself has a map here, exact or not. */
  readonly published: boolean;
  /** Key of the map fitted on text, where the method's is not exact; null = none was fitted. */
  readonly fit: string | null;
  /** Share of the variance at the child's hook that the fitted map predicts on held-out tokens. */
  readonly r2: number | null;
  /** The same of the method's own map, or of the copied coordinates where it has none. */
  readonly r2_unfitted: number | null;
}

/** What kind of map a hook has: exact, the method's own though not exact, fitted on text, or no map but the coordinates as they are. */
export type MapKind = "exact" | "published" | "fitted" | "copied";

/** The kind of the map that `entry.tensor` names, and its R² on held-out tokens where it was measured. */
export function mapKind(entry: HookMap): { readonly kind: MapKind; readonly r2: number | null } {
  const { exact, published, tensor, fit, r2, r2_unfitted } = entry;
  if (exact) return { kind: "exact", r2: null };
  if (tensor === fit) return { kind: "fitted", r2 };
  return { kind: published ? "published" : "copied", r2: r2_unfitted };
}

/** Relative error of h_big = E h_small at one boundary, on its worst token. */
export interface BoundaryError {
  readonly hook_from: string;
  readonly hook_to: string;
  readonly rel_err: number;
}

/** How far the child's function is from its parent's, measured right after the expansion. */
export interface Exactness {
  readonly max_abs_dlogit: number;
  /** Mean KL(parent ‖ child) per token, in nats. */
  readonly kl: number;
  /** Mean cross-entropy of the next token in nats, on the same tokens; null where sequences have one token. */
  readonly loss_parent: number | null;
  readonly loss_child: number | null;
  readonly boundaries: readonly BoundaryError[];
  readonly tokens: number;
}

/** What a growth that learns did to the loss, in nats a token on held-out text. */
export interface LearnedGrowth {
  /** Optimizer steps, and the peak learning rate. */
  readonly steps: number;
  readonly lr: number;
  /** Tokens of all steps. */
  readonly tokens: number;
  readonly loss: {
    readonly parent: number;
    /** The grown model before anything is learned. */
    readonly start: number;
    /** The grown model. */
    readonly learned: number;
    /** A model of the child's size with fresh weights. */
    readonly scratch: number;
  };
  /** Tokens that the losses are means over. */
  readonly held_out_tokens: number;
}

/** From a parent to its child: hooks with their linear maps, layers, heads, neurons, what is fresh, how exact. */
export interface ExpansionMap {
  readonly format: "sae-carry/map";
  readonly version: 1;
  /** The width method, and the depth method after a "+" where layers were added. */
  readonly method: string;
  readonly exact: boolean;
  readonly parent: SizeInfo;
  readonly child: SizeInfo;
  readonly hooks: readonly HookMap[];
  /** Dense maps by key, fitted ones as `fit:<hook>`; selections of heads and neurons are in `heads` and `neurons`. */
  readonly linear: ReadonlyMap<string, DenseMap>;
  /** Layers of the child that do what the parent's layer did, by the parent's layer. */
  readonly layers: readonly (readonly number[])[];
  /** Heads by layer of the child. */
  readonly heads: readonly FanOut[];
  /** MLP neurons by layer of the child; with experts, those of each of them. */
  readonly neurons: readonly FanOut[];
  /**
   * The parent's expert behind each of the child's (a dense MLP counts as expert 0, −1 = fresh), by layer of the child;
   * null for dense models. An expert's share of the output is its gate, another for each token.
   */
  readonly experts: readonly Int32Array[] | null;
  /** The child's parameters that the parent has no part in: all those of inserted blocks, and new routers. */
  readonly fresh: readonly string[];
  readonly exactness: Exactness | null;
  /** Left out by methods that learn nothing. */
  readonly learned?: LearnedGrowth;
}

/** A head or neuron of the child that copies one of the parent's, with its share of the output. */
export interface UnitCopy {
  readonly layer: number;
  /** Of a neuron, the expert that it belongs to, where there are any; its output is weighed by that expert's gate too. */
  readonly expert?: number;
  readonly index: number;
  readonly alpha: number;
}

/** The entry of a hook, or undefined where the map has none. */
export function hookEntry(map: ExpansionMap, hook: string): HookMap | undefined {
  return map.hooks.find((entry) => entry.from === hook);
}

/** The entry of a hook that somebody names. Errors: UsageError where the map doesn't carry it. */
export function carriedHook(map: ExpansionMap, hook: string): HookMap {
  const entry = hookEntry(map, hook);
  if (entry !== undefined) return entry;
  throw new UsageError({
    code: "hook-not-in-map",
    where: `hook ${hook}`,
    expected: "a hook that the expansion map carries",
    got: hook,
    hint: `The parent has ${map.parent.n_layer} layers; the map has ${map.hooks
      .map(({ from }) => from)
      .filter((from) => from.endsWith(hook.split(".").pop() ?? ""))
      .join(", ")}`,
  });
}

/** The linear map behind a hook entry's `tensor`. Errors: an unknown key is internal. */
export function vectorMap(map: ExpansionMap, tensor: string): VectorMap {
  if (tensor === "identity") return { kind: "identity" };
  const dense = map.linear.get(tensor);
  if (dense) return { kind: "dense", ...dense };
  const [kind, layer] = tensor.split(":");
  const units = (kind === "head_map" ? map.heads : map.neurons)[Number(layer)];
  if ((kind !== "head_map" && kind !== "neuron_map") || units === undefined) {
    throw new Error(`internal: the expansion map has no tensor ${tensor}`);
  }
  const { source } = units;
  if (kind === "neuron_map") {
    return { kind: "selection", source, size: 1, nParent: map.parent.d_mlp };
  }
  const [size, childSize] = [headSize(map.parent), headSize(map.child)];
  return { kind: "selection", source, size, childSize, nParent: map.parent.n_head };
}

function headSize({ d_model, n_head, d_head = d_model / n_head }: SizeInfo): number {
  return d_head;
}

/** Directions through E, one a row (a decoder's, a difference of activations): [n, d] → [n, D]. */
export function mapVectors<T extends Rows>(map: ExpansionMap, tensor: string, rows: T): T {
  return applyE(vectorMap(map, tensor), rows);
}

/** Activations as the child has them, one a row: E h, and e besides where the map was fitted. [n, d] → [n, D]. */
export function mapPoints<T extends Rows>(map: ExpansionMap, tensor: string, rows: T): T {
  return applyPoints(vectorMap(map, tensor), rows);
}

/** Activations of the child as the parent has them, one a row: R h, and r besides where the map was fitted. [n, D] → [n, d]. */
export function pullBack<T extends Rows>(map: ExpansionMap, tensor: string, rows: T): T {
  return applyRPoints(vectorMap(map, tensor), rows);
}

/** Rᵀ w for each row: what a reading direction (encoder, probe) becomes. [n, d] → [n, D]. */
export function mapReadouts<T extends Rows>(map: ExpansionMap, tensor: string, rows: T): T {
  return applyReadout(vectorMap(map, tensor), rows);
}

/** Where a head of the parent went. */
export function headCopies(map: ExpansionMap, layer: number, head: number): UnitCopy[] {
  return copies(map, map.heads, layer, head);
}

/** Where an MLP neuron of the parent (of its expert `expert`) went. */
export function neuronCopies(
  map: ExpansionMap,
  layer: number,
  neuron: number,
  expert = 0,
): UnitCopy[] {
  const inMlp = copies(map, map.neurons, layer, neuron);
  const { experts } = map;
  if (experts === null) return inMlp;
  return inMlp.flatMap((copy) =>
    [...experts[copy.layer].entries()]
      .filter(([, from]) => from === expert)
      .map(([e]) => ({ ...copy, expert: e })),
  );
}

function copies(
  map: ExpansionMap,
  units: readonly FanOut[],
  parentLayer: number,
  unit: number,
): UnitCopy[] {
  const found: UnitCopy[] = [];
  for (const layer of map.layers[parentLayer] ?? []) {
    const { source, alpha } = units[layer];
    source.forEach((from, index) => {
      if (from === unit) found.push({ layer, index, alpha: alpha[index] });
    });
  }
  return found;
}
