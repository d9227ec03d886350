/** @file The maps of one or several expansions, one after the other, as one. */
import {
  composeMaps,
  type ExpansionMap,
  readMap,
  type SizeInfo,
} from "../../src/expansion/index.ts";
import { UsageError } from "../../src/io/index.ts";

/** Reads the maps in `dirs` (at least one), each of which starts at the child of the one before. Errors: UsageError naming the folder. */
export function readExpansions(dirs: readonly string[]): ExpansionMap {
  const maps = dirs.map((dir) => readMap(dir));
  return maps.reduce((map, next, i) => {
    const [has, needs] = [sizesOf(map.child), sizesOf(next.parent)];
    if (has === needs) return composeMaps(map, next);
    throw new UsageError({
      code: "maps-apart",
      where: dirs[i],
      expected: `an expansion of the child of ${dirs[i - 1]}: ${has}`,
      got: `one of a model of ${needs}`,
      hint: "--expansion is given once for each expansion, the first one first.",
    });
  });
}

function sizesOf({
  d_model,
  n_layer,
  n_head,
  d_head = d_model / n_head,
  d_mlp,
  params,
}: SizeInfo): string {
  return `${n_layer} layers × ${d_model}, ${n_head} heads of ${d_head}, ${d_mlp} neurons, ${params} parameters`;
}
