/** The tables of docs/planted-truth.md from the records of the study. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  type CalibrationRecord,
  type ClassScore,
  type Confusion,
  classScore,
  type PlantedRecord,
  parentKinds,
  rateOf,
  sumConfusions,
} from "../sae/planted/index.ts";
import { withTable } from "./harness/markdown.ts";
import type { CircuitRecord } from "./planted-circuits.ts";
import type { ModelRecord } from "./planted-models.ts";

/** Records by piece. */
export type StudyRecords = Readonly<Record<string, StudyRecord>>;
type StudyRecord = PlantedRecord & CalibrationRecord & ModelRecord & CircuitRecord;

const parentClasses = parentKinds.filter((kind) => kind !== "borderline");

/** Puts every table that there are records for into the page. */
export function plantedTables(records: StudyRecords): void {
  // from dist-bench/bench/
  const path = fileURLToPath(new URL("../../docs/planted-truth.md", import.meta.url));
  let page = readFileSync(path, "utf8");
  const groups = groupsOf(records);
  for (const level of ["oracle", "trained", "stress"]) {
    const here = [...groups].filter(([name]) => name.startsWith(`${level}-`));
    if (here.length === 0) continue;
    page = withTable(page, scoreTable(here), `${level} scores`);
    const all = here.flatMap(([, some]) => some);
    page = withTable(page, confusionTable(all.map(({ rule }) => rule.parent)), `${level} parent`);
    if (level !== "stress") {
      page = withTable(page, confusionTable(all.map(({ rule }) => rule.child)), `${level} child`);
      page = withTable(page, angleTable(all), `${level} angles`);
    }
    if (level !== "oracle") page = withTable(page, controlTable(here), `${level} controls`);
    page = withTable(page, baselineTable(all), `${level} baselines`);
  }
  const calibration = [...groups].filter(([name]) => name.startsWith("calibration-"));
  if (calibration.length > 0) page = withTable(page, calibrationTable(calibration), "calibration");
  const models = Object.entries(records).filter(([name]) => name.startsWith("model-"));
  if (models.length > 0) page = withTable(page, modelTable(models.map(([, r]) => r)), "models");
  const circuits = Object.entries(records).filter(([name]) => name.startsWith("circuit-"));
  if (circuits.length > 0) {
    page = withTable(page, circuitTable(circuits.map(([, r]) => r)), "circuits");
  }
  writeFileSync(path, page);
}

/** Pieces that differ by their seed alone, together. */
function groupsOf(records: StudyRecords): Map<string, StudyRecord[]> {
  const groups = new Map<string, StudyRecord[]>();
  for (const [name, record] of Object.entries(records)) {
    const group = name.slice(0, name.lastIndexOf("-"));
    groups.set(group, [...(groups.get(group) ?? []), record]);
  }
  return groups;
}

function scoreTable(groups: readonly (readonly [string, readonly PlantedRecord[]])[]): string {
  const all = ["all", groups.flatMap(([, some]) => some)] as const;
  const lines = [...groups, all].map(([name, some]) => {
    const matrix = sumConfusions(some.map(({ rule }) => rule.parent));
    const child = sumConfusions(some.map(({ rule }) => rule.child));
    const cells = parentClasses.map((kind) => score(classScore(matrix, kind)));
    return `| ${name.replace(/^\w+-/, "").replace("-", ", d ")} | ${some.length} | ${cells.join(" | ")} | ${score(classScore(child, "born"))} |`;
  });
  return [
    `| world | seeds | ${parentClasses.join(" | ")} | born |`,
    `|---|---|${"---|".repeat(parentClasses.length + 1)}`,
    ...lines,
  ].join("\n");
}

/** Precision, recall and F1, the first two with their intervals. */
function score({ precision, recall, f1 }: ClassScore): string {
  const rate = ({ value, ci }: ClassScore["precision"]): string =>
    Number.isNaN(value) ? "–" : `${two(value)} [${two(ci[0])}, ${two(ci[1])}]`;
  return `${rate(precision)}; ${rate(recall)}; **${two(f1)}**`;
}

function confusionTable(matrices: readonly Confusion[]): string {
  const sum = sumConfusions(matrices);
  const verdicts = [...new Set(Object.values(sum).flatMap((line) => Object.keys(line)))].sort();
  return [
    `| planted \\ verdict | ${verdicts.join(" | ")} |`,
    `|---|${"---|".repeat(verdicts.length)}`,
    ...Object.entries(sum).map(
      ([kind, line]) => `| ${kind} | ${verdicts.map((v) => line[v] ?? "").join(" | ")} |`,
    ),
  ].join("\n");
}

function angleTable(records: readonly PlantedRecord[]): string {
  const sum = sumConfusions(records.map(({ byAngle }) => byAngle));
  const angles = Object.keys(sum).sort((a, b) => Number(a) - Number(b));
  const share = (angle: string, verdict: string): string => {
    const line = sum[angle];
    const n = Object.values(line).reduce((a, b) => a + b, 0);
    return two((line[verdict] ?? 0) / n);
  };
  return [
    `| planted angle | ${angles.map((a) => `${a}°`).join(" | ")} |`,
    `|---|${"---|".repeat(angles.length)}`,
    ...["persisted", "carried_only", "drifted_direction"].map(
      (verdict) => `| ${verdict} | ${angles.map((a) => share(a, verdict)).join(" | ")} |`,
    ),
  ].join("\n");
}

