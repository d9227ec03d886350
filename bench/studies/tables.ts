/** @file The tables of docs/study.md from the runs' own documents; shares of several seeds as mean (smallest to largest). */
import type { ArmRole, Estimate, PersistenceDocument } from "../../sae/persistence/index.ts";
import { shareFigure } from "./figures.ts";
import type { FinishedRun, FinishedStage } from "./finished-run.ts";
import type { Variant } from "./runs.ts";

/** A number of the pilot's notes (PyTorch, one seed); null where they have none. */
interface PilotArm {
  readonly role: ArmRole;
  readonly label: string;
  readonly match: number;
  readonly functions: number;
  readonly toStart: number | null;
}

/** The pilot's arms: match at r > .5, with strong containment besides, cosine ≥ .7 to its own start. Two seeds as their mean. */
const pilotArms: readonly PilotArm[] = (
  [
    ["carried", "carried, grown child (CG)", 0.578, 0.424, 0.899],
    ["fresh", "fresh, grown child (FG)", 0.257, 0.13, null],
    ["carried-scratch", "carried, from-scratch model (CS)", 0.198, 0.096, 0.692],
    ["scratch", "fresh, from-scratch model (FS)", 0.201, 0.104, null],
    ["same-model", "trained on, unchanged parent (CP)", 0.77, 0.683, null],
    ["fresh-parent", "fresh, parent (FP)", 0.279, 0.147, null],
    ["frozen", "carried, untrained, grown child", 0.562, 0.335, null],
    ["reinit", "carried, random weights", 0.03, 0.02, 0.89],
    ["rotated", "turned by a random matrix", 0.259, 0.124, 0.585],
    ["no-expand", "trained on, parent trained on", 0.665, 0.488, null],
  ] as const
).map(([role, label, match, functions, toStart]) => ({ role, label, match, functions, toStart }));

/** The pilot's arms beside those of its repetitions. */
export function pilotArmTable(runs: readonly FinishedRun[]): string {
  const documents = runs.map(comparison);
  const share = (role: ArmRole, of: "match" | "function"): string =>
    spread(runs.map((run) => armShare(run, role, of)));
  const toStart = (role: ArmRole): string => {
    const key = role.replace("-", "_") as keyof PersistenceDocument["inertia"];
    return spread(documents.map(({ inertia }) => inertia[key] ?? Number.NaN));
  };
  return [
    "| arm | match, pilot | match, here | function, pilot | function, here | near its own start, pilot | near its own start, here |",
    "|---|---|---|---|---|---|---|",
    ...pilotArms.map(
      (arm) =>
        `| ${arm.label} | ${two(arm.match)} | **${share(arm.role, "match")}** | ${two(arm.functions)} | **${share(arm.role, "function")}** | ${two(arm.toStart)} | ${toStart(arm.role)} |`,
    ),
  ].join("\n");
}

/** The same as a figure: function matches, the pilot's as rings. */
export function pilotFigure(runs: readonly FinishedRun[]): string {
  const rows = pilotArms.map(({ role, label, functions }) => {
    const values = runs.map((run) => armShare(run, role, "function"));
    return { label, values, ring: functions, isMain: role === "carried" };
  });
  return shareFigure(rows, "Share of the parent's latents with a function match, by arm");
}

/** What the pilot's arms add up to, and its models and SAEs, beside each seed. */
export function pilotFigureTable(runs: readonly FinishedRun[]): string {
  const row = (label: string, pilot: string, cell: (run: FinishedRun) => string): string =>
    `| ${label} | ${pilot} | ${runs.map(cell).join(" | ")} |`;
  const loss = (stage: 0 | 1, arm?: string) => (run: FinishedRun) => {
    const { model, controls } = run.stages[stage].evaluation;
    return two((arm === undefined ? model : controls[arm])?.held_out_loss);
  };
  const fvu = (stage: 0 | 1, arm: string) => (run: FinishedRun) =>
    three(fvuOf(run.stages[stage], arm));
  const cells = (run: FinishedRun, of: "match" | "function"): Record<string, number> =>
    Object.fromEntries(
      Object.entries(comparison(run).cells).map(([name, cell]) => [name, cell?.[of] ?? Number.NaN]),
    );
  const plain = (run: FinishedRun): string => {
    const { CG, CS, CP } = cells(run, "match");
    return two((CG - CS) / (CP - CS));
  };
  return [
    `| | pilot | ${runs.map(({ seed }) => `seed ${seed}`).join(" | ")} |`,
    `|---|---|${runs.map(() => "---|").join("")}`,
    row("(CG − CS)/(CP − CS) by match", ".66", plain),
    row("**the same by function: inertia-corrected persistence**", ".56", (run) =>
      withInterval(comparison(run).corrected),
    ),
    row("FG − FS by function", ".03", (run) => withInterval(comparison(run).inheritance)),
    row("carry bonus by function", ".30", (run) => withInterval(comparison(run).carry_bonus)),
    row("persisted", "–", (run) => withInterval(comparison(run).persisted)),
    row("persisted on random weights", "–", (run) =>
      withInterval(comparison(run).reinit_persisted),
    ),
    row("kept before any training", "–", (run) => two(comparison(run).start_kept.value)),
    row("tokens ratio", "about ⅓", (run) => two(comparison(run).tokens_ratio)),
    row("latents judged, of 768", "644", (run) => String(comparison(run).eligible)),
    row("τ of the cosine", ".7", (run) => two(comparison(run).thresholds.cosine.used)),
    row("τ of the correlation, largest", ".5", (run) =>
      two(comparison(run).thresholds.correlation.used),
    ),
    row("held-out loss: parent", "4.41", loss(0)),
    row("held-out loss: grown", "4.11", loss(1)),
    row("held-out loss: not grown, as many tokens", "4.15", loss(1, "no-expand")),
    row("held-out loss: from scratch", "3.79", loss(1, "scratch")),
    row("FVU: parent's SAE", ".022", fvu(0, "carried")),
    row("FVU: carried, untrained, on the trained child", ".134", fvu(1, "frozen")),
    row("FVU: carried", "–", fvu(1, "carried")),
    row("FVU: fresh", "–", fvu(1, "fresh-1")),
  ].join("\n");
}

