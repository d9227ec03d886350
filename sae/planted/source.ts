/** @file Planted activations as a stream to train SAEs on: each batch is drawn anew, a pure function of its step. */
import { type Rng, tf } from "../../src/engine/index.ts";
import type { ActivationSource } from "../shared-activations.ts";
import { activationRows, drawFirings, type Side, widthOf } from "./firings.ts";
import type { PlantedWorld } from "./world.ts";

/** Batches of `batchSize` rows of one side of the world; `rng` names the stream. */
export function plantedActivations(
  world: PlantedWorld,
  side: Side,
  batchSize: number,
  rng: Rng,
): ActivationSource {
  const dIn = widthOf(world, side);
  return {
    dIn,
    async batch(step) {
      const draws = rng.fork(`batch ${step}`);
      const firings = drawFirings(world, batchSize, draws.fork("firings"));
      const rows = activationRows(world, side, firings, draws.fork("noise"));
      return tf.tensor2d(rows, [batchSize, dIn]);
    },
    dispose() {},
  };
}
