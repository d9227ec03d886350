/**
 * @file What LiGO's construction acts on (Wang et al., ICLR 2023, arXiv 2303.00980): every parameter of the child in
 * matrices of the parent, each with the width operators of its two axes and the depth coefficients that mix its layers.
 * Fused projections are taken apart, so that queries, keys and values have operators of their own. Where positions turn
 * the heads (rotary) or queries share key heads, whole heads are combined; in GPT-2 single dimensions are, as published.
 */
import { UsageError } from "../../io/index.ts";
import { blockName, type ModelConfig, modelSizes, parameterShapes } from "../../models/index.ts";
import { type BlockPart, layoutOf } from "../block-layout.ts";

/** Growth along one axis: the n·size entries of the parent, then combinations of them. */
export interface WidthAxis {
  /** The operator M [nChild − nParent, nParent]; null where the axis keeps its size. */
  readonly operator: string | null;
  readonly nParent: number;
  readonly nChild: number;
  /** Entries of a unit, which stay together: B = [I; M] ⊗ I of this size. */
  readonly size: number;
}

/** A matrix of the parent, or one of its kind in every layer, on its way into a parameter of the child. */
export interface Piece {
  /** The parent's parameter, below the block's name where it is one of a block. */
  readonly name: string;
  /** Which of its fused parts this is, of how many in how many groups. */
  readonly part: { readonly index: number; readonly of: number; readonly groups: number };
  /** The depth coefficients [1, parent's layers]; null outside the blocks. */
  readonly mix: string | null;
  /** Rows and columns; a vector is one row. */
  readonly axes: readonly [WidthAxis, WidthAxis];
}

/** A parameter of the child. */
export interface FramedParameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly pieces: readonly Piece[];
  /** Runs of each piece that are laid side by side, as `part.groups` is in the parent. */
  readonly groups: number;
}

/** Everything that is said about a growth by LiGO before its operators have values. */
export interface GrowthFrame {
  readonly parameters: readonly FramedParameter[];
  /** The residual stream's axis, shared by all layers and the embeddings. */
  readonly residual: WidthAxis;
  /** By the child's layer. */
  readonly layers: readonly LayerAxes[];
}

/** The axes inside a layer of the child. */
export interface LayerAxes {
  readonly queries: WidthAxis;
  readonly keys: WidthAxis;
  readonly values: WidthAxis;
  /** What the heads put out: the values' operator, for each query that shares a value head. */
  readonly heads: WidthAxis;
  readonly neurons: WidthAxis;
}

/** The frame of the growth from `parent` to `child`. Errors: UsageError where the size or grouping of heads, or the experts, change. */
export function growthFrame(parent: ModelConfig, child: ModelConfig): GrowthFrame {
  const [small, big] = [modelSizes(parent), modelSizes(child)];
  refuseOtherHeads(parent, child);
  const layout = layoutOf(child);
  const [from, to] = [parameterShapes(parent), parameterShapes(child)];
  const parameters: FramedParameter[] = [];
  const residual = axis("width:residual", small.dModel, big.dModel);
  const all = (n: number): WidthAxis => axis("", n, n);
  const add = (name: string, key: string, layer: number | null, parts: readonly PartAxes[]) => {
    const shape = to.get(name);
    if (shape === undefined) return;
    const stored = from.get(layer === null ? key : `${blockName(parent, 0)}.${key}`);
    if (stored === undefined) throw new Error(`internal: the parent has no parameter ${key}`);
    const pieces = parts.map(({ kind, axes, groups }, index): Piece => {
      const part = { index, of: parts.length, groups: groups[0] };
      const mix =
        layer === null ? null : depthName(layer, parts.length > 1 ? `${key}:${kind}` : key);
      return { name: key, part, mix, axes };
    });
    parameters.push({ name, shape, pieces, groups: parts[0].groups[1] });
  };
  const whole = (rows: WidthAxis, columns: WidthAxis): PartAxes[] => [
    { kind: "", axes: [rows, columns], groups: [1, 1] },
  ];

  add(layout.embedding, layout.embedding, null, whole(all(small.vocabSize), residual));
  if (layout.positions) {
    add(layout.positions, layout.positions, null, whole(all(small.context), residual));
  }
  const layers = Array.from({ length: big.nLayer }, (_, layer) => layerAxes(parent, child, layer));
  layers.forEach((axes, layer) => {
    const at = blockName(child, layer);
    for (const part of layout.parts) {
      const [weight, bias] = [`${part.name}.weight`, `${part.name}.bias`];
      if (part.kind === "head-norm") {
        const [n = 0] = to.get(`${at}.${part.name}`) ?? [];
        add(`${at}.${part.name}`, part.name, layer, whole(all(1), all(n)));
      } else if (part.kind === "norm") {
        add(`${at}.${weight}`, weight, layer, whole(all(1), residual));
        add(`${at}.${bias}`, bias, layer, whole(all(1), residual));
      } else if (part.kind === "write") {
        const inputs = axes[part.units];
        const sides = layout.outputsFirst ? whole(residual, inputs) : whole(inputs, residual);
        add(`${at}.${weight}`, weight, layer, sides);
        add(`${at}.${bias}`, bias, layer, whole(all(1), residual));
      } else if (part.kind === "router") {
        add(`${at}.${weight}`, weight, layer, whole(all(small.experts?.count ?? 0), residual));
      } else {
        const outputs = readAxes(part, axes, small.nHead, big.nHead);
        const sides = outputs.map(({ kind, output, groups }): PartAxes => {
          if (layout.outputsFirst) return { kind, axes: [output, residual], groups };
          // every row holds all the parts
          const rows = [groups[0] * small.dModel, groups[1] * big.dModel] as const;
          return { kind, axes: [residual, output], groups: rows };
        });
        add(`${at}.${weight}`, weight, layer, sides);
        const biases = outputs.map(
          ({ kind, output, groups }): PartAxes => ({ kind, axes: [all(1), output], groups }),
        );
        add(`${at}.${bias}`, bias, layer, biases);
      }
    }
  });
  for (const key of [`${layout.finalNorm}.weight`, `${layout.finalNorm}.bias`]) {
    add(key, key, null, whole(all(1), residual));
  }
  add(layout.unembedding, layout.unembedding, null, whole(all(small.vocabSize), residual));
  return { parameters, residual, layers };
}

