/**
 * @file The growth plan of a model of any family: a width method's axes, a depth method's layers, and copied heads
 * and neurons, put on each parameter as the family's layout says. Where the embeddings are tied, the final norm
 * takes the number of copies back.
 */
import type { Rng } from "../engine/index.ts";
import { blockName, type ModelConfig, modelSizes, parameterShapes } from "../models/index.ts";
import { layoutOf } from "./block-layout.ts";
import { requireCopies } from "./depth/cancel.ts";
import type { ChildLayer } from "./depth/child-layer.ts";
import { type AxisMap, blockAxis, FRESH, identityAxis } from "./plan/axis-map.ts";
import { donatedFrom } from "./plan/donated.ts";
import { type FanOut, freshUnits, groupedFanOut } from "./plan/fan-out.ts";
import type { GrowthPlan, Noise, ParameterPlan } from "./plan/growth-plan.ts";
import type { WidthGrowth, WidthMethod } from "./width/width-growth.ts";

/** A plan and what the expansion map needs to know beyond the width method's own maps. */
export interface FamilyGrowth<C extends ModelConfig = ModelConfig> {
  readonly plan: GrowthPlan<C>;
  /** By layer of the child. */
  readonly heads: readonly FanOut[];
  readonly neurons: readonly FanOut[];
  /** Parameters of inserted blocks. */
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
  parent: C,
  config: C,
  { method, stream: width }: PlannedWidth,
  layers: readonly ChildLayer[],
  noiseDb: number | null,
  rng: Rng,
): FamilyGrowth<C> {
  const shapes = parameterShapes(config);
  const layout = layoutOf(config);
  const [small, big] = [modelSizes(parent), modelSizes(config)];
  const { headDim } = small;
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

  const table = (name: string, rows: number) =>
    add(name, { from: name, axes: [identityAxis(rows), width.write] });
  table(layout.embedding, small.vocabSize);
  if (layout.positions) table(layout.positions, small.context);

  const heads: FanOut[] = [];
  const neurons: FanOut[] = [];
  layers.forEach(({ source, inserted }, layer) => {
    const stream = rng.fork(`layer ${layer}`);
    // whole groups of queries are copied, each with the key head it shares
    const groups = method.units(small.nKvHead, big.nKvHead, stream.fork("heads"));
    const copies = {
      heads: groupedFanOut(groups, small.nHead / small.nKvHead),
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
    const unitsOut = ({ source }: FanOut, n: number): AxisMap =>
      output({ source: sources(source), weight: null }, n);
    const unitsIn = ({ source, alpha }: FanOut): AxisMap => ({
      source: sources(source),
      weight: alpha,
    });
    const axes = {
      heads: unitsOut(copies.heads, small.nHead),
      kvHeads: unitsOut(groups, small.nKvHead),
      neurons: unitsOut(copies.neurons, small.dMlp),
    };
    const at = blockName(config, layer);
    const from = blockName(parent, source);
    const write = (name: string, input: AxisMap) => {
      const axes = matrix(input, width.write);
      if (inserted) {
        const cancelling = { from: `${from}.${name}.weight`, axes, scale: 0, noise: cancellation };
        const zero = { from: null, axes: [] };
        add(`${at}.${name}.weight`, inserted === "cancelling" ? cancelling : zero);
        addIfThere(`${at}.${name}.bias`, zero);
        return;
      }
      const written = output(width.write, small.dModel);
      add(`${at}.${name}.weight`, {
        from: `${from}.${name}.weight`,
        donor: donor(`${name}.weight`),
        axes: matrix(input, written),
        noise: noise(true),
      });
      addIfThere(`${at}.${name}.bias`, {
        from: `${from}.${name}.bias`,
        donor: donor(`${name}.bias`),
        axes: [written],
      });
    };
    for (const part of layout.parts) {
      const { name } = part;
      if (part.kind === "norm") norm(`${at}.${name}`, `${from}.${name}`, width.norm);
      else if (part.kind === "kept") {
        const [n] = shapes.get(`${at}.${name}`) ?? [0];
        addIfThere(`${at}.${name}`, { from: `${from}.${name}`, axes: [identityAxis(n)] });
      } else if (part.kind === "read") {
        const made = part.output(axes, parent);
        const scale = shapes.has(`${at}.${part.normedBy}`) ? normedScale : 1;
        add(`${at}.${name}.weight`, {
          from: `${from}.${name}.weight`,
          donor: donor(`${name}.weight`),
          axes: matrix(width.read, made),
          scale,
          fill: "parent-scale",
          // where copies are to cancel they must stay equal
          noise: noise(inserted !== "zero"),
        });
        addIfThere(`${at}.${name}.bias`, {
          from: `${from}.${name}.bias`,
          donor: donor(`${name}.bias`),
          axes: [made],
          scale,
        });
      } else if (part.units === "heads") write(name, blockAxis(unitsIn(copies.heads), headDim));
      else write(name, unitsIn(copies.neurons));
    }
  });
  norm(layout.finalNorm, layout.finalNorm, width.finalNorm);
  addIfThere(layout.unembedding, {
    from: layout.unembedding,
    axes: [identityAxis(small.vocabSize), width.read],
    fill: "parent-scale",
    noise: noiseDb === null ? null : { snrDb: noiseDb, balanced: true, inputAxis: 1 },
  });

  const isFresh = (name: string) =>
    layers.some(
      ({ inserted }, layer) => inserted && name.startsWith(`${blockName(config, layer)}.`),
    );
  return {
    plan: { config, parameters },
    heads,
    neurons,
    fresh: parameters.map(({ name }) => name).filter(isFresh),
  };
}

/** Units as a plan's indices: −1, no unit of the parent, is a fresh entry. */
function sources(units: Int32Array): Int32Array {
  return units.map((from) => (from < 0 ? FRESH : from));
}
