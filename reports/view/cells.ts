/**
 * The 2×2 with its ceilings and its floor, as rows of one chart: the share of features that fire often enough with
 * a function match, its interval, and beside it the share with a match at τ alone. The gain of a row
 * over what any such model learns is what the estimands divide.
 */
import type { CellName, PersistenceSummary } from "../run-data/persistence.ts";
import type { IntervalRow } from "./interval-rows.ts";

const rows: readonly {
  readonly cell: CellName;
  readonly label: string;
  readonly short: string;
  readonly colour: string;
  readonly isMain: boolean;
}[] = [
  {
    cell: "CG",
    label: "Carried SAE, grown model",
    short: "Carried, grown",
    colour: "persisted",
    isMain: true,
  },
  {
    cell: "FG",
    label: "Fresh SAE, grown model",
    short: "Fresh, grown",
    colour: "born",
    isMain: true,
  },
  {
    cell: "CS",
    label: "Carried SAE, from-scratch model",
    short: "Carried, scratch",
    colour: "drifted",
    isMain: false,
  },
  {
    cell: "FS",
    label: "Fresh SAE, from-scratch model",
    short: "Fresh, scratch",
    colour: "drifted",
    isMain: false,
  },
  {
    cell: "CP",
    label: "Carried SAE, unchanged parent",
    short: "Carried, parent",
    colour: "unknown",
    isMain: false,
  },
  {
    cell: "FP",
    label: "Fresh SAE, unchanged parent",
    short: "Fresh, parent",
    colour: "unknown",
    isMain: false,
  },
];

/** The rows that were measured, the cells first; null where there is none. */
export function cellRows(document: PersistenceSummary | null): IntervalRow[] | null {
  if (document === null) return null;
  const { cells, arms } = document;
  const out: IntervalRow[] = rows.flatMap(({ cell, label, short, colour, isMain }) => {
    const measured = cells[cell];
    if (measured === null || measured.function === null) return [];
    const [floor, ceiling] =
      cell === "CG" ? [cells.CS, cells.CP] : cell === "FG" ? [cells.FS, cells.FP] : [null, null];
    return [
      {
        label,
        short,
        code: cell,
        value: measured.function,
        ci: measured.ci,
        secondary: measured.match,
        colour,
        isMain,
        from: floor?.function ?? null,
        to: ceiling?.function ?? null,
      },
    ];
  });
  for (const [role, label, short, colour] of [
    ["frozen", "Carried SAE not trained on, grown", "Frozen, grown", "carried"],
    ["reinit", "Carried SAE, random weights", "Carried, random weights", "died"],
  ] as const) {
    const arm = arms.find((candidate) => candidate.role === role);
    if (arm?.function == null) continue;
    out.push({
      label,
      short,
      code: "",
      value: arm.function,
      ci: null,
      secondary: arm.match,
      colour,
      isMain: false,
      from: null,
      to: null,
    });
  }
  return out.length === 0 ? null : out;
}
