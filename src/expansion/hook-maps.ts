/**
 * @file Where each hook of a parent is in its child, by which linear map, and whether that is exact: read off the
 * width's maps, the head and neuron maps and the order of the layers, before any weight is made.
 */
import { hookNames, type ModelConfig, modelSizes } from "../models/index.ts";
import { type ChildLayer, exactPrefix } from "./depth/child-layer.ts";
import type { FamilyGrowth } from "./family-growth.ts";
import type { HookMap } from "./map/expansion-map.ts";
import type { WidthGrowth } from "./width/width-growth.ts";

type UnitSize = "nHead" | "nKvHead" | "headDim" | "dMlp";

/**
 * Where each hook of the parent is in the child. Boundaries that hold the same value are all named; a hook whose layer
 * has lost its place in the parent's order goes to its layer's first copy and is not exact there.
 */
export function hookMaps(
  parent: ModelConfig,
  config: ModelConfig,
  width: Pick<WidthGrowth, "residual" | "normed" | "final">,
  { heads, neurons }: Pick<FamilyGrowth, "heads" | "neurons">,
  layers: readonly ChildLayer[],
  widthClaims: Pick<HookMap, "exact" | "published">,
): HookMap[] {
  const [small, big] = [modelSizes(parent), modelSizes(config)];
  const residual = width.residual ? "residual" : "identity";
  const applied = exactPrefix(layers);
  const whole = applied.length === layers.length + 1;
  // before any norm the width's map always holds, and where layers repeat it never does
  const claimed = (isBelow: boolean, isInOrder: boolean): typeof widthClaims => ({
    exact: isInOrder && (isBelow || widthClaims.exact),
    published: isInOrder && (isBelow || widthClaims.published),
  });
  const grows = (...names: UnitSize[]): boolean => names.some((size) => big[size] > small[size]);
  /** The linear map's name for what `point` holds at the child's `layer`. */
  const tensorAt = (point: string, layer: number): string => {
    if (point === "attn.hook_z") {
      return grows("nHead", "nKvHead", "headDim") ? `head_map:${layer}` : "identity";
    }
    if (point.endsWith(".hook_post")) return grows("dMlp") ? `neuron_map:${layer}` : "identity";
    if (point === "mlp.hook_in") return width.normed ? "normed" : residual;
    return point === "mlp.hook_expert_weights" ? "identity" : residual;
  };
  const maps: HookMap[] = [];
  for (const hook of hookNames(parent)) {
    const match = /^blocks\.(\d+)\.(.+)$/.exec(hook);
    if (match === null) {
      const isFinal = hook === "ln_final.hook_normalized";
      const tensor = isFinal && width.final ? "final" : residual;
      const claims = claimed(!isFinal, whole || !isFinal);
      maps.push(hookMap(hook, [hook], tensor, claims));
      continue;
    }
    const [layer, point] = [Number(match[1]), match[2]];
    if (point === "attn.hook_pattern") continue; // one matrix a head: the head map says it all
    // neurons of an MLP that became several: which of them hold a token's depends on the token
    if (point === "mlp.hook_post" && big.experts) continue;
    const equal = equalLayers(point, layer, layers, applied);
    const isBottom = layer === 0 && point === "hook_resid_pre";
    const [last, ...others] =
      equal.length > 0
        ? [equal[equal.length - 1], ...equal.slice(0, -1)]
        : [layers.findIndex((l) => l.source === layer && !l.inserted)];
    const tensor = tensorAt(point, last);
    const to = [last, ...others].map((at) => `blocks.${at}.${point}`);
    const claims = claimed(isBottom, equal.length > 0);
    const units = tensor.startsWith("head") ? heads : tensor.startsWith("neuron") ? neurons : null;
    // what units without a parent hold is no function of the parent's
    const exact = claims.exact && !units?.[last].source.includes(-1);
    maps.push(hookMap(hook, to, tensor, { ...claims, exact }));
  }
  return maps;
}

function hookMap(
  from: string,
  to: readonly string[],
  tensor: string,
  claims: Pick<HookMap, "exact" | "published">,
): HookMap {
  return { from, to, tensor, ...claims, fit: null, r2: null, r2_unfitted: null };
}

/** Layers of the child, ascending, at which `point` has the value that it has at the parent's `layer`. */
function equalLayers(
  point: string,
  layer: number,
  layers: readonly ChildLayer[],
  applied: readonly number[],
): number[] {
  const boundary = point === "hook_resid_pre" ? 0 : point === "hook_resid_post" ? 1 : null;
  return Array.from(layers.keys()).filter((at) =>
    boundary === null
      ? at + 1 < applied.length && !layers[at].inserted && layers[at].source === layer
      : applied[at + boundary] === layer + boundary,
  );
}
