/**
 * @file How far a child's weights moved in training, and how much of that lies in the subspace that it inherited. Every
 * matrix that reads the residual stream or writes into it is a set of vectors of the stream's width; with P = E E⁺ the
 * projection on the image of E, the share of a change Δ that lies inside is ‖PΔ‖² / ‖Δ‖². A change in random directions
 * would have the image's share of the dimensions, d/D, there. More means that training overwrote what was inherited,
 * less that it built beside it.
 */
import type { HostModel } from "../../models/index.ts";
import { layoutOf } from "../block-layout.ts";
import { type ExpansionMap, mapVectors, pullBack } from "../map/expansion-map.ts";
import { transposed } from "../map/vector-map.ts";

/** How the matrices of one kind moved. */
export interface Drift {
  /** ‖Δ‖ / ‖W‖, over all of them; null where there are none. */
  readonly relative: number | null;
  /** ‖PΔ‖² / ‖Δ‖²; null where the stream did not grow or its map was fitted, and where nothing moved. */
  readonly inside_share: number | null;
}

/** How a child's weights moved between the expansion and the end of its training. */
export interface WeightDrift {
  /** Matrices that read the stream: queries, keys, values, neurons' inputs, the unembedding where it is not tied. */
  readonly read: Drift;
  /** Matrices that write into it: attention's and MLPs' outputs, the embeddings. */
  readonly write: Drift;
  /** d/D, what changes in random directions would have inside; null where the stream did not grow. */
  readonly dimension_share: number | null;
  /** ‖Δ‖ / ‖W‖ of both kinds by layer of the child, and whether an expansion has just inserted it. */
  readonly layers: readonly { readonly inserted: boolean; readonly relative: number | null }[];
}

interface Sums {
  moved: number;
  inside: number;
  size: number;
}

/** Compares a child's weights `before` and `after` training; `map` is that of the expansion that made it. */
export function weightDrift(before: HostModel, after: HostModel, map: ExpansionMap): WeightDrift {
  const layout = layoutOf(before.config);
  const residual = map.linear.get("residual");
  const isKnown = residual !== undefined && residual.offset === undefined;
  const width = map.child.d_model;
  const kinds = { read: none(), write: none() };
  const layers = Array.from({ length: map.child.n_layer }, none);
  for (const [name, { data, shape }] of before.weights) {
    const now = after.weights.get(name);
    if (now === undefined) throw new Error(`internal: the trained model lacks ${name}`);
    const use = useOf(name, layout);
    if (use === null || !(data instanceof Float32Array) || !(now.data instanceof Float32Array)) {
      continue;
    }
    const [rows, columns] = shape;
    // embeddings have a row of the stream's width for each token whatever the layout
    const alongRows = use.layer === null || (use.kind === "read") === layout.outputsFirst;
    const change = now.data.map((value, i) => value - data[i]);
    const vectors = alongRows ? change : transposed(change, rows, columns);
    const part = none();
    for (let i = 0; i < data.length; i++) {
      part.moved += change[i] ** 2;
      part.size += data[i] ** 2;
    }
    if (isKnown) {
      if (vectors.length % width !== 0)
        throw new Error(`internal: ${name} has no axis of ${width}`);
      for (const value of mapVectors(map, "residual", pullBack(map, "residual", vectors))) {
        part.inside += value ** 2;
      }
    }
    add(kinds[use.kind], part);
    if (use.layer !== null) add(layers[use.layer], part);
  }
  const inserted = new Set(layers.keys());
  for (const copies of map.layers) for (const layer of copies) inserted.delete(layer);
  return {
    read: drift(kinds.read, isKnown),
    write: drift(kinds.write, isKnown),
    dimension_share: isKnown ? map.parent.d_model / width : null,
    layers: layers.map((sums, layer) => ({
      inserted: inserted.has(layer),
      relative: drift(sums, false).relative,
    })),
  };
}

/** What a parameter is to the stream; null for norms, biases, routers and positions. */
function useOf(
  name: string,
  layout: ReturnType<typeof layoutOf>,
): { readonly kind: "read" | "write"; readonly layer: number | null } | null {
  if (name === layout.embedding) return { kind: "write", layer: null };
  if (name === layout.unembedding) return { kind: "read", layer: null };
  const layer = /\.(\d+)\./.exec(name);
  const part = layout.parts.find((own) => name.endsWith(`.${own.name}.weight`));
  if (layer === null || (part?.kind !== "read" && part?.kind !== "write")) return null;
  return { kind: part.kind, layer: Number(layer[1]) };
}

function none(): Sums {
  return { moved: 0, inside: 0, size: 0 };
}

function add(total: Sums, part: Sums): void {
  total.moved += part.moved;
  total.inside += part.inside;
  total.size += part.size;
}

function drift({ moved, inside, size }: Sums, isKnown: boolean): Drift {
  return {
    relative: size > 0 ? Math.sqrt(moved / size) : null,
    inside_share: isKnown && moved > 0 ? inside / moved : null,
  };
}
