/**
 * @file The growth plan of a model of any family: a width method's axes, a depth method's layers, and copied heads
 * and neurons, put on each parameter as the family's layout says. Where the embeddings are tied, the final norm
 * takes the number of copies back.
 */
import type { Rng } from "../engine/index.ts";
import {
  blockName,
  type ModelConfig,
  type ModelSizes,
  modelSizes,
  parameterShapes,
} from "../models/index.ts";
import { type BlockPart, layoutOf } from "./block-layout.ts";
import { requireCopies } from "./depth/cancel.ts";
import type { ChildLayer } from "./depth/child-layer.ts";
import { routerDeviation } from "./experts/moe-upcycle.ts";
import { headDims } from "./head-dims.ts";
import { headUnits } from "./head-groups.ts";
import { type AxisMap, blockAxis, FRESH, identityAxis, ZERO } from "./plan/axis-map.ts";
import { donatedFrom } from "./plan/donated.ts";
import { type FanOut, freshUnits } from "./plan/fan-out.ts";
import type { GrowthPlan, Noise, ParameterPlan } from "./plan/growth-plan.ts";
import { tokenRows, tokenSpread } from "./vocabulary.ts";
import type { WidthGrowth, WidthMethod } from "./width/width-growth.ts";

/** A plan and what the expansion map needs to know beyond the width method's own maps. */
export interface FamilyGrowth<C extends ModelConfig = ModelConfig> {
  readonly plan: GrowthPlan<C>;
  /** By layer of the child. */
  readonly heads: readonly FanOut[];
  readonly neurons: readonly FanOut[];
  /** Parameters of inserted blocks, and routers that the parent lacks. */
  readonly fresh: readonly string[];
}

type Shape = Pick<ParameterPlan, "from" | "axes"> & Partial<ParameterPlan>;

/** A width method and what it makes of the stream. */
export interface PlannedWidth {
  readonly method: WidthMethod;
  readonly stream: WidthGrowth;
}

/**
 * Plans the child `config` of `parent`. `layers` are the child's, from the depth method; `noiseDb`
 * is the signal-to-noise ratio of the symmetry-breaking noise, null for none.
 */
