/**
 * @file Grows a checkpoint into another one, a tensor at a time, so that neither has to fit into memory. A method that
 * learns how to grow (`ligo`) needs both there; its child is written in the same way.
 */
import type { Rng } from "../engine/index.ts";
import {
  type Checkpoint,
  checkpointSink,
  readCheckpoint,
  type WeightFileOptions,
} from "../models/index.ts";
import { type ExpandOptions, expandModel, planExpansion } from "./expand-model.ts";
import { growCheckpoint } from "./grow-checkpoint.ts";
import type { GrowthText } from "./ligo/grow-with-ligo.ts";
import type { ExpansionMap } from "./map/expansion-map.ts";
import { isWidthMethod } from "./width/width-methods.ts";

/** How the child is written, and what it needs besides its parent. */
export interface ExpandCheckpointOptions extends WeightFileOptions {
  /** What a method that learns (`ligo`) learns from. */
  readonly text?: GrowthText;
  /** Told the share of the child's numbers that are written. */
  readonly onProgress?: (share: number) => void;
}

/**
 * Writes the child of `parent` into the empty folder `dir` and returns the map to it, whose `exactness` is null. The
 * same numbers as `expandModel` makes with the same `rng`, stored as `dtype` says. Errors: those of `expandModel`,
 * UsageError for damaged tensors of the parent, RunError for numbers that can't be stored.
 */
export async function expandCheckpoint(
  parent: Checkpoint,
  dir: string,
  options: ExpandOptions,
  rng: Rng,
  { text, onProgress, ...weights }: ExpandCheckpointOptions = {},
): Promise<ExpansionMap> {
  if (!isWidthMethod(options.method)) {
    const { child, map } = await expandModel(readCheckpoint(parent), options, rng, text);
    const sink = checkpointSink(dir, child.config, weights);
    for (const [name, { data }] of child.weights) sink.write(name, 0, data as Float32Array);
    sink.commit();
    return map;
  }
  const { growth, map } = planExpansion(parent.config, options, rng);
  const sink = checkpointSink(dir, growth.plan.config, weights);
  try {
    await growCheckpoint(growth.plan, parent, sink, rng.fork("weights"), onProgress);
    sink.commit();
  } catch (error) {
    sink.abort();
    throw error;
  }
  return map;
}
