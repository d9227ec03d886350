/**
 * @file Which entries of a child come from its parent, read off the growth plan's axis maps: what freezing the
 * inherited part holds fast. Copies and means are inherited, free rows and columns and inserted blocks are not.
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
  for (const { name, from, axes } of plan.parameters) {
    if (from === null || without.has(name)) continue;
    if (axes.every(({ source }) => source.every(hasParent))) {
      inherited.set(name, "all");
      continue;
    }
    let mask = Uint8Array.of(1);
    for (const { source } of axes) {
      const before = mask;
      mask = new Uint8Array(before.length * source.length);
      for (let i = 0; i < mask.length; i++) {
        const isKept = hasParent(source[i % source.length]);
        mask[i] = isKept ? before[Math.floor(i / source.length)] : 0;
      }
    }
    if (mask.includes(1)) inherited.set(name, mask);
  }
  return inherited;
}

function hasParent(from: number): boolean {
  return from >= 0 || from === MEAN;
}