function controlTable(groups: readonly (readonly [string, readonly PlantedRecord[]])[]): string {
  return [
    "| world | features the parent's SAE has | the carried SAE has | a fresh SAE has | reinit persisted | start kept |",
    "|---|---|---|---|---|---|",
    ...groups.map(([name, some]) => {
      const mean = (read: (record: PlantedRecord) => number): string =>
        two(some.reduce((sum, record) => sum + read(record) / some.length, 0));
      const worst = (values: (number | null)[], pick: (...x: number[]) => number): string =>
        pick(...values.filter((v) => v !== null)).toFixed(3);
      return `| ${name.replace(/^\w+-/, "").replace("-", ", d ")} | ${mean((r) => r.recovered.parent)} | ${mean((r) => r.recovered.carried)} | ${mean((r) => r.recovered["fresh-0"])} | at most ${worst(
        some.map((r) => r.reinitPersisted),
        Math.max,
      )} | at least ${worst(
        some.map((r) => r.startKept),
        Math.min,
      )} |`;
    }),
  ].join("\n");
}

function baselineTable(records: readonly PlantedRecord[]): string {
  const rules = [...new Set(records.flatMap(({ baselines }) => Object.keys(baselines)))];
  const row = (name: string, parent: Confusion, child: Confusion): string => {
    const cell = (matrix: Confusion, kind: string, without?: readonly string[]): string => {
      const called = Object.values(matrix).some((line) => (line[kind] ?? 0) > 0);
      return called ? score(classScore(matrix, kind, [kind], without)) : "–";
    };
    const strict = classScore(parent, "persisted", ["persisted"], ["borderline", "too rare"])
      .precision.value;
    return `| ${name} | ${cell(parent, "persisted")} | ${two(strict)} | ${cell(parent, "drifted_direction")} | ${cell(parent, "died")} | ${cell(child, "born")} |`;
  };
  const lines = rules.map((rule) => {
    const some = records.flatMap(({ baselines }) => baselines[rule] ?? []);
    return row(
      rule,
      sumConfusions(some.map(({ parent }) => parent)),
      sumConfusions(some.map(({ child }) => child)),
    );
  });
  return [
    "| rule | persisted | its precision with latents of no feature | drifted_direction | died | born |",
    "|---|---|---|---|---|---|",
    row(
      "**sae-carry**",
      sumConfusions(records.map(({ rule }) => rule.parent)),
      sumConfusions(records.map(({ rule }) => rule.child)),
    ),
    ...lines,
  ].join("\n");
}

function modelTable(records: readonly ModelRecord[]): string {
  const line = (confusion: Confusion, kind: string): string =>
    Object.entries(confusion[kind] ?? {})
      .sort(([, a], [, b]) => b - a)
      .map(([verdict, n]) => `${verdict} ${n}`)
      .join(", ");
  return [
    "| seed | kept at the start (width; width and a block) | removed feature | its parent's other latents | injected feature | the carried SAE's other latents | reinit persisted |",
    "|---|---|---|---|---|---|---|",
    ...records.map(
      ({ seed, startKept, parent, child, reinitPersisted }) =>
        `| ${seed} | ${startKept.map((x) => x.toFixed(3)).join("; ")} | ${line(parent, "injected")} | ${line(parent, "other")} | ${line(child, "injected")} | ${line(child, "other")} | ${reinitPersisted?.toFixed(3)} |`,
    ),
  ].join("\n");
}

function circuitTable(records: readonly CircuitRecord[]): string {
  return [
    "| seed | knocked out | effect left | question 4 |",
    "|---|---|---|---|",
    ...records.flatMap(({ seed, heads, previousToken, whole, silenced, deaf }) => {
      const best = `heads ${heads.join(", ")} of layer 0 (best previous-token score ${previousToken.toFixed(2)})`;
      return [
        ["nothing", whole] as const,
        [best, silenced] as const,
        ["every head", deaf] as const,
      ].map(
        ([what, { answer, effect }]) => `| ${seed} | ${what} | ${effect.toFixed(2)} | ${answer} |`,
      );
    }),
  ].join("\n");
}

function calibrationTable(
  groups: readonly (readonly [string, readonly CalibrationRecord[]])[],
): string {
  const lines = groups.map(([name, some]) => {
    const rate = (pick: "significant" | "matched" | "persisted"): string => {
      const called = some.reduce((sum, record) => sum + record[pick].called, 0);
      const wrong = some.reduce((sum, record) => sum + record[pick].false, 0);
      const { value, ci } = rateOf(wrong, called);
      return `${value.toFixed(3)} [${ci[0].toFixed(3)}, ${ci[1].toFixed(3)}] of ${called}`;
    };
    return `| ${name.replace("calibration-", "").replace("-", ", d ")} | ${some.length} | ${rate("significant")} | ${rate("matched")} | ${rate("persisted")} |`;
  });
  return [
    "| world | seeds | q ≤ .05 alone | q ≤ .05 and r ≥ τ | persisted |",
    "|---|---|---|---|---|",
    ...lines,
  ].join("\n");
}

function two(value: number): string {
  return Number.isNaN(value) ? "–" : value.toFixed(2).replace(/^0/, "").replace(/^-0/, "-");
}
