/**
 * Nodes of a circuit: attention heads, MLPs, latents of one SAE, and the error node of that SAE,
 * each taken over all positions. The input embedding is in every circuit. Circuits are sets of nodes;
 * edges are left to a later version.
 */

export type NodeType = "head" | "mlp" | "latent" | "error";

/** A node's place: its layer, and the head or latent in it (0 for mlp and error). */
export interface NodeRef {
  readonly type: NodeType;
  readonly layer: number;
  readonly index: number;
}

/** A node with its attribution: about m(M) − m(this node corrupted), in logits. */
export interface CircuitNode extends NodeRef {
  readonly score: number;
  /** In a mapped circuit: the parent model's node that it comes from. */
  readonly parent?: { readonly layer: number; readonly index: number };
}

const typeOrder: Record<NodeType, number> = { head: 0, mlp: 1, latent: 2, error: 3 };

/** A node's name, equal for equal places: "head:0:2". */
export function nodeKey({ type, layer, index }: NodeRef): string {
  return `${type}:${layer}:${index}`;
}

/** The nodes with a score other than zero, the largest |score| first; ties by type, layer, index. */
export function rankNodes(nodes: readonly CircuitNode[]): CircuitNode[] {
  return nodes
    .filter((node) => node.score !== 0)
    .sort(
      (a, b) =>
        Math.abs(b.score) - Math.abs(a.score) ||
        typeOrder[a.type] - typeOrder[b.type] ||
        a.layer - b.layer ||
        a.index - b.index,
    );
}

/** |A ∩ B| / |A ∪ B| of two node sets; null when both are empty. */
export function nodeJaccard(a: readonly NodeRef[], b: readonly NodeRef[]): number | null {
  const left = new Set(a.map(nodeKey));
  const right = new Set(b.map(nodeKey));
  const union = new Set([...left, ...right]).size;
  let both = 0;
  for (const key of left) if (right.has(key)) both += 1;
  return union === 0 ? null : both / union;
}

/** The error node's share of all |attribution| at the SAE's hook; null where the hook has none. */
export function errorShare(nodes: readonly CircuitNode[]): number | null {
  let error = 0;
  let all = 0;
  for (const { type, score } of nodes) {
    if (type !== "latent" && type !== "error") continue;
    all += Math.abs(score);
    if (type === "error") error += Math.abs(score);
  }
  return all === 0 ? null : error / all;
}
