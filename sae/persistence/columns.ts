// The schema of persistence/<name>.arrow: what writeArrowTable takes.
import { type ColumnSpec, dictionary, float32, int32, list, utf8 } from "../../src/io/index.ts";
import { floatColumns, type PersistenceRows } from "./rows.ts";

/** The table as Arrow columns; NaN figures are stored as null. */
export function persistenceColumns(rows: PersistenceRows): ColumnSpec[] {
  return [
    { name: "side", type: dictionary(["parent", "child"]), values: rows.side },
    { name: "latent", type: int32, values: rows.latent },
    { name: "verdict", type: utf8, values: rows.verdict },
    { name: "verdict_detail", type: utf8, values: rows.verdict_detail },
    { name: "matches", type: list(int32), values: rows.matches },
    { name: "lineage_stage", type: utf8, values: rows.lineage_stage },
    { name: "lineage_parent", type: int32, values: rows.lineage_parent, nullable: true },
    { name: "firings_parent", type: int32, values: rows.firings_parent },
    { name: "firings_child", type: int32, values: rows.firings_child },
    ...floatColumns.map((name) => ({
      name,
      type: float32,
      values: rows[name],
      nullable: true,
    })),
  ];
}
