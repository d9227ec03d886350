/**
 * The planted-truth study (docs/planted-truth.md): pieces of worlds, each written to a folder as JSON as soon as it is
 * done, so that a stopped run goes on where it was; then the tables of the page. `npm run --silent bench:planted -- DIR
 * [PIECE…]` runs the pieces whose names begin with one of those given (all by default) and writes DIR/summary.json and
 * the page's tables.
 */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import {
  calibrationStudy,
  oracleStudy,
  type PlantedOptions,
  type PlantedTraining,
  plantedCounts,
  trainedStudy,
} from "../sae/planted/index.ts";
import { useBackend } from "../src/engine/index.ts";
import { circuitStudy } from "./planted-circuits.ts";
import { modelStudy } from "./planted-models.ts";
import { plantedTables, type StudyRecords } from "./planted-tables.ts";

interface Condition {
  readonly options: Partial<PlantedOptions>;
  readonly training?: Partial<PlantedTraining>;
}
/** Twice as many features as a world of 48 dimensions has by default: three a dimension. */
const crowded = { counts: plantedCounts(144) };
const conditions: Readonly<Record<string, Condition>> = {
  plain: { options: {} },
  correlated: { options: { correlation: 0.4 } },
  hierarchical: { options: { hierarchical: 0.5 } },
  rare: { options: { rare: 0.3 } },
  crowded: { options: crowded },
  "wrong L0": { options: { rare: 0.3 }, training: { l0: 1.4 } },
  "all at once": {
    options: { ...crowded, correlation: 0.4, hierarchical: 0.3, rare: 0.15, noise: 0.08 },
    training: { l0: 1.2, steps: 2000, carriedSteps: 1000 },
  },
};
const angles = { persisted: [0, 0, 15, 30], borderline: [45], drifted_direction: [60, 75, 90] };
const few = { lost: 2, uncovered: 2, carriedOnly: 2 };

/** Every piece by name. */
const pieces = new Map<string, () => Promise<unknown>>();
for (const condition of ["plain", "correlated", "hierarchical", "rare"]) {
  const { options } = conditions[condition];
  for (const [d, seeds] of [
    [48, 5],
    [96, 5],
    [256, 2],
  ]) {
    for (let seed = 1; seed <= seeds; seed++) {
      const counts = { ...plantedCounts(Math.round(1.5 * d)), borderline: 6 };
      pieces.set(`oracle-${condition}-${d}-${seed}`, () =>
        oracleStudy(seed, { d, angles, counts, ...options }, few),
      );
    }
  }
}
for (const seed of [1, 2, 3]) {
  for (const [condition, { options, training }] of Object.entries(conditions)) {
    pieces.set(`trained-${condition}-48-${seed}`, () =>
      trainedStudy(seed, { d: 48, angles, ...options }, { parentSeeds: 3, ...training }),
    );
  }
}
/** Where dictionaries are bad: too few latents, hardly any training in the child, hardly any training at all. */
const stresses: Readonly<Record<string, Partial<PlantedTraining>>> = {
  "few latents": { latentsPerFeature: 0.6 },
  "short carry": { carriedSteps: 50 },
  "short everywhere": { steps: 250, carriedSteps: 50 },
};
for (const seed of [1, 2]) {
  for (const [name, training] of Object.entries(stresses)) {
    pieces.set(`stress-${name}-48-${seed}`, () =>
      trainedStudy(seed, { d: 48, angles, ...crowded }, { parentSeeds: 3, ...training }),
    );
  }
  pieces.set(`model-${seed}`, () => modelStudy(seed));
  pieces.set(`circuit-${seed}`, () => circuitStudy(seed));
  pieces.set(`trained-plain-128-${seed}`, () =>
    trainedStudy(seed, { d: 128, angles }, { freshSeeds: 2, parentSeeds: 2 }),
  );
}
pieces.set("trained-plain-256-1", () =>
  trainedStudy(
    1,
    { d: 256, angles },
    { freshSeeds: 2, parentSeeds: 2, steps: 1000, carriedSteps: 500 },
  ),
);
for (const condition of ["plain", "correlated", "hierarchical"]) {
  for (let seed = 1; seed <= 20; seed++) {
    pieces.set(`calibration-${condition}-48-${seed}`, () =>
      calibrationStudy(seed, { d: 48, ...conditions[condition].options }),
    );
  }
}

const [dir, ...wanted] = process.argv.slice(2);
if (dir === undefined) throw new Error("usage: bench:planted -- DIR [PIECE…]");
mkdirSync(dir, { recursive: true });
let isReady = false;
for (const [name, run] of pieces) {
  const path = join(dir, `${name}.json`);
  const isWanted = wanted.length === 0 || wanted.some((start) => name.startsWith(start));
  if (!isWanted || existsSync(path)) continue;
  if (!isReady) await useBackend("native", { threads: 1 }); // pieces can run beside one another
  isReady = true;
  const began = { wall: performance.now(), cpu: process.cpuUsage() };
  writeFileSync(path, `${JSON.stringify(await run())}\n`);
  const { user, system } = process.cpuUsage(began.cpu);
  const cost = {
    piece: name,
    cpu_seconds: Number(((user + system) / 1e6).toFixed(1)),
    wall_seconds: Number(((performance.now() - began.wall) / 1000).toFixed(1)),
  };
  appendFileSync(join(dir, "times.jsonl"), `${JSON.stringify(cost)}\n`);
  console.log(`${name} ${cost.cpu_seconds} s of CPU, ${cost.wall_seconds} s`);
}
const records: Record<string, unknown> = {};
for (const file of readdirSync(dir).sort()) {
  const name = file.replace(/\.json$/, "");
  if (pieces.has(name)) records[name] = JSON.parse(readFileSync(join(dir, file), "utf8"));
}
writeFileSync(join(dir, "summary.json"), `${JSON.stringify(records, null, 1)}\n`);
plantedTables(records as StudyRecords);
