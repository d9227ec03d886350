/**
 * @file Grows a model in one step, width first and then depth, and returns the child with the map
 * from its parent.
 */
import type { Rng } from "../engine/index.ts";
import { type HostModel, type ModelConfig, type ModelSizes, modelSizes } from "../models/index.ts";
import { layoutOf } from "./block-layout.ts";
import { type ChildConfig, type ChildSizes, childConfig, sizeInfo } from "./child-config.ts";
import { type ChildLayer, type DepthMethodName, exactPrefix } from "./depth/child-layer.ts";
import { childLayers } from "./depth/depth-methods.ts";
import type { Positions } from "./depth/identity.ts";
import { type FamilyGrowth, familyGrowth } from "./family-growth.ts";
import { hookMaps } from "./hook-maps.ts";
import { type GrowthText, growWithLigo, textNeeded } from "./ligo/grow-with-ligo.ts";
import type { LearnOptions } from "./ligo/learn-operators.ts";
import type { ExpansionMap } from "./map/expansion-map.ts";
import type { DenseMap } from "./map/vector-map.ts";
import { executePlan } from "./plan/execute-plan.ts";
import { firstUnits } from "./plan/fan-out.ts";
import type { GrowthMethodName, WidthGrowth } from "./width/width-growth.ts";
import { isWidthMethod, widthMethods } from "./width/width-methods.ts";

/** How to grow; sizes are absolute (`parseGrowth` makes them so). */
export interface ExpandOptions extends ChildSizes {
  readonly method: GrowthMethodName;
  readonly depth_method: DepthMethodName;
  readonly positions: Positions;
  /** Signal-to-noise ratio in dB of the noise that tells copies apart; null = none. */
  readonly noise_db: number | null;
  /** How `ligo` learns; other methods learn nothing. */
  readonly ligo?: Partial<LearnOptions>;
}

type StreamMaps = Pick<WidthGrowth, "residual" | "normed" | "final">;

/** A plan together with its map: everything about the child but its numbers. */
export interface PlannedExpansion<C extends ModelConfig = ModelConfig> {
  readonly growth: FamilyGrowth<C>;
  readonly map: ExpansionMap;
}

/**
 * Grows `parent` on the active backend. The map's `exactness` is null until it is measured. `text` is what a method
 * that learns (`ligo`) learns from. Errors: UsageError for sizes the architecture does not allow, and for such a
 * method without text.
 */
export async function expandModel<C extends ModelConfig>(
  parent: HostModel<C>,
  options: ExpandOptions,
  rng: Rng,
  text?: GrowthText,
): Promise<{ child: HostModel<ChildConfig<C>>; map: ExpansionMap }> {
  if (!isWidthMethod(options.method)) {
    if (text === undefined) throw textNeeded(options.method);
    const config = childConfig(parent.config, options);
    const grown = await growWithLigo(parent, config, text, options.ligo ?? {}, rng.fork("ligo"));
    const map = learnedMap(parent.config, config, grown.residual);
    return { child: grown.child, map: { ...map, learned: grown.learned } };
  }
  const { growth, map } = planExpansion(parent.config, options, rng);
  return { child: await executePlan(growth.plan, parent, rng.fork("weights")), map };
}

/** The map of a growth before it is done; what a method has to learn first is missing from its linear maps. */
export function plannedMap(parent: ModelConfig, options: ExpandOptions, rng: Rng): ExpansionMap {
  if (isWidthMethod(options.method)) return planExpansion(parent, options, rng).map;
  return learnedMap(parent, childConfig(parent, options), null);
}

