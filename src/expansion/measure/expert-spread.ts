/**
 * @file How far the experts of a model are from each other. Right after upcycling they are copies, and nothing but the
 * tokens that reach them parts them: while the spread stays 0 the router chooses between equal things.
 */
import { type HostModel, modelSizes } from "../../models/index.ts";

/**
 * Variance among the experts' weights at the same place, averaged over all places and layers, over the mean square of
 * those weights. 0 = copies; null for models without experts.
 */
export function expertSpread({ config, weights }: HostModel): number | null {
  const { experts } = modelSizes(config);
  if (!experts) return null;
  let spread = 0;
  let total = 0;
  for (const [name, { data }] of weights) {
    if (!name.includes(".experts.0.")) continue;
    const values = Array.from({ length: experts.count }, (_, e) => {
      const own = weights.get(name.replace(".experts.0.", `.experts.${e}.`));
      if (!own) throw new Error(`internal: expert ${e} has no ${name}`);
      return own.data as Float32Array;
    });
    for (let i = 0; i < data.length; i++) {
      let mean = 0;
      for (const value of values) mean += value[i] / experts.count;
      for (const value of values) {
        spread += (value[i] - mean) ** 2;
        total += value[i] ** 2;
      }
    }
  }
  return spread / total;
}
