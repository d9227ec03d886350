import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { beforeEach, expect, test } from "vitest";
import { readRun } from "../../reports/index.ts";
import { UsageError } from "../../src/io/index.ts";
import { writeFixtureRun } from "../support/fixture-run.ts";
import { temporaryFolder } from "../support/folder.ts";

const folder = temporaryFolder();
const small = { latents: 24, appended: 4 } as const;

beforeEach(() => mkdirSync(folder("empty")));

test("a whole run is read with every document of every stage", () => {
  writeFixtureRun(folder("run"), small);
  const run = readRun(folder("run"));
  expect(run.stages.map(({ name }) => name)).toEqual(["00-base", "01-wider", "02-deeper"]);
  expect(run.plan).toMatchObject({ title: "Which features came along?", seed: 0, minFirings: 50 });
  expect([run.toolVersion, run.backend]).toEqual(["0.1.0", "wasm"]);
  const [, wider] = run.stages;
  expect(wider.verdicts?.rows).toBe(24 + 28);
  expect(wider.features?.density).toHaveLength(28);
  expect(wider.features?.topLogits(0)).toHaveLength(8);
  for (const part of [wider.evaluation, wider.map, wider.check, wider.persistence, wider.circuit]) {
    expect(part).not.toBeNull();
  }
  expect(run.questions).toHaveLength(5);
});

test("what is not there yet is null, and planned stages are there without anything", () => {
  writeFixtureRun(folder("run"), { ...small, expansions: 0 });
  const run = readRun(folder("run"));
  expect(run.stages).toHaveLength(3);
  expect(run.stages[0].features).not.toBeNull();
  expect(run.stages[1]).toMatchObject({ evaluation: null, persistence: null, verdicts: null });
  expect(run.questions).toBeNull();
});

test("without a plan the stage folders say what the stages are", () => {
  writeFixtureRun(folder("run"), small);
  rmSync(folder("run", "plan.yaml"));
  const run = readRun(folder("run"));
  expect(run.plan.text).toBeNull();
  expect(run.stages.map(({ name }) => name)).toEqual(["00-base", "01-wider", "02-deeper"]);
});

test("several SAEs: the plan's first is followed, the others are kept", () => {
  writeFixtureRun(folder("run"), small);
  const stage = folder("run", "stages", "01-wider");
  const document = {
    stage: "01-wider",
    name: "other",
    thresholds: {
      cosine: { floor: 0.7, null_p99: null, used: 0.7 },
      correlation: { floor: 0.5, null_p99: null, used: 0.5 },
      containment: 0.7,
    },
    counts: {},
    eligible: 1,
    persisted: { value: 1, ci: null },
    inertia: {},
    cells: {},
  };
  for (const name of ["other", "resid"]) {
    writeFileSync(`${stage}/persistence/${name}.json`, JSON.stringify({ ...document, name }));
  }
  const [, wider] = readRun(folder("run")).stages;
  expect(wider.persistence?.name).toBe("resid");
  expect(wider.others.map(({ name }) => name)).toEqual(["other"]);
});

test("a folder that is no run is refused", () => {
  for (const name of ["empty", "nowhere"]) {
    expect(() => readRun(folder(name))).toThrow(UsageError);
  }
});

const damaged: readonly (readonly [string, string, string])[] = [
  ["plan.yaml", "saes: [", "plan.yaml"],
  ["plan.yaml", "stages:\n  - name: ../../etc\n", "stages.0.name"],
  ["plan.yaml", "saes:\n  - name: ../x\n", "saes.0.name"],
  ["metrics.jsonl", '{"stage": 1}\n', "metrics.jsonl, line 1: stage"],
  ["five-questions.json", '{"questions": [{"id": "one"}]}', "five-questions.json: questions.0"],
  ["stages/01-wider/eval.json", "{", "eval.json"],
  ["stages/01-wider/eval.json", '{"model": {"held_out_loss": "low"}}', "model.held_out_loss"],
  ["stages/01-wider/persistence.json", "{}", "persistence.json: stage"],
  ["stages/01-wider/persistence/resid.arrow", "not arrow", "resid.arrow"],
  ["stages/01-wider/features.arrow", "", "features.arrow"],
  ["stages/01-wider/circuits/induction.json", '{"nodes": 3}', "induction.json: nodes"],
  ["stages/01-wider/gates.json", "{}", "gates.json: passed"],
];

for (const [file, content, where] of damaged) {
  test(`a damaged ${file} (${where}) is one error that names it`, () => {
    writeFixtureRun(folder("run"), small);
    writeFileSync(folder("run", file), content);
    expect(() => readRun(folder("run"))).toThrow(UsageError);
    expect(() => readRun(folder("run"))).toThrow(where);
  });
}
