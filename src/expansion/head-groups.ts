/**
 * @file Which heads of the parent the child's heads are, where query heads share key heads, for any width method. Groups
 * that keep their size or are split evenly (one key head for all queries becomes several) are units, copied with the key
 * head they read. Groups of another size: key head j copies key head j mod n, and the queries of all its copies are, in
 * turn, those that read what it copies. Either way a query reads a copy of the key head it read.
 */
import type { Rng } from "../engine/index.ts";
import type { ModelSizes } from "../models/index.ts";
import { type FanOut, groupedFanOut } from "./plan/fan-out.ts";
import { repeatedIndices } from "./width/selected-stream.ts";
import type { WidthMethod } from "./width/width-growth.ts";

/** The parent's head for each of the child's, −1 = fresh. */
export interface HeadUnits {
  readonly queries: FanOut; // [nHead]
  readonly keys: Int32Array; // [nKvHead]
}

type HeadCounts = Pick<ModelSizes, "nHead" | "nKvHead">;

/** The heads of a child with at least the parent's heads and key heads. Errors: internal where a query finds no room. */
export function headUnits(
  parent: HeadCounts,
  child: HeadCounts,
  units: WidthMethod["units"],
  rng: Rng,
): HeadUnits {
  if (!holdsEveryQuery(parent, child))
    throw new Error("internal: a query has no room in its group");
  const [was, is] = [parent.nHead / parent.nKvHead, child.nHead / child.nKvHead];
  if (was % is === 0) {
    const groups = units(parent.nHead / is, child.nKvHead, rng);
    const keys = groups.source.map((group) => (group < 0 ? -1 : Math.floor((group * is) / was)));
    return { queries: groupedFanOut(groups, is), keys };
  }
  const keys = repeatedIndices(parent.nKvHead, child.nKvHead);
  const source = new Int32Array(child.nHead);
  const alpha = new Float64Array(child.nHead);
  for (let key = 0; key < parent.nKvHead; key++) {
    const heads = Array.from(source.keys()).filter((head) => keys[Math.floor(head / is)] === key);
    const local = units(was, heads.length, rng.fork(`key head ${key}`));
    heads.forEach((head, i) => {
      source[head] = local.source[i] < 0 ? -1 : key * was + local.source[i];
      alpha[head] = local.alpha[i];
    });
  }
  return { queries: { source, alpha }, keys };
}

/** Whether every query of the parent has a place: groups that shrink, but not evenly, may lack room. */
export function holdsEveryQuery(parent: HeadCounts, child: HeadCounts): boolean {
  const [was, is] = [parent.nHead / parent.nKvHead, child.nHead / child.nKvHead];
  return was % is === 0 || Math.floor(child.nKvHead / parent.nKvHead) * is >= was;
}
