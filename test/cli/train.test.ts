// `train` and `expand-and-track` up to the point where the run begins: --dry-run, precedence, refusals.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { jsonDocuments } from "../../cli/json-schemas.ts";
import { testBackend } from "../support/backend.ts";
import { runCommand } from "../support/command-line.ts";

let folder = "";
const at = (...parts: string[]): string => join(folder, ...parts);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "train-"));
  writeFileSync(at("my.txt"), "Four score and seven years ago.\n".repeat(100));
  writeFileSync(
    at("plan.yaml"),
    "data: {path: my.txt}\nsaes: [{d_sae: 100, k: 8}]\nstages:\n  - expand: {width: 1.5x}\n",
  );
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => {
  vi.unstubAllEnvs();
});

interface DryRun {
  readonly stages: readonly Record<string, number | string>[];
  readonly total: Record<string, number>;
}

async function dryRun(...args: string[]): Promise<DryRun> {
  const { code, out } = await runCommand(...args, "--dry-run", "--json", "--backend", testBackend);
  expect(code, out).toBe(0);
  return jsonDocuments["dry-run"].schema.parse(JSON.parse(out)) as DryRun;
}

describe("--dry-run", () => {
  test("prints sizes, tokens, memory, disk and time of every stage, and writes nothing", async () => {
    const { stages, total } = await dryRun("expand-and-track", at("plan.yaml"), "--out", at("run"));
    expect(stages.map(({ stage, d_model }) => [stage, d_model])).toEqual([
      ["00-base", 64],
      ["01-wider", 96],
    ]);
    expect(total.seconds).toBeGreaterThan(0);
    expect(total.memory_bytes).toBeGreaterThan(1e8);
    expect(existsSync(at("run"))).toBe(false);
  });

  test("for people", async () => {
    const line = [
      "train",
      "--text",
      at("my.txt"),
      "--d-model",
      "32",
      "--dry-run",
      "--out",
      at("run"),
    ];
    const { code, out } = await runCommand(...line, "--backend", testBackend);
    expect(code).toBe(0);
    expect(out).toMatch(/^00-base +2 layers × 32, 4 heads/m);
    expect(out).toMatch(/^time +about /m);
  });
});

describe("precedence: flags, SAE_CARRY_*, plan, defaults", () => {
  const width = async (...flags: string[]): Promise<unknown> =>
    (await dryRun("train", "--text", at("my.txt"), "--out", at("run"), ...flags)).stages[0].d_model;

  test("each wins over what stands behind it", async () => {
    expect(await width()).toBe(64);
    writeFileSync(at("wide.yaml"), "data: {path: my.txt}\nmodel: {d_model: 48}\n");
    const planned = async (...flags: string[]): Promise<unknown> =>
      (await dryRun("train", at("wide.yaml"), "--out", at("run"), ...flags)).stages[0].d_model;
    expect(await planned()).toBe(48);
    vi.stubEnv("SAE_CARRY_D_MODEL", "40");
    expect(await planned()).toBe(40);
    expect(await planned("--d-model", "32")).toBe(32);
  });

  test("a variable that is wrong is an error that names its flag", async () => {
    vi.stubEnv("SAE_CARRY_K", "many");
    const { code, err } = await runCommand("train", "--text", at("my.txt"), "--dry-run");
    expect(code).toBe(2);
    expect(err).toContain("--k");
  });
});

describe("refused before anything runs, nothing written", () => {
  test.each([
    ["no such file", ["--text", "/nothing.txt"], "/nothing.txt"],
    ["a binary file", ["--text", process.execPath], process.execPath],
    ["an empty text", ["--text", "/dev/null"], "/dev/null"],
    ["heads that don't divide", ["--heads", "5"], "model.heads"],
    ["a hook that the model lacks", ["--hook", "blocks.5.hook_resid_post"], "saes[0].hook"],
    ["a hook that no model has", ["--hook", "blocks.0.hook_residual"], "saes[0].hook"],
    ["k past d_sae", ["--k", "1000", "--d-sae", "100"], "saes[0].k"],
    ["a child smaller than its parent", ["--expand", "width=32"], "stages[0].expand"],
    ["a width that heads don't allow", ["--expand", "width=70"], "stages[0].expand"],
    ["nothing that grows", ["--expand", "method=lemon"], "stages[0].expand"],
    ["an unknown key of --expand", ["--expand", "widht=96"], "--expand"],
    ["a model folder that is none", ["--model", "/nothing"], "/nothing"],
  ])("%s", async (_title, flags, where) => {
    const line = ["train", "--text", at("my.txt"), ...flags, "--out", at("refused"), "--json"];
    const { code, out } = await runCommand(...line);
    expect(code, out).toBe(2);
    const { error } = jsonDocuments.error.schema.parse(JSON.parse(out)) as {
      error: { where: string };
    };
    expect(error.where).toContain(where);
    expect(existsSync(at("refused"))).toBe(false);
  });
});
