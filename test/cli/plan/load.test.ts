// From a command line to a plan and its run folder, and a plan that no longer matches its run.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { PlanFlags } from "../../../cli/plan/flags.ts";
import { type LoadOptions, loadPlan } from "../../../cli/plan/load.ts";
import { asBegun, planPath, readStoredPlan, writePlan } from "../../../cli/plan/store.ts";
import type { ResolvedPlan } from "../../../cli/plan/types.ts";
import { UsageError } from "../../../src/io/index.ts";

let folder = "";
const at = (...parts: string[]): string => join(folder, ...parts);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "load-"));
  writeFileSync(at("my.txt"), "words\n");
  writeFileSync(
    at("plan.yaml"),
    "seed: 5\ndata: {path: my.txt}\nstages:\n  - expand: {width: 1.5x}\n",
  );
});
afterEach(() => rmSync(folder, { recursive: true }));

function load(
  command: LoadOptions["command"],
  flags: PlanFlags = {},
  options: Partial<LoadOptions> = {},
) {
  return loadPlan(flags, { command, force: false, ...options });
}

/** Does what a run does first: stores its plan. */
async function begin(...args: Parameters<typeof load>): Promise<void> {
  const { plan, runDir } = await load(...args);
  mkdirSync(runDir, { recursive: true });
  writePlan(runDir, plan);
}

async function problem(...args: Parameters<typeof load>): Promise<UsageError> {
  const error = await load(...args).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(UsageError);
  return error as UsageError;
}

describe("where the plan comes from", () => {
  test("a plan file: its paths start at its folder, the run is named after it", async () => {
    const { plan, runDir, discard } = await load("train", {}, { target: at("plan.yaml") });
    expect(plan.data.path).toBe(at("my.txt"));
    expect(plan.seed).toBe(5);
    expect(runDir).toBe(join("runs", "plan"));
    expect(discard).toBe(false);
  });

  test("flags alone", async () => {
    const { plan, runDir } = await load("train", { text: at("my.txt") }, { out: at("mine") });
    expect(plan.data).toMatchObject({ corpus: "text", path: at("my.txt") });
    expect(runDir).toBe(at("mine"));
  });

  test("nothing at all, a folder that is no run, no such file", async () => {
    expect((await problem("train")).expected).toContain("--text FILE");
    expect((await problem("train", {}, { target: folder })).code).toBe("not-a-run");
    expect((await problem("train", {}, { target: at("none.yaml") })).code).toBe("no-plan");
  });

  test("a folder with other files is not taken for a run", async () => {
    const { code, where } = await problem("train", { text: at("my.txt") }, { out: folder });
    expect(code).toBe("not-a-run");
    expect(where).toBe(folder);
    expect(
      (await problem("train", { text: at("my.txt") }, { out: folder, force: true })).code,
    ).toBe("not-a-run");
  });

  test("what a run that was killed at its very start leaves is not in the way", async () => {
    mkdirSync(at("run"));
    writeFileSync(at("run", ".lock"), "{}");
    await begin("train", { text: at("my.txt") }, { out: at("run") });
  });

  test("expand-and-track needs a stage", async () => {
    const { code } = await problem("expand-and-track", { text: at("my.txt") }, { out: at("run") });
    expect(code).toBe("no-stages");
  });
});

describe("a run that exists", () => {
  test("train, then expand-and-track with --expand: stages are appended, the same line goes on", async () => {
    await begin("train", { text: at("my.txt") }, { out: at("mine") });
    const expand = ["width=1.5x", "layers=+2"];
    await begin("expand-and-track", { expand }, { target: at("mine") });
    const { plan } = await load("expand-and-track", { expand }, { target: at("mine") });
    const stored = await readStoredPlan(at("mine"));
    expect(plan.stages.map(({ name }) => name)).toEqual(["wider", "deeper"]);
    expect(plan).toEqual(stored);
    expect((await load("expand-and-track", {}, { target: at("mine") })).plan).toEqual(stored);
    // The command that began the run goes on too, though it names no stages.
    expect((await load("train", { text: at("my.txt") }, { out: at("mine") })).plan).toEqual(stored);
  });

  test("a changed key is named with both values, and --force begins again", async () => {
    await begin("train", {}, { target: at("plan.yaml"), out: at("run") });
    const changed = await problem("train", { k: 8 }, { target: at("plan.yaml"), out: at("run") });
    expect(changed.code).toBe("plan-changed");
    expect(changed.where).toBe(`${planPath(at("run"))} saes[0].k`);
    expect(changed.expected).toContain("16");
    expect(changed.got).toBe("8");
    const forced = { target: at("plan.yaml"), out: at("run"), force: true };
    const { plan, discard } = await load("train", { k: 8 }, forced);
    expect(plan.saes[0].k).toBe(8);
    expect(discard).toBe(true);
  });

  test("another expansion in the place of a stored one, or fewer of them, is a change", async () => {
    await begin("expand-and-track", {}, { target: at("plan.yaml"), out: at("run") });
    const other = await problem(
      "expand-and-track",
      { expand: ["width=2x"] },
      { target: at("run") },
    );
    expect(other.where).toContain("stages[0].expand.width");
    const fewer = await problem(
      "expand-and-track",
      { text: at("my.txt"), seed: 5, expand: ["layers=+2"] },
      { out: at("run") },
    );
    expect(fewer.where).toContain("stages[0].name");
  });

  test("backend, threads and workers hold for one command; the seed may not change", async () => {
    await begin("train", {}, { target: at("plan.yaml"), out: at("run") });
    const target = { target: at("run") };
    const own = { backend: "cpu", threads: 2, workers: 7 } as const;
    const { plan } = await load("train", own, target);
    expect(plan).toMatchObject(own);
    const stored = (await readStoredPlan(at("run"))) as ResolvedPlan;
    expect(asBegun(plan, stored)).toEqual(stored);
    expect((await problem("train", { seed: 6 }, target)).where).toContain("seed");
  });

  test("--out beside a run folder is refused", async () => {
    await begin("train", {}, { target: at("plan.yaml"), out: at("run") });
    expect((await problem("train", {}, { target: at("run"), out: at("other") })).where).toBe(
      "--out",
    );
  });

  test("a run of another version is named as such", async () => {
    await begin("train", {}, { target: at("plan.yaml"), out: at("run") });
    writeFileSync(at("run", "manifest.json"), '{"format": "sae-carry/run", "version": 99}');
    writeFileSync(planPath(at("run")), "a_key_of_the_future: 1\n");
    expect((await problem("train", {}, { target: at("run") })).code).toBe("manifest-version");
    const forced = { target: at("plan.yaml"), out: at("run"), force: true };
    expect((await load("train", {}, forced)).discard).toBe(true);
  });

  test("the stored plan has paths relative to the run, so run and text can move together", async () => {
    await begin("train", { text: at("my.txt") }, { out: at("runs", "mine") });
    expect(readFileSync(planPath(at("runs", "mine")), "utf8")).toContain("path: ../../my.txt");
    expect((await readStoredPlan(at("runs", "mine")))?.data.path).toBe(at("my.txt"));
  });
});