/** The plan and the map for a parent of this configuration. A method that learns has none: that is internal. */
export function planExpansion<C extends ModelConfig>(
  parent: C,
  options: ExpandOptions,
  rng: Rng,
): PlannedExpansion<ChildConfig<C>> {
  const config = childConfig(parent, options);
  const [small, big] = [modelSizes(parent), modelSizes(config)];
  if (!isWidthMethod(options.method)) {
    throw new Error(`internal: ${options.method} learns how to grow, it has no plan`);
  }
  const method = widthMethods[options.method];
  const { norm } = layoutOf(parent);
  const plan = rng.fork("plan");
  const stream = method.stream(
    small.dModel,
    big.dModel,
    { norm, tied: small.tied },
    plan.fork("stream"),
  );
  const layers = childLayers(options.depth_method, small.nLayer, big.nLayer, options.positions);
  const growth = familyGrowth(parent, config, { method, stream }, layers, options.noise_db, plan);
  const inWidth = ["dModel", "nHead", "nKvHead", "headDim", "dMlp"] as const;
  const widens = inWidth.some((size) => big[size] > small[size]);
  const exactWidth = !widens || method.whyInexact(small.dModel, big.dModel) === null;
  const names = [
    widens ? options.method : null,
    big.nLayer > small.nLayer ? options.depth_method : null,
    big.vocabSize > small.vocabSize ? "vocabulary" : null,
    big.experts && !small.experts ? "moe-upcycle" : null,
  ];
  const map: ExpansionMap = {
    format: "sae-carry/map",
    version: 1,
    method: names.filter((name) => name !== null).join("+"),
    exact: exactWidth && exactPrefix(layers).length === layers.length + 1,
    parent: sizeInfo(parent),
    child: sizeInfo(config),
    hooks: hookMaps(parent, config, stream, growth, layers, {
      exact: exactWidth,
      published: !widens || !method.fromNextLayer,
    }),
    linear: linearMaps(stream),
    layers: layerMap(small.nLayer, layers),
    heads: growth.heads,
    neurons: growth.neurons,
    experts: expertMap(small, big, layers),
    fresh: growth.fresh,
    exactness: null,
  };
  return { growth, map };
}

/**
 * The map of a child whose units are those of the parent and combinations of them: no head, neuron or layer beyond
 * the parent's own has a place in it, and it is exact at the embeddings alone.
 */
function learnedMap(
  parent: ModelConfig,
  config: ModelConfig,
  residual: DenseMap | null,
): ExpansionMap {
  const [small, big] = [modelSizes(parent), modelSizes(config)];
  const layers = childLayers("stack", small.nLayer, big.nLayer, "interleaved");
  const stream = { residual, normed: residual, final: residual };
  const units = {
    heads: layers.map(() => firstUnits(small.nHead, big.nHead)),
    neurons: layers.map(() => firstUnits(small.dMlp, big.dMlp)),
  };
  return {
    format: "sae-carry/map",
    version: 1,
    method: "ligo",
    exact: false,
    parent: sizeInfo(parent),
    child: sizeInfo(config),
    hooks: hookMaps(parent, config, stream, units, layers, { exact: false, published: true }),
    linear: linearMaps(stream),
    layers: layerMap(small.nLayer, layers),
    ...units,
    experts: expertMap(small, big, layers),
    fresh: [],
    exactness: null,
  };
}

function linearMaps({ residual, normed, final }: StreamMaps): Map<string, DenseMap> {
  const maps = new Map<string, DenseMap>();
  if (residual) maps.set("residual", residual);
  if (normed) maps.set("normed", normed);
  if (final) maps.set("final", final);
  return maps;
}

function layerMap(nParent: number, layers: readonly ChildLayer[]): number[][] {
  const map: number[][] = Array.from({ length: nParent }, () => []);
  layers.forEach(({ source, inserted }, layer) => {
    if (!inserted) map[source].push(layer);
  });
  return map;
}

/** By layer of the child, the parent's expert behind each; a dense MLP counts as expert 0. */
function expertMap(
  { experts: were }: ModelSizes,
  { experts }: ModelSizes,
  layers: readonly ChildLayer[],
): Int32Array[] | null {
  if (!experts) return null;
  const source = (expert: number): number => (were ? expert : 0);
  return layers.map(({ inserted }) =>
    Int32Array.from({ length: experts.count }, (_, e) => (inserted ? -1 : source(e))),
  );
}
