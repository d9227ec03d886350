/**
 * @file The growth plan of a GPT-2: a width method's axes, a depth method's layers, and copied heads
 * and neurons, put on each parameter. Layout traps live here: Conv1D weights are [in, out], c_attn
 * fuses q|k|v and is copied head by head in each of the three, and the embeddings are tied.
 */
import type { Rng } from "../engine/index.ts";
import { blockName, type Gpt2Config, gpt2Shapes } from "../models/index.ts";
import { type AxisMap, blockAxis, identityAxis, repeatAxis } from "./axis-map.ts";
import { circularFanOut, type FanOut, freshUnits } from "./fan-out.ts";
import type { GrowthPlan, Noise, ParameterPlan } from "./growth-plan.ts";
import type { ChildLayer } from "./identity-depth.ts";
import type { WidthGrowth } from "./lemon.ts";

/** A plan and what the expansion map needs to know beyond the width method's own maps. */
export interface Gpt2Growth {
  readonly plan: GrowthPlan;
  /** By layer of the child. */
  readonly heads: readonly FanOut[];
  readonly neurons: readonly FanOut[];
  /** Parameters of inserted blocks. */
  readonly fresh: readonly string[];
}

type Shape = Pick<ParameterPlan, "from" | "axes"> & Partial<ParameterPlan>;

/**
 * Plans the child `config` of `parent`. `layers` are the child's, from the depth method; `noiseDb`
 * is the signal-to-noise ratio of the symmetry-breaking noise, null for none.
 */
export function gpt2Growth(
  parent: Gpt2Config,
  config: Gpt2Config,
  width: WidthGrowth,
  layers: readonly ChildLayer[],
  noiseDb: number | null,
  rng: Rng,
): Gpt2Growth {
  const shapes = gpt2Shapes(config);
  const block = (layer: number): string => blockName(config, layer);
  const parameters: ParameterPlan[] = [];
  const add = (name: string, shape: Shape) => {
    const size = shapes.get(name);
    if (size === undefined) throw new Error(`internal: the child has no parameter ${name}`);
    parameters.push({ scale: 1, fill: 0, noise: null, ...shape, name, shape: size });
  };
  const norm = (name: string, from: string, factor: number) => {
    const gain = width.gainFactor * factor;
    add(`${name}.weight`, { from: `${from}.weight`, axes: [width.norm], scale: gain, fill: gain });
    add(`${name}.bias`, { from: `${from}.bias`, axes: [width.norm], scale: factor });
  };

  const table = (name: string, rows: number) =>
    add(name, { from: name, axes: [identityAxis(rows), width.write] });
  table("transformer.wte.weight", parent.vocab_size);
  table("transformer.wpe.weight", parent.n_positions);

  const heads: FanOut[] = [];
  const neurons: FanOut[] = [];
  layers.forEach(({ source, inserted }, layer) => {
    const stream = rng.fork(`layer ${layer}`);
    const headCopies = circularFanOut(parent.n_head, config.n_head, stream.fork("heads"));
    const neuronCopies = circularFanOut(parent.n_inner, config.n_inner, stream.fork("neurons"));
    heads.push(inserted ? freshUnits(config.n_head) : headCopies);
    neurons.push(inserted ? freshUnits(config.n_inner) : neuronCopies);

    const headDim = parent.n_embd / parent.n_head;
    const unitsOut = (units: FanOut): AxisMap => ({ source: units.source, weight: null });
    const unitsIn = (units: FanOut): AxisMap => ({ source: units.source, weight: units.alpha });
    const z = blockAxis(unitsOut(headCopies), headDim);
    const qkv = repeatAxis(z, parent.n_embd, 3);
    const noise = (balanced: boolean): Noise | null =>
      noiseDb === null ? null : { snrDb: noiseDb, balanced };
    const at = block(layer);
    const from = block(source);

    const read = (name: string, out: AxisMap) => {
      add(`${at}.${name}.weight`, {
        from: `${from}.${name}.weight`,
        axes: [width.read, out],
        fill: "parent-scale",
        noise: noise(!inserted),
      });
      add(`${at}.${name}.bias`, { from: `${from}.${name}.bias`, axes: [out] });
    };
    const write = (name: string, input: AxisMap) => {
      if (inserted) {
        add(`${at}.${name}.weight`, { from: null, axes: [] });
        add(`${at}.${name}.bias`, { from: null, axes: [] });
        return;
      }
      add(`${at}.${name}.weight`, {
        from: `${from}.${name}.weight`,
        axes: [input, width.write],
        noise: noise(true),
      });
      add(`${at}.${name}.bias`, { from: `${from}.${name}.bias`, axes: [width.write] });
    };
    norm(`${at}.ln_1`, `${from}.ln_1`, 1);
    read("attn.c_attn", qkv);
    write("attn.c_proj", blockAxis(unitsIn(headCopies), headDim));
    norm(`${at}.ln_2`, `${from}.ln_2`, 1);
    read("mlp.c_fc", unitsOut(neuronCopies));
    write("mlp.c_proj", unitsIn(neuronCopies));
  });
  norm("transformer.ln_f", "transformer.ln_f", width.finalFactor);

  const isFresh = (name: string) =>
    layers.some(({ inserted }, layer) => inserted && name.startsWith(`${block(layer)}.`));
  return {
    plan: { config, parameters },
    heads,
    neurons,
    fresh: parameters.map(({ name }) => name).filter(isFresh),
  };
}
