/**
 * Where the features went, over all stages: base latents flow into their verdicts at the first
 * expansion, their confirmed heirs (and what joined) into the verdicts at the next, and so on. A
 * latent of a stage flows out of the node of its own origin, which is the verdict on it as a child.
 */

import type { VerdictTable } from "../run-data/tables.ts";
import type { RunData } from "../run-data.ts";
import { stageLabel } from "./stages.ts";
import { isKept } from "./verdicts.ts";

/** A block of latents in a column. */
export interface FateNode {
  readonly column: number;
  readonly key: string;
  readonly label: string;
  /** The label where there is little room. */
  readonly short: string;
  readonly colour: string;
  /** Latents that got this fate (the column's left side); children that joined for the joining nodes. */
  readonly count: number;
  /** Their heirs, which the next column judges; 0 in the last. */
  readonly leaving: number;
}

/** Latents on their way from a node to one of the next column. */
export interface FateLink {
  readonly column: number; // of `from`
  readonly from: string;
  readonly to: string;
  readonly count: number;
}

/** The whole flow. */
export interface FatesView {
  readonly columns: readonly { readonly stage: string; readonly label: string }[];
  readonly nodes: readonly FateNode[];
  readonly links: readonly FateLink[];
}

interface Group {
  readonly key: string;
  readonly label: string;
  readonly short?: string;
  readonly colour: string;
  readonly verdicts: readonly string[];
}

/** Fates of parent latents, top to bottom. */
const fateGroups: readonly Group[] = [
  { key: "persisted", label: "Persisted", colour: "persisted", verdicts: ["persisted"] },
  { key: "carried_only", label: "Carried only", colour: "carried", verdicts: ["carried_only"] },
  {
    key: "drifted",
    label: "Drifted",
    colour: "drifted",
    verdicts: ["drifted_direction", "drifted_meaning"],
  },
  {
    key: "split",
    label: "Split or absorbed",
    short: "Split",
    colour: "split",
    verdicts: ["split", "absorbed"],
  },
  { key: "merged", label: "Merged", colour: "split", verdicts: ["merged"] },
  { key: "uncertain", label: "Uncertain", colour: "uncertain", verdicts: ["uncertain"] },
  {
    key: "lost",
    label: "Lost by the SAE",
    short: "Lost by SAE",
    colour: "lost",
    verdicts: ["lost_by_sae"],
  },
  { key: "died", label: "Died", colour: "died", verdicts: ["died"] },
  { key: "unknown", label: "Unknown", colour: "unknown", verdicts: ["unknown"] },
];

/** Child latents that are nobody's heir. */
const joinedGroups: readonly Group[] = [
  { key: "born", label: "Born", colour: "born", verdicts: ["born"] },
  { key: "uncovered", label: "Uncovered", colour: "uncovered", verdicts: ["uncovered"] },
  {
    key: "joined",
    label: "No clear ancestor",
    short: "No ancestor",
    colour: "other",
    verdicts: ["related", "uncertain"],
  },
];

const base: Group = { key: "base", label: "Latents", colour: "ink", verdicts: [] };