export function familyGrowth<C extends ModelConfig>(
  parent: ModelConfig,
  config: C,
  { method, stream: width }: PlannedWidth,
  layers: readonly ChildLayer[],
  noiseDb: number | null,
  rng: Rng,
): FamilyGrowth<C> {
  const shapes = parameterShapes(config);
  const layout = layoutOf(config, parent);
  const [small, big] = [modelSizes(parent), modelSizes(config)];
  const dims = headDims(parent, big.headDim);
  const parameters: ParameterPlan[] = [];
  const add = (name: string, shape: Shape) => {
    const size = shapes.get(name);
    if (size === undefined) throw new Error(`internal: the child has no parameter ${name}`);
    parameters.push({ scale: 1, fill: 0, noise: null, ...shape, name, shape: size });
  };
  const addIfThere = (name: string, shape: Shape) => {
    if (shapes.has(name)) add(name, shape);
  };
  const norm = (name: string, from: string, axis: AxisMap) => {
    const gain = width.gainFactor;
    const fill = gain * (axis.weight?.[axis.source.indexOf(FRESH)] ?? 1);
    add(`${name}.weight`, { from: `${from}.weight`, axes: [axis], scale: gain, fill });
    addIfThere(`${name}.bias`, { from: `${from}.bias`, axes: [axis] });
  };
  // norms of heads share the epsilon: f times the mean square with f times the epsilon is normed to the same
  const normedScale = Math.sqrt(big.normEps / small.normEps);
  const matrix = (input: AxisMap, output: AxisMap): readonly AxisMap[] =>
    layout.outputsFirst ? [output, input] : [input, output];
  const noise = (balanced: boolean): Noise | null =>
    noiseDb === null
      ? null
      : { snrDb: noiseDb, balanced, ...(layout.outputsFirst ? { inputAxis: 1 as const } : {}) };

  // as large as the weights that copies would have
  const cancellation: Noise = {
    snrDb: 0,
    balanced: true,
    ...(layout.outputsFirst ? { inputAxis: 1 as const } : {}),
  };

  const { embedding, positions, unembedding } = layout;
  const tokens = tokenRows(small.vocabSize, big.vocabSize);
  add(embedding, { from: embedding, axes: [tokens, width.write], rowSpread: tokenSpread });
  if (positions) {
    add(positions, { from: positions, axes: [identityAxis(small.context), width.write] });
  }

  const heads: FanOut[] = [];
  const neurons: FanOut[] = [];
  layers.forEach(({ source, inserted }, layer) => {
    const stream = rng.fork(`layer ${layer}`);
    const grown = headUnits(small, big, method.units, stream.fork("heads"));
    const copies = {
      heads: grown.queries,
      neurons: method.units(small.dMlp, big.dMlp, stream.fork("neurons")),
    };
    if (inserted === "cancelling") requireCopies(copies);
    heads.push(inserted ? freshUnits(big.nHead) : copies.heads);
    neurons.push(inserted ? freshUnits(big.dMlp) : copies.neurons);
    // copies that are to cancel must be copies
    const mayMix = method.fromNextLayer && inserted !== "cancelling";
    const next = mayMix && source + 1 < small.nLayer ? source + 1 : null;
    const donor = (name: string) => (next === null ? null : `${blockName(parent, next)}.${name}`);
    /** The axis of a matrix's outputs, whose first n entries are this layer's. */
    const output = (axis: AxisMap, n: number) => (next === null ? axis : donatedFrom(axis, n));
    // a copy is its unit whole, and gets the part of its gradient that it hands on
    const unitsOut = (source: Int32Array, share: Float64Array, n: number): AxisMap =>
      output({ source: indices(source, FRESH), weight: null, share }, n);
    // fresh units read at random and write nothing
    const unitsIn = ({ source, alpha }: FanOut): AxisMap => ({
      source: indices(source, ZERO),
      weight: alpha,
    });
    const axes = {
      heads: unitsOut(copies.heads.source, copies.heads.alpha, small.nHead),
      kvHeads: unitsOut(grown.keys, keyShares(copies.heads.alpha, small, big), small.nKvHead),
      // what no one reads yet is drawn
      dims: inserted === "zero" ? { ...dims, value: dims.out } : dims,
      neurons: unitsOut(copies.neurons.source, copies.neurons.alpha, small.dMlp),
    };
    const at = blockName(config, layer);
    const from = blockName(parent, source);
    const write = ({ name, from: was = name, copy }: BlockPart, input: AxisMap) => {
      const fill = "parent-scale"; // of what reads the new numbers of a head
      const written = withoutFresh(width.write);
      const copied: Shape = { from: `${from}.${was}.weight`, axes: matrix(input, written), fill };
      if (inserted) {
        const zero: Shape = { from: null, axes: [] };
        const cancelling = { ...copied, scale: 0, noise: cancellation };
        add(`${at}.${name}.weight`, inserted === "cancelling" ? cancelling : zero);
        addIfThere(`${at}.${name}.bias`, zero);
        return;
      }
      const mixed = output(written, small.dModel);
      add(`${at}.${name}.weight`, {
        ...copied,
        copy,
        donor: donor(`${was}.weight`),
        axes: matrix(input, mixed),
        noise: noise(true),
      });
      addIfThere(`${at}.${name}.bias`, {
        from: `${from}.${was}.bias`,
        donor: donor(`${was}.bias`),
        axes: [mixed],
      });
    };
    for (const part of layout.parts) {
      const { name, from: was = name } = part;
      if (part.kind === "norm") norm(`${at}.${name}`, `${from}.${was}`, width.norm);
      else if (part.kind === "router") {
        const copied: Shape = {
          from: `${from}.${was}.weight`,
          axes: matrix(width.read, identityAxis(small.experts?.count ?? 0)),
          fill: "parent-scale",
          noise: noise(true),
        };
        const fresh: Shape = { from: null, axes: [], fill: { normal: routerDeviation } };
        add(`${at}.${name}.weight`, small.experts ? copied : fresh);
      } else if (part.kind === "head-norm") {
        addIfThere(`${at}.${name}`, { from: `${from}.${was}`, axes: [dims[part.gain]] });
      } else if (part.kind === "read") {
        const made = part.output(axes, parent);
        const scale = shapes.has(`${at}.${part.normedBy}`) ? normedScale : 1;
        add(`${at}.${name}.weight`, {
          from: `${from}.${was}.weight`,
          copy: part.copy,
          donor: donor(`${was}.weight`),
          axes: matrix(width.read, made),
          scale,
          fill: "parent-scale",
          // where copies are to cancel they must stay equal
          noise: noise(inserted !== "zero"),
        });
        addIfThere(`${at}.${name}.bias`, {
          from: `${from}.${was}.bias`,
          donor: donor(`${was}.bias`),
          axes: [made],
          scale,
        });
      } else if (part.units === "heads") {
        write(part, blockAxis(unitsIn(copies.heads), small.headDim, dims.out));
      } else write(part, unitsIn(copies.neurons));
    }
  });
  norm(layout.finalNorm, layout.finalNorm, width.finalNorm);
  addIfThere(unembedding, {
    from: unembedding,
    axes: [tokens, width.read],
    rowSpread: tokenSpread,
    fill: "parent-scale",
    noise: noiseDb === null ? null : { snrDb: noiseDb, balanced: true, inputAxis: 1 },
  });

  const isFresh = ({ name, fill }: ParameterPlan) =>
    typeof fill === "object" ||
    layers.some(
      ({ inserted }, layer) => inserted && name.startsWith(`${blockName(config, layer)}.`),
    );
  return {
    plan: { config, parameters },
    heads,
    neurons,
    fresh: parameters.filter(isFresh).map(({ name }) => name),
  };
}

/** Units as a plan's indices, `rest` in place of −1, no unit of the parent. */
function indices(units: Int32Array, rest: number): Int32Array {
  return units.map((from) => (from < 0 ? rest : from));
}

/** The axis with 0 in place of fresh entries: a matrix that writes into the stream leaves them alone. */
function withoutFresh({ source, weight }: AxisMap): AxisMap {
  return { source: source.map((from) => (from === FRESH ? ZERO : from)), weight };
}

/** The part of its gradient that a copied key head gets: what its queries hand on, over the queries that its parent has. */
function keyShares(alpha: Float64Array, small: ModelSizes, big: ModelSizes): Float64Array {
  const [before, after] = [small, big].map(({ nHead, nKvHead }) => nHead / nKvHead);
  const shares = new Float64Array(big.nKvHead);
  alpha.forEach((handedOn, query) => {
    shares[Math.floor(query / after)] += handedOn / before;
  });
  return shares;
}
