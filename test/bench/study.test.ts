// The plans of docs/study.md, and its tables from the documents of runs.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import type { FinishedRun } from "../../bench/studies/finished-run.ts";
import {
  firstOfSize,
  scratchModel,
  studyRuns,
  variants,
  variedPlan,
} from "../../bench/studies/runs.ts";
import { takeOver } from "../../bench/studies/shared-tasks.ts";
import { methodTable, pilotArmTable, pilotFigureTable } from "../../bench/studies/tables.ts";
import { parsePlan, resolvePlan } from "../../cli/plan/index.ts";
import { type RunManifest, readManifest, writeManifest } from "../../src/io/index.ts";
import { temporaryFolder } from "../support/folder.ts";
import { root } from "../support/source-files.ts";

const textOf = (plan: string): string =>
  readFileSync(join(root, "bench", "studies", `${plan}.yaml`), "utf8");

test("every run has a name of its own and a plan that resolves", () => {
  const runs = studyRuns([0, 1]);
  expect(new Set(runs.map(({ name }) => name)).size).toBe(2 + 2 * variants.length + 1);
  for (const { plan, variant } of runs) {
    const written = parse(textOf(plan));
    const text = stringify(variant ? variedPlan(written, variant) : written);
    const [stage] = resolvePlan(parsePlan(text, plan), root, plan).stages;
    expect(stage.expand).toMatchObject(variant?.expand ?? {});
    expect(stage.train.freeze).toBe(variant?.freeze ?? "none");
  }
});

describe("a run", () => {
  const path = temporaryFolder();
  const base: RunManifest = {
    ...({ format: "sae-carry/run", version: 1, tool_version: "0", seed: 0 } as const),
    backend: { name: "cpu", versions: {} },
    stages: [{ name: "00-base", state: "done", tasks: { data: "done" } }],
    artefacts: { "data/corpus.json": "a".repeat(64) },
  };
  const model = `${scratchModel.folder}/model.safetensors`;
  const donor = (state: "done" | "pending"): RunManifest => ({
    ...base,
    stages: [
      ...base.stages,
      { name: scratchModel.stage, state: "running", tasks: { [scratchModel.id]: state } },
    ],
    artefacts: {
      ...base.artefacts,
      [model]: "b".repeat(64),
      "stages/01-grown/other": "c".repeat(64),
    },
  });

  test("takes over the from-scratch model of a run of its size, and nothing else", () => {
    for (const folder of [scratchModel.folder, `.work/${scratchModel.id}`]) {
      mkdirSync(path("donor", folder), { recursive: true });
    }
    mkdirSync(path("own"));
    writeFileSync(path("donor", model), "weights");
    writeManifest(path("own"), base);
    writeManifest(path("donor"), donor("pending"));
    expect(takeOver(scratchModel, path("donor"), path("own"))).toBe(false);
    expect(readManifest(path("own"))).toEqual(base);
    writeManifest(path("donor"), donor("done"));
    expect(takeOver(scratchModel, path("donor"), path("own"))).toBe(true);
    expect(readFileSync(path("own", model), "utf8")).toBe("weights");
    const { stages, artefacts } = readManifest(path("own"));
    expect(stages).toEqual(donor("done").stages);
    expect(artefacts).toEqual({ "data/corpus.json": "a".repeat(64), [model]: "b".repeat(64) });
    expect(existsSync(path("own", ".work", scratchModel.id))).toBe(true);
  });

  test("shares it with ways of growing to the same size alone", () => {
    const firsts = variants.map((variant) => firstOfSize(variant).name);
    expect(new Set(firsts)).toEqual(new Set(["lemon", "identity"]));
  });
});

describe("the tables", () => {
  const estimate = { value: 0.5, ci: [0.4, 0.6] as const };
  const cell = (functions: number, match: number) => ({ function: functions, match, ci: null });
  /** A run in which the carried arm has this share of function matches. */
  const run = (seed: number, carried: number): FinishedRun =>
    ({
      name: `pilot-${seed}`,
      seed,
      stages: [
        { name: "00-base", evaluation: { model: { held_out_loss: 4 }, saes: [] } },
        {
          name: "01-wider",
          map: { exact: true },
          evaluation: {
            model: { held_out_loss: 3, loss_after_expansion: 4 },
            controls: { scratch: { held_out_loss: 3.5 } },
            saes: [{ arm: "carried", fvu: 0.125 }],
          },
          persistence: {
            arms: [
              { role: "carried", function: carried, match: 0.75 },
              { role: "fresh", function: 0.1, match: 0.2 },
              { role: "fresh", function: 0.3, match: 0.4 },
            ],
            cells: { CG: cell(carried, 0.75), CS: cell(0.2, 0.25), CP: cell(0.8, 0.875) },
            ...{ corrected: estimate, inheritance: estimate, carry_bonus: estimate },
            ...{ persisted: estimate, reinit_persisted: estimate, start_kept: estimate },
            inertia: { carried: 0.9, carried_scratch: 0.7, reinit: null, rotated: null },
            thresholds: { cosine: { used: 0.7 }, correlation: { used: 0.5 } },
            ...{ tokens_ratio: null, eligible: 10 },
          },
        },
      ],
    }) as unknown as FinishedRun;
  const runs = [run(0, 0.4), run(1, 0.6)];

  test("set the pilot's shares beside the mean over runs, with its range", () => {
    const lines = pilotArmTable(runs).split("\n");
    expect(lines[2]).toBe(
      "| carried, grown child (CG) | .58 | **.75 (.75 to .75)** | .42 | **.50 (.40 to .60)** | .90 | .90 (.90 to .90) |",
    );
    // two seeds of an arm are one value of the run
    expect(lines[3]).toContain("**.30 (.30 to .30)** | .13 | **.20 (.20 to .20)** | – | – |");
  });

  test("have the corrected share by match too, which the pilot's notes have", () => {
    const lines = pilotFigureTable(runs).split("\n");
    // (.75 − .25) / (.875 − .25)
    expect(lines[2]).toBe("| (CG − CS)/(CP − CS) by match | .66 | .80 | .80 |");
    expect(lines[3]).toContain("| .56 | .50 [.40, .60] | .50 [.40, .60] |");
  });

  test("have a line for each way of growing", () => {
    const [variant] = variants;
    expect(methodTable([{ variant, runs }]).split("\n")[2]).toBe(
      "| lemon | yes |  | 2 | 4.00 → 4.00 → 3.00 | .50 (.50 to .50) | .50 (.40 to .60) | .20 (.20 to .20) | .80 (.80 to .80) | **.50 (.50 to .50)** | [.40, .60], [.40, .60] | .50 (.50 to .50) |",
    );
  });
});

test("every table has its marks in docs/study.md", () => {
  const text = readFileSync(join(root, "docs/study.md"), "utf8");
  for (const name of ["pilot arms", "pilot figures", "methods", "methods carry", "large"]) {
    expect(text.indexOf(`<!-- /${name} -->`)).toBeGreaterThan(text.indexOf(`<!-- ${name} -->`));
  }
});