/** A way of growing with its runs. */
export interface VariantRuns {
  readonly variant: Variant;
  readonly runs: readonly FinishedRun[];
}

/** How much persists, by way of growing. */
export function methodTable(all: readonly VariantRuns[]): string {
  return [
    "| growth | exact | frozen | seeds | loss: parent → at once → trained on | kept before training | CG | CS | CP | **corrected** | its interval in each seed | persisted |",
    "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ...all.map(({ variant, runs }) => {
      const documents = runs.map(comparison);
      const cell = (name: "CG" | "CS" | "CP"): string =>
        spread(documents.map(({ cells }) => cells[name]?.function ?? Number.NaN));
      const loss = (of: (run: FinishedRun) => number | null): string =>
        two(mean(runs.map((run) => of(run) ?? Number.NaN)));
      const intervals = documents.map(({ corrected: { ci } }) =>
        ci ? `[${two(ci[0])}, ${two(ci[1])}]` : "–",
      );
      return `| ${[
        wayOf(variant),
        runs.every((run) => last(run).map?.exact) ? "yes" : "no",
        variant.freeze === undefined ? "" : "what is inherited",
        runs.length,
        `${loss((run) => run.stages[0].evaluation.model.held_out_loss)} → ${loss((run) => last(run).evaluation.model.loss_after_expansion)} → ${loss((run) => last(run).evaluation.model.held_out_loss)}`,
        spread(documents.map(({ start_kept }) => start_kept.value ?? Number.NaN)),
        cell("CG"),
        cell("CS"),
        cell("CP"),
        `**${spread(documents.map(({ corrected }) => corrected.value ?? Number.NaN))}**`,
        intervals.join(", "),
        spread(documents.map(({ persisted }) => persisted.value ?? Number.NaN)),
      ].join(" | ")} |`;
    }),
  ].join("\n");
}

/** Inertia-corrected persistence by way of growing, as a figure. */
export function methodFigure(all: readonly VariantRuns[]): string {
  const rows = all.map(({ variant, runs }) => {
    const frozen = variant.freeze === undefined ? "" : ", inherited frozen";
    const exact = runs.every((run) => last(run).map?.exact);
    const values = runs.map((run) => comparison(run).corrected.value ?? Number.NaN);
    return { label: `${wayOf(variant)}${frozen}`, values, isMain: exact };
  });
  return shareFigure(rows, "Inertia-corrected persistence by way of growing");
}

/** What the carry saves, and the figures that warn of it, by way of growing. */
export function carryTable(all: readonly VariantRuns[]): string {
  return [
    "| growth | frozen | tokens ratio | FVU: fresh | FVU: carried | near its own start: grown child | from-scratch model | random weights | persisted on random weights |",
    "|---|---|---|---|---|---|---|---|---|",
    ...all.map(({ variant, runs }) => {
      const over = (of: (document: PersistenceDocument) => number | null | undefined): string =>
        spread(runs.map((run) => of(comparison(run)) ?? Number.NaN));
      return `| ${[
        wayOf(variant),
        variant.freeze === undefined ? "" : "what is inherited",
        over(({ tokens_ratio }) => tokens_ratio),
        three(mean(runs.map((run) => fvuOf(last(run), "fresh-1")))),
        three(mean(runs.map((run) => fvuOf(last(run), "carried")))),
        over(({ inertia }) => inertia.carried),
        over(({ inertia }) => inertia.carried_scratch),
        over(({ inertia }) => inertia.reinit),
        over(({ reinit_persisted }) => reinit_persisted.value),
      ].join(" | ")} |`;
    }),
  ].join("\n");
}

