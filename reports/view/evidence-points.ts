/** Direction against function: one point per parent latent that can be judged, by verdict. */
import type { PersistenceSummary } from "../run-data/persistence.ts";
import type { VerdictTable } from "../run-data/tables.ts";
import { severity, verdictWords, wordsOf } from "./verdicts.ts";

/** The points of one colour. */
export interface PointGroup {
  readonly label: string;
  readonly colour: string;
  /** (cosine, correlation). */
  readonly points: readonly (readonly [number, number])[];
}

/** The chart; thresholds split it into the four answers. */
export interface EvidenceView {
  readonly groups: readonly PointGroup[];
  readonly cosine: number;
  readonly correlation: number;
}

/** Null where no latent has both figures. */
export function evidencePoints(
  table: VerdictTable | null,
  document: PersistenceSummary | null,
): EvidenceView | null {
  if (table === null || document === null) return null;
  const byVerdict = new Map<string, (readonly [number, number])[]>();
  for (let row = 0; row < table.rows; row++) {
    if (table.isChild[row] || table.verdict[row] === "unknown") continue;
    const [cosine, correlation] = [table.measures.cos[row], table.measures.corr[row]];
    if (!Number.isFinite(cosine) || !Number.isFinite(correlation)) continue;
    const key = table.verdict[row];
    const points = byVerdict.get(key) ?? [];
    points.push([cosine, correlation]);
    byVerdict.set(key, points);
  }
  if (byVerdict.size === 0) return null;
  const known = verdictWords.map(({ key }) => key);
  const keys = [...byVerdict.keys()].sort((a, b) => severity(b) - severity(a) || (a < b ? -1 : 1));
  return {
    groups: keys.map((key) => ({
      label: known.includes(key) ? wordsOf(key).label : key,
      colour: wordsOf(key).colour,
      points: byVerdict.get(key) as (readonly [number, number])[],
    })),
    cosine: document.thresholds.cosine.used,
    correlation: document.thresholds.correlation.used,
  };
}