interface PartAxes {
  readonly kind: string;
  readonly axes: readonly [WidthAxis, WidthAxis];
  /** Runs of this part in the parent and in the child. */
  readonly groups: readonly [parent: number, child: number];
}

function readAxes(
  part: BlockPart & { readonly kind: "read" },
  axes: LayerAxes,
  nHead: number,
  nHeadChild: number,
) {
  const groups = part.byHead ? ([nHead, nHeadChild] as const) : ([1, 1] as const);
  return part.holds.map((kind) => ({ kind, output: axes[kind], groups }));
}

function layerAxes(parent: ModelConfig, child: ModelConfig, layer: number): LayerAxes {
  const [small, big] = [modelSizes(parent), modelSizes(child)];
  const { headDim } = small;
  const name = (kind: string) => `width:${layer}:${kind}`;
  const isTurned = layoutOf(child).positions === null;
  const ofHeads = (kind: string, n: number, nChild: number): WidthAxis =>
    isTurned
      ? axis(name(kind), n, nChild, headDim)
      : axis(name(kind), n * headDim, nChild * headDim);
  const values = ofHeads("values", small.nKvHead, big.nKvHead);
  return {
    queries: ofHeads("queries", small.nHead, big.nHead),
    keys: ofHeads("keys", small.nKvHead, big.nKvHead),
    values,
    heads: { ...values, size: (values.size * small.nHead) / small.nKvHead },
    neurons: axis(name("neurons"), small.dMlp, big.dMlp),
  };
}

function axis(operator: string, nParent: number, nChild: number, size = 1): WidthAxis {
  return { operator: nChild === nParent ? null : operator, nParent, nChild, size };
}

function depthName(layer: number, key: string): string {
  return `depth:${layer}:${key}`;
}

function refuseOtherHeads(parent: ModelConfig, child: ModelConfig): void {
  const [small, big] = [modelSizes(parent), modelSizes(child)];
  if (small.headDim !== big.headDim) {
    throw new UsageError({
      code: "growth-unsupported",
      where: "--head-dim",
      expected: `heads of ${small.headDim}: ligo combines heads, it does not widen them`,
      got: String(big.headDim),
    });
  }
  if (small.nHead * big.nKvHead !== big.nHead * small.nKvHead) {
    throw new UsageError({
      code: "growth-unsupported",
      where: "--kv-heads",
      expected: `${small.nHead / small.nKvHead} queries to a key head, as in the parent: ligo combines whole groups`,
      got: `${big.nHead} query heads and ${big.nKvHead} key heads`,
    });
  }
  if (small.experts?.count !== big.experts?.count) {
    throw new UsageError({
      code: "growth-unsupported",
      where: "--experts",
      expected: "a model whose MLPs stay as they are: ligo has no operator on experts",
      got: `${big.experts?.count ?? 1} experts`,
      hint: "Grow with ligo first, and add experts in a second step.",
    });
  }
  if (small.vocabSize !== big.vocabSize) {
    throw new UsageError({
      code: "growth-unsupported",
      where: "--vocab",
      expected: `the parent's ${small.vocabSize} tokens: ligo has no operator on the vocabulary`,
      got: String(big.vocabSize),
    });
  }
}