/** One run's stages side by side. */
export function stageTable({ stages }: FinishedRun): string {
  const row = (label: string, cell: (stage: FinishedStage) => string): string =>
    `| ${label} | ${stages.map(cell).join(" | ")} |`;
  const compared = (label: string, cell: (document: PersistenceDocument) => string): string =>
    row(label, ({ persistence }) => (persistence ? cell(persistence) : "–"));
  const cellNames = ["CG", "FG", "CS", "FS", "CP", "FP"] as const;
  return [
    `| | ${stages.map(({ name }) => name).join(" | ")} |`,
    `|---|${stages.map(() => "---|").join("")}`,
    row("layers × width", ({ evaluation: { model } }) => `${model.n_layer} × ${model.d_model}`),
    row("parameters", ({ evaluation: { model } }) => model.params.toLocaleString("en")),
    row("tokens of training", ({ evaluation }) =>
      evaluation.model.tokens_trained.toLocaleString("en"),
    ),
    row("held-out loss", ({ evaluation: { model } }) => two(model.held_out_loss)),
    row("loss of the controls: from scratch, not grown", ({ evaluation: { controls } }) =>
      ["scratch", "no-expand"].map((arm) => two(controls[arm]?.held_out_loss)).join(", "),
    ),
    row("largest difference of a logit at the expansion", ({ evaluation }) =>
      evaluation.exactness ? evaluation.exactness.max_abs_dlogit.toExponential(0) : "–",
    ),
    row(
      "FVU: carried (PCA at its rank)",
      (stage) => `${three(fvuOf(stage, "carried"))} (${three(stage.evaluation.pca_fvu)})`,
    ),
    row(
      "FVU: fresh, carried untrained",
      (stage) => `${three(fvuOf(stage, "fresh-1"))}, ${three(fvuOf(stage, "frozen"))}`,
    ),
    row("dead latents of the carried SAE", (stage) =>
      two(stage.evaluation.saes.find(({ arm }) => arm === "carried")?.dead_fraction),
    ),
    compared("latents judged", ({ eligible }) => String(eligible)),
    compared("persisted", ({ persisted }) => withInterval(persisted)),
    compared("persisted on random weights", (d) => withInterval(d.reinit_persisted)),
    compared("kept before any training", (d) => withInterval(d.start_kept)),
    compared(cellNames.join(" / "), ({ cells }) =>
      cellNames.map((name) => two(cells[name]?.function)).join(" / "),
    ),
    compared("**inertia-corrected persistence**", ({ corrected }) => withInterval(corrected)),
    compared("inheritance without any carry", ({ inheritance }) => withInterval(inheritance)),
    compared("carry bonus", (d) => withInterval(d.carry_bonus)),
    compared("tokens ratio", (d) => two(d.tokens_ratio)),
    compared(
      "near its own start: carried / from-scratch / random weights / turned",
      ({ inertia: i }) => [i.carried, i.carried_scratch, i.reinit, i.rotated].map(two).join(" / "),
    ),
    compared("verdicts", ({ counts }) =>
      Object.entries(counts)
        .filter(([, n]) => n > 0)
        .map(([verdict, n]) => `${verdict} ${n}`)
        .join(", "),
    ),
  ].join("\n");
}

function wayOf({ expand }: Variant): string {
  return String(expand.method ?? expand.depth_method);
}

function last({ stages }: FinishedRun): FinishedStage {
  return stages[stages.length - 1];
}

/** The comparison of the last stage. */
function comparison(run: FinishedRun): PersistenceDocument {
  const { persistence } = last(run);
  if (persistence === null) throw new Error(`internal: ${run.name} has no comparison`);
  return persistence;
}

function fvuOf({ evaluation }: FinishedStage, arm: string): number {
  return evaluation.saes.find((sae) => sae.arm === arm)?.fvu ?? Number.NaN;
}

/** An arm's share, its seeds averaged; NaN where the run lacks it. */
function armShare(run: FinishedRun, role: ArmRole, of: "match" | "function"): number {
  const arms = comparison(run).arms.filter((arm) => arm.role === role);
  return arms.length === 0 ? Number.NaN : mean(arms.map((arm) => arm[of] ?? Number.NaN));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value / values.length, 0);
}

/** Mean (smallest to largest); one value alone. Says how many lack where some do. */
function spread(values: readonly number[]): string {
  const known = values.filter((value) => Number.isFinite(value));
  if (known.length === 0) return "–";
  const lacking = known.length < values.length ? `, in ${known.length} of ${values.length}` : "";
  if (values.length === 1) return two(known[0]);
  return `${two(mean(known))} (${two(Math.min(...known))} to ${two(Math.max(...known))}${lacking})`;
}

function withInterval({ value, ci }: Estimate): string {
  return value === null ? "–" : `${two(value)}${ci ? ` [${two(ci[0])}, ${two(ci[1])}]` : ""}`;
}

function two(value: number | null | undefined): string {
  return digits(value, 2);
}

function three(value: number | null | undefined): string {
  return digits(value, 3);
}

function digits(value: number | null | undefined, n: number): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return value.toFixed(n).replace(/^(-?)0\./, "$1.");
}
