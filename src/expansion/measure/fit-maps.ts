/**
 * @file Fits a map wherever a growth method's own is not exact: both models run on the same text, sums over tokens go
 * through the closed form of `fit-map.ts`, and R² is measured on other text. Memory is bounded: hooks are taken in
 * groups whose sums fit, each group goes through the text once, and of a large model only every so many hooks are fitted.
 */
import { tf } from "../../engine/index.ts";
import { forwardHidden, hookWidth, type Model } from "../../models/index.ts";
import { type ExpansionMap, type HookMap, mapPoints } from "../map/expansion-map.ts";
import { PairSums } from "../map/fit-map.ts";
import type { DenseMap } from "../map/vector-map.ts";
import { keepHooks } from "./keep-hooks.ts";

/** Sequences of equal length laid end to end. */
export interface FitSequences {
  readonly ids: Int32Array; // [nSeq · context]
  readonly nSeq: number;
  readonly context: number;
}

/** How maps are fitted. */
export interface FitOptions {
  /** Hooks of the parent to fit at in any case. */
  readonly hooks?: readonly string[];
  /** Bytes that the fitted maps may take in memory, hooks asked for besides; half of that on disk. Default 1 GB. */
  readonly mapBytes?: number;
  /** Bytes that the sums of hooks that are fitted together may take; one hook is always taken. Default 512 MB. */
  readonly sumBytes?: number;
  /** Sequences per forward pass. Default: as many as have 1,024 tokens. */
  readonly batchSequences?: number;
}

/** Off the residual stream, hooks are fitted up to this width of the child: a map takes the square of it. */
const widestUnits = 256;

/** A pass keeps every layer's values till it ends: 4,096 tokens of a model of 70M parameters took 3 GB. */
const tokensPerPass = 1024;

/** The first token of a sequence is left out: where language models park attention it is unlike all others. */
const skip = 1;

/**
 * `map` with a fitted map at each hook where it is not exact, from the activations on `fit`; R² from those on
 * `heldOut`. The fitted map becomes the hook's `tensor` where the method has none of its own.
 */
export async function fitMaps(
  parent: Model,
  child: Model,
  map: ExpansionMap,
  { fit, heldOut }: { readonly fit: FitSequences; readonly heldOut: FitSequences },
  {
    hooks = [],
    mapBytes = 2 ** 30,
    sumBytes = 2 ** 29,
    batchSequences = Math.max(1, Math.floor(tokensPerPass / fit.context)),
  }: FitOptions = {},
): Promise<ExpansionMap> {
  const fitted = new Map<string, DenseMap>();
  const scores = new Map<string, { readonly r2: number; readonly r2_unfitted: number }>();
  const widths = ({ from, to }: HookMap): [number, number] => [
    hookWidth(parent.config, from),
    hookWidth(child.config, to[0]),
  ];
  const shared = sharedFits(map.hooks.filter(({ exact }) => !exact));
  const sources = [...new Set(shared.values())];
  const wanted = hooks.map((hook) => map.hooks.find(({ from }) => from === hook));
  const chosen = chooseHooks(sources, new Set(wanted.map((entry) => entry && shared.get(entry))), {
    widths,
    mapBytes,
  });
  for (const group of inGroups(chosen, (entry) => PairSums.bytes(...widths(entry)), sumBytes)) {
    const sums = group.map((entry) => new PairSums(...widths(entry)));
    await eachPair(parent, child, group, fit, batchSequences, (i, x, y) => sums[i].add(x, y));
    const maps = sums.map((sum) => sum.fit());
    const errors = group.map(() => new Errors());
    await eachPair(parent, child, group, heldOut, batchSequences, (i, x, y) =>
      errors[i].add(map, group[i].tensor, maps[i], x, y),
    );
    for (const [i, { from }] of group.entries()) {
      fitted.set(`fit:${from}`, maps[i]);
      scores.set(`fit:${from}`, errors[i].r2());
    }
  }
  const entries = map.hooks.map((entry): HookMap => {
    const fit = `fit:${shared.get(entry)?.from}`;
    if (!fitted.has(fit)) return entry;
    return { ...entry, ...scores.get(fit), fit, tensor: entry.published ? entry.tensor : fit };
  });
  return { ...map, hooks: entries, linear: new Map([...map.linear, ...fitted]) };
}

/**
 * Those asked for, then boundaries of the stream and the final norm's output, then narrow hooks within the blocks. Where
 * a kind takes more than is left, every so many of it, evenly spread, the last one always.
 */
function chooseHooks(
  entries: readonly HookMap[],
  asked: ReadonlySet<HookMap | undefined>,
  { widths, mapBytes }: { widths: (entry: HookMap) => [number, number]; mapBytes: number },
): HookMap[] {
  const onStream = ({ from }: HookMap) =>
    /hook_resid_(pre|mid|post)$|^ln_final\.|^hook_embed$/.test(from);
  const rest = entries.filter((entry) => !asked.has(entry));
  const kinds = [
    rest.filter(onStream),
    rest.filter((entry) => !onStream(entry) && widths(entry)[1] <= widestUnits),
  ];
  const chosen = new Set(entries.filter((entry) => asked.has(entry)));
  let room = mapBytes;
  for (const kind of kinds) {
    const bytes = kind.map((entry) => widths(entry).reduce((a, b) => a * b, 16));
    const all = bytes.reduce((sum, size) => sum + size, 0);
    const every = all <= room ? 1 : Math.ceil(all / Math.max(room, 1));
    kind.forEach((entry, i) => {
      if ((kind.length - 1 - i) % every !== 0 || bytes[i] > room) return;
      chosen.add(entry);
      room -= bytes[i];
    });
  }
  return entries.filter((entry) => chosen.has(entry));
}

