/**
 * Carries a circuit through an expansion: a head goes to all its copies, an MLP to the layers that do
 * what its layer did, a latent to the same index of the carried SAE (growing appends, so indices
 * stay), the error node to the carried SAE's hook. Right after an exact expansion the mapped circuit
 * computes what the parent's does, so its faithfulness is the same.
 */
import { type ExpansionMap, headCopies, hookEntry } from "../src/expansion/index.ts";
import { type HeadScoreKind, type HeadScores, headScoreKinds } from "./head-scores.ts";
import type { CircuitNode, NodeRef } from "./nodes.ts";

/** The child hook on which an SAE of the parent's `hook` goes on: the later boundary of the two, where a block was inserted. Null where the map has none. */
export function mappedHook(map: ExpansionMap, hook: string): string | null {
  return hookEntry(map, hook)?.to[0] ?? null;
}

/** Where a node of the parent lies in the child; empty where the map has no place for it. `dictionaryLayer` is the carried SAE's. */
export function mapNode(
  node: NodeRef,
  map: ExpansionMap,
  dictionaryLayer: number | null,
): NodeRef[] {
  const { type, layer, index } = node;
  if (type === "head") {
    return headCopies(map, layer, index).map((copy) => ({
      type,
      layer: copy.layer,
      index: copy.index,
    }));
  }
  if (type === "mlp") return (map.layers[layer] ?? []).map((to) => ({ type, layer: to, index: 0 }));
  return dictionaryLayer === null ? [] : [{ type, layer: dictionaryLayer, index }];
}

/** The child's circuit that a parent's becomes, every node naming where it comes from; scores are the parent's. */
export function mapNodes(
  nodes: readonly CircuitNode[],
  map: ExpansionMap,
  dictionaryLayer: number | null,
): { nodes: CircuitNode[]; unmapped: number } {
  let unmapped = 0;
  const mapped = nodes.flatMap((node) => {
    const places = mapNode(node, map, dictionaryLayer);
    if (places.length === 0) unmapped += 1;
    const parent = { layer: node.layer, index: node.index };
    return places.map((place): CircuitNode => ({ ...place, score: node.score, parent }));
  });
  return { nodes: mapped, unmapped };
}

/** The parent's best head of one kind, and the best of its copies in the child. */
export interface CarriedHead {
  readonly kind: HeadScoreKind;
  readonly parent: {
    readonly layer: number;
    readonly index: number;
    readonly score: number;
    readonly null: number;
  };
  readonly child: CarriedHead["parent"] | null;
}

/** For each kind of head score: the parent's best head above its null, and what became of it. */
export function carriedHeads(
  parent: HeadScores,
  child: HeadScores,
  map: ExpansionMap,
): CarriedHead[] {
  return headScoreKinds.map((kind) => {
    const all = parent[kind].flatMap((heads, layer) => heads.map((_, index) => ({ layer, index })));
    const best = bestHead(parent, kind, all);
    if (best === null) throw new Error("internal: head scores without heads");
    return {
      kind,
      parent: best,
      child: bestHead(child, kind, headCopies(map, best.layer, best.index)),
    };
  });
}

function bestHead(
  scores: HeadScores,
  kind: HeadScoreKind,
  places: readonly { layer: number; index: number }[],
): CarriedHead["parent"] | null {
  let best: CarriedHead["parent"] | null = null;
  for (const { layer, index } of places) {
    const score = scores[kind][layer][index];
    const chance = scores.null[kind][layer][index];
    if (best === null || score - chance > best.score - best.null) {
      best = { layer, index, score, null: chance };
    }
  }
  return best;
}
