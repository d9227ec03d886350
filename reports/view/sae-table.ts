/** The SAEs of a stage, one row per arm: sparsity, fidelity, and whether it may be compared with the carried one. */

import type { SaeEvaluation } from "../run-data/evaluation.ts";
import type { PersistenceArm } from "../run-data/persistence.ts";
import type { StageData } from "../run-data.ts";
import { decimal, percent } from "./format.ts";

/** A row of the table, as printed. */
export interface SaeRow {
  readonly arm: string;
  /** What the arm is for. */
  readonly what: string;
  /** Peak learning rate of its last training. */
  readonly rate: string;
  readonly l0: string;
  readonly fvu: string;
  readonly ceScore: string;
  readonly dead: string;
  readonly functionShare: string;
  /** null: nothing to compare with. */
  readonly matched: boolean | null;
  readonly isReal: boolean;
}

/** The table of one stage. */
export interface SaeTable {
  readonly rows: readonly SaeRow[];
  /** FVU of PCA at the rank of the SAE's L0. */
  readonly pcaFvu: string;
  readonly rank: string;
  readonly beatsPca: boolean | null;
}

const purposes: Readonly<Record<string, string>> = {
  carried: "the real one: carried and trained on",
  "carried-start": "carried, before any training",
  frozen: "carried, never trained on",
  fresh: "trained from scratch on the grown model",
  "fresh-parent": "trained from scratch on the unchanged parent",
  "same-model": "trained on, unchanged parent",
  reinit: "carried and trained on, random weights",
  scratch: "trained from scratch on the from-scratch model",
  "carried-scratch": "carried and trained on, from-scratch model",
  "carried-start.pre": "carried to before the inserted blocks, before any training",
  "frozen.pre": "carried to before the inserted blocks, never trained on",
  "no-expand": "trained on, parent that was trained on without growing",
};

/** Arms of the SAE called `name` from eval.json, with what persistence.json adds; null when nothing was evaluated. */
export function saeTable(
  { evaluation, persistence }: StageData,
  name: string = persistence?.name ?? "resid",
): SaeTable | null {
  const evaluated = (evaluation?.saes ?? []).filter(({ sae }) => sae === name);
  const compared = persistence?.arms ?? [];
  const names = [...new Set([...evaluated, ...compared].map(({ arm }) => arm))];
  if (names.length === 0) return null;
  const rows = names
    .map((arm) =>
      row(
        arm,
        evaluated.find((sae) => sae.arm === arm),
        compared.find((candidate) => candidate.arm === arm),
      ),
    )
    .sort((a, b) => Number(b.isReal) - Number(a.isReal));
  const real = evaluated.find(({ arm }) => arm === "carried");
  const pca = evaluation?.pca_fvu ?? null;
  return {
    rows,
    pcaFvu: decimal(pca, 3),
    rank: decimal(real?.l0 ?? null, 0),
    beatsPca: pca === null || real?.fvu == null ? null : real.fvu < pca,
  };
}

function row(
  arm: string,
  evaluated: SaeEvaluation | undefined,
  compared: PersistenceArm | undefined,
): SaeRow {
  const role = compared?.role || arm.replace(/-\d+$/, "");
  return {
    arm,
    what: purposes[role] ?? "",
    rate: compared?.lr == null ? "–" : String(compared.lr),
    l0: decimal(evaluated?.l0 ?? compared?.l0, 1),
    fvu: decimal(evaluated?.fvu ?? compared?.fvu, 3),
    ceScore: decimal(evaluated?.ce_loss_score_zero ?? compared?.ce_loss_score_zero, 3),
    dead: percent(evaluated?.dead_fraction),
    functionShare: decimal(compared?.function),
    matched: arm === "carried" ? null : (compared?.matched ?? null),
    isReal: arm === "carried",
  };
}
