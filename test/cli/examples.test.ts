// The example plans are valid, and their expansions are possible.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readPlan, resolvePlan, stageConfigs } from "../../cli/plan/index.ts";
import { root } from "../support/source-files.ts";

const folder = join(root, "examples");

test.each(readdirSync(folder).filter((name) => name.endsWith(".yaml")))(
  "%s resolves",
  async (name) => {
    const path = join(folder, name);
    const plan = resolvePlan(await readPlan(path), folder, path);
    const { configs, notes } = stageConfigs(plan, path);
    expect(configs).toHaveLength(1 + plan.stages.length);
    expect(notes.filter((note) => note.includes("nearest"))).toEqual([]);
  },
);