/** For each entry the one whose fit it has: below a layer the stream is what it was above the layer before. */
function sharedFits(entries: readonly HookMap[]): Map<HookMap, HookMap> {
  const first = new Map<string, HookMap>();
  const boundary = (hook: string): string => {
    const match = /^blocks\.(\d+)\.hook_resid_(pre|post)$/.exec(hook);
    return match ? `boundary ${Number(match[1]) + (match[2] === "post" ? 1 : 0)}` : hook;
  };
  return new Map(
    entries.map((entry) => {
      const key = `${boundary(entry.from)} ${boundary(entry.to[0])}`;
      const source = first.get(key) ?? entry;
      first.set(key, source);
      return [entry, source];
    }),
  );
}

/** Items in groups whose sizes sum to at most `limit`. */
function inGroups<T>(items: readonly T[], sizeOf: (item: T) => number, limit: number): T[][] {
  const groups: T[][] = [];
  let room = 0;
  for (const item of items) {
    const size = sizeOf(item);
    if (size > room) {
      groups.push([]);
      room = limit;
    }
    groups[groups.length - 1].push(item);
    room -= size;
  }
  return groups;
}

/** Calls `use` with the activations of both models at each entry's hooks, [rows, width] each, which are disposed after. */
async function eachPair(
  parent: Model,
  child: Model,
  entries: readonly HookMap[],
  { ids, nSeq, context }: FitSequences,
  batchSequences: number,
  use: (entry: number, small: tf.Tensor2D, big: tf.Tensor2D) => Promise<void>,
): Promise<void> {
  for (let start = 0; start < nSeq; start += batchSequences) {
    const count = Math.min(batchSequences, nSeq - start);
    const part = ids.subarray(start * context, (start + count) * context);
    const small = activations(
      parent,
      part,
      count,
      entries.map(({ from }) => from),
    );
    const big = activations(
      child,
      part,
      count,
      entries.map(({ to }) => to[0]),
    );
    for (const [i, { from, to }] of entries.entries()) {
      await use(i, small.get(from) as tf.Tensor2D, big.get(to[0]) as tf.Tensor2D);
    }
    tf.dispose([...small.values(), ...big.values()]);
  }
}

function activations(
  model: Model,
  ids: Int32Array,
  batch: number,
  names: readonly string[],
): Map<string, tf.Tensor2D> {
  const { hooks, seen } = keepHooks(names);
  tf.tidy(() => forwardHidden(model, ids, batch, { hooks }));
  const context = ids.length / batch;
  const kept = new Map<string, tf.Tensor2D>();
  for (const [name, value] of seen) {
    const rows = tf.tidy(() => {
      const byToken = tf.reshape(value, [batch, context, value.shape[1]]);
      const later = tf.slice(byToken, [0, skip, 0], [batch, context - skip, value.shape[1]]);
      return tf.reshape(later, [batch * (context - skip), value.shape[1]]) as tf.Tensor2D;
    });
    value.dispose();
    kept.set(name, rows);
  }
  return kept;
}

/** Squared errors of two maps to one hook, and the variance there, in f64. */
class Errors {
  private n = 0;
  private sum: Float64Array | null = null;
  private squares = 0;
  private fitted = 0;
  private unfitted = 0;

  async add(
    map: ExpansionMap,
    tensor: string,
    fit: DenseMap,
    small: tf.Tensor2D,
    big: tf.Tensor2D,
  ): Promise<void> {
    const x = (await small.data()) as Float32Array;
    const y = (await big.data()) as Float32Array;
    const predicted = tf.tidy(() => {
      const E = tf.tensor2d(Float32Array.from(fit.E), [fit.D, fit.d]);
      const e = tf.tensor1d(Float32Array.from(fit.offset?.e ?? new Float64Array(fit.D)));
      return tf.add(tf.matMul(small, E, false, true), e);
    });
    this.fitted += squaredDistance((await predicted.data()) as Float32Array, y);
    predicted.dispose();
    this.unfitted += squaredDistance(mapPoints(map, tensor, x), y);
    const D = big.shape[1];
    this.sum ??= new Float64Array(D);
    for (let i = 0; i < y.length; i++) {
      this.sum[i % D] += y[i];
      this.squares += y[i] ** 2;
    }
    this.n += big.shape[0];
  }

  /** 1 − error / variance of both. */
  r2(): { readonly r2: number; readonly r2_unfitted: number } {
    let variance = this.squares;
    for (const sum of this.sum ?? []) variance -= sum ** 2 / this.n;
    return { r2: 1 - this.fitted / variance, r2_unfitted: 1 - this.unfitted / variance };
  }
}

function squaredDistance(a: Float32Array, b: Float32Array): number {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += (a[i] - b[i]) ** 2;
  return total;
}
