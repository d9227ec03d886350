/**
 * @file Which entries of a child come from its parent, read off the growth plan's axis maps: what freezing the
 * inherited part holds fast. Copies and means are inherited, free rows and columns, new tokens and inserted blocks are not.
 */
import type { FrozenEntries } from "../../models/index.ts";
import type { FamilyGrowth } from "../family-growth.ts";
import { MEAN } from "./axis-map.ts";

/** The inherited entries of every parameter that has any. */
export function inheritedEntries({
  plan,
  fresh,
}: Pick<FamilyGrowth, "plan" | "fresh">): FrozenEntries {
  const without = new Set(fresh);
  const inherited = new Map<string, "all" | Uint8Array>();
  for (const { name, from, axes, rowSpread } of plan.parameters) {
    if (from === null || without.has(name)) continue;
    // rows that are a mean are new tokens; means elsewhere are what LEMON makes of the stream
    const isInherited = (index: number, axis: number): boolean =>
      index >= 0 || (index === MEAN && !(axis === 0 && rowSpread !== undefined));
    if (axes.every(({ source }, axis) => source.every((index) => isInherited(index, axis)))) {
      inherited.set(name, "all");
      continue;
    }
    let mask = Uint8Array.of(1);
    for (const [axis, { source }] of axes.entries()) {
      const before = mask;
      mask = new Uint8Array(before.length * source.length);
      for (let i = 0; i < mask.length; i++) {
        const isKept = isInherited(source[i % source.length], axis);
        mask[i] = isKept ? before[Math.floor(i / source.length)] : 0;
      }
    }
    if (mask.includes(1)) inherited.set(name, mask);
  }
  return inherited;
}