/** The flow, or null before the first comparison. Stages behind one that was not compared are left out. */
export function fatesView(run: RunData): FatesView | null {
  const tables = comparedTables(run);
  if (tables.length === 0) return null;
  const nodes: FateNode[] = [];
  const links: FateLink[] = [];
  const first = sides(tables[0]).parents;
  nodes.push({ column: 0, ...shown(base), count: first.length, leaving: first.length });
  let origins: readonly string[] = first.map(() => base.key);
  tables.forEach((table, at) => {
    const column = at + 1;
    const { parents, children } = sides(table);
    const verdictOf = new Map(parents.map((row) => [table.latent[row], table.verdict[row]]));
    const childOrigins = children.map((row) =>
      originOf(table.verdict[row], verdictOf.get(table.match[row])),
    );
    const isLast = column === tables.length;
    const leaving = isLast ? new Map<string, number>() : tally(childOrigins);
    const fates = parents.map((row) => fateOf(table.verdict[row]));
    const counted = tally(fates);
    for (const group of fateGroups) {
      const n = counted.get(group.key) ?? 0;
      const out = leaving.get(group.key) ?? 0;
      if (n + out > 0) nodes.push({ column, ...shown(group), count: n, leaving: out });
    }
    const joined = tally(childOrigins);
    for (const group of joinedGroups) {
      const n = joined.get(group.key) ?? 0;
      if (n > 0) {
        nodes.push({ column, ...shown(group), count: n, leaving: leaving.get(group.key) ?? 0 });
      }
    }
    const pairs = tally(
      parents.map((row, i) => `${origins[table.latent[row]] ?? "joined"}>${fates[i]}`),
    );
    const order = [base, ...fateGroups, ...joinedGroups].map(({ key }) => key);
    for (const from of order) {
      for (const to of order) {
        const n = pairs.get(`${from}>${to}`) ?? 0;
        if (n > 0) links.push({ column: column - 1, from, to, count: n });
      }
    }
    const next: string[] = [];
    children.forEach((row, i) => {
      next[table.latent[row]] = childOrigins[i];
    });
    origins = next;
  });
  return {
    columns: run.stages
      .slice(0, tables.length + 1)
      .map(({ name }) => ({ stage: name, label: stageLabel(name) })),
    nodes,
    links,
  };
}

/** Base latents that can be judged, and those with a confirmed heir at every expansion up to `last`; null where a table is missing. */
export function throughAll(
  run: RunData,
  last: number,
): { readonly eligible: number; readonly kept: number } | null {
  const tables = comparedTables(run).slice(0, last);
  if (tables.length < last || last < 1) return null;
  const byParent = tables.map(
    (table) => new Map(sides(table).parents.map((r) => [table.latent[r], r])),
  );
  let eligible = 0;
  let kept = 0;
  for (const row of sides(tables[0]).parents) {
    if (tables[0].verdict[row] === "unknown") continue;
    eligible += 1;
    let latent = tables[0].latent[row];
    const survives = tables.every((table, at) => {
      const here = byParent[at].get(latent);
      if (here === undefined || !isKept(table.verdict[here])) return false;
      latent = table.match[here];
      return true;
    });
    if (survives) kept += 1;
  }
  return { eligible, kept };
}

/** The tables of the first expansions, up to the first that has none. */
function comparedTables(run: RunData): VerdictTable[] {
  const tables: VerdictTable[] = [];
  for (const { verdicts } of run.stages.slice(1)) {
    if (verdicts === null) break;
    tables.push(verdicts);
  }
  return tables;
}

function sides(table: VerdictTable): { parents: number[]; children: number[] } {
  const parents: number[] = [];
  const children: number[] = [];
  for (let row = 0; row < table.rows; row++) (table.isChild[row] ? children : parents).push(row);
  return { parents, children };
}

function fateOf(verdict: string): string {
  return fateGroups.find(({ verdicts }) => verdicts.includes(verdict))?.key ?? "unknown";
}

// An heir has its parent's verdict; what an uncertain parent is nearest to stays with it, and any
// other child joins here.
function originOf(verdict: string, nearest: string | undefined): string {
  if ((verdict === "related" || verdict === "uncertain") && nearest === "uncertain") {
    return "uncertain";
  }
  const joined = joinedGroups.find(({ verdicts }) => verdicts.includes(verdict));
  return (joined ?? fateGroups.find(({ verdicts }) => verdicts.includes(verdict)))?.key ?? "joined";
}

function shown({
  key,
  label,
  short = label,
  colour,
}: Group): Pick<FateNode, "key" | "label" | "short" | "colour"> {
  return { key, label, short, colour };
}

function tally(keys: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}
