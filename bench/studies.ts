/**
 * npm run --silent bench:study -- DIR [RUN…] [options]: the studies of docs/study.md on the command line tool itself.
 * Does the runs whose names begin with one of those given (all by default), one after the other, each in its folder of
 * DIR: a finished run is left as it is, a stopped one goes on. With --markdown no run is started, and the tables of the
 * page are written from the runs that DIR has.
 */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { parse, stringify } from "yaml";
import { writeTable } from "./harness/page.ts";
import { type FinishedRun, finishedRun } from "./studies/finished-run.ts";
import {
  firstOfSize,
  type StudyRun,
  scratchModel,
  studyRuns,
  variants,
  variedPlan,
} from "./studies/runs.ts";
import { takeOver } from "./studies/shared-tasks.ts";
import {
  carryTable,
  methodFigure,
  methodTable,
  pilotArmTable,
  pilotFigure,
  pilotFigureTable,
  stageTable,
} from "./studies/tables.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: "string", default: "0,1,2" },
    backend: { type: "string", default: "native" },
    threads: { type: "string", default: "auto" },
    workers: { type: "string", default: "auto" },
    bin: { type: "string", default: "dist/cli/bin.js" },
    markdown: { type: "boolean", default: false },
  },
});
const [dir, ...wanted] = positionals;
if (dir === undefined)
  throw new Error("usage: bench:study -- DIR [RUN…] [--seeds 0,1,2] [--markdown]");
const root = repository();

const runs = studyRuns(values.seeds.split(",").map(Number));
if (values.markdown) writeTables();
else {
  for (const run of runs) {
    if (wanted.length > 0 && !wanted.some((start) => run.name.startsWith(start))) continue;
    const began = performance.now();
    doRun(run);
    console.log(`${run.name} ${((performance.now() - began) / 1000).toFixed(1)} s`);
  }
}

/** Writes each table that there are runs for. */
function writeTables(): void {
  const finished = (some: readonly StudyRun[]): FinishedRun[] =>
    some.map(({ name, seed }) => finishedRun(dir, name, seed)).filter((run) => run !== null);
  const write = (table: string, name: string): void => writeTable(table, name, "study.md");
  const draw = (svg: string, name: string): void =>
    writeFileSync(join(root, "docs", "images", `${name}.svg`), svg);
  const pilots = finished(runs.filter(({ plan }) => plan === "pilot"));
  if (pilots.length > 0) {
    write(pilotArmTable(pilots), "pilot arms");
    write(pilotFigureTable(pilots), "pilot figures");
    draw(pilotFigure(pilots), "study-pilot");
  }
  const ways = variants
    .map((variant) => ({ variant, runs: finished(runs.filter((r) => r.variant === variant)) }))
    .filter((way) => way.runs.length > 0);
  if (ways.length > 0) {
    write(methodTable(ways), "methods");
    write(carryTable(ways), "methods carry");
    draw(methodFigure(ways), "study-methods");
  }
  for (const large of finished(runs.filter(({ plan }) => plan === "large"))) {
    write(stageTable(large), "large");
  }
}

function doRun({ name, plan, seed, variant }: StudyRun): void {
  const written = parse(readFileSync(join(root, "bench", "studies", `${plan}.yaml`), "utf8"));
  if (variant && !existsSync(join(dir, name))) {
    const base = `${plan}-base-${seed}`;
    tool("train", base, { ...written, stages: [] }, seed);
    cpSync(join(dir, base), join(dir, `${name}.part`), { recursive: true });
    const first = `${plan}-${firstOfSize(variant).name}-${seed}`;
    if (existsSync(join(dir, first)))
      takeOver(scratchModel, join(dir, first), join(dir, `${name}.part`));
    renameSync(join(dir, `${name}.part`), join(dir, name));
  }
  tool("expand-and-track", name, variant ? variedPlan(written, variant) : written, seed);
}

/** Runs the tool on a plan until it has ended. Errors: it fails. */
function tool(command: string, name: string, plan: unknown, seed: number): void {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, `${name}.yaml`);
  writeFileSync(path, stringify(plan));
  const { backend, threads, workers } = values;
  const flags = Object.entries({
    seed: String(seed),
    backend,
    threads,
    workers,
    out: join(dir, name),
  })
    .filter(([, value]) => value !== "auto")
    .flatMap(([flag, value]) => [`--${flag}`, value]);
  execFileSync(process.execPath, [resolve(root, values.bin), command, path, ...flags], {
    stdio: ["ignore", "ignore", "inherit"],
  });
}

/** The clone that this file is in, compiled or not. */
function repository(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json"))) folder = dirname(folder);
  return folder;
}
