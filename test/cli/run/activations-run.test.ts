// `train --activations`: SAEs trained and measured on a dump alone, stopped and gone on with, and what is refused.
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { jsonDocuments } from "../../../cli/json-schemas.ts";
import { readStoredPlan } from "../../../cli/plan/index.ts";
import { taskGraph } from "../../../cli/run/graph.ts";
import { runTask } from "../../../cli/run/run-task.ts";
import type { ActivationsEvaluation } from "../../../cli/run/tasks/activations.ts";
import { loadSae } from "../../../sae/index.ts";
import { useBackend } from "../../../src/engine/index.ts";
import { Interrupted, readJson } from "../../../src/io/index.ts";
import { testBackend } from "../../support/backend.ts";
import { runCommand } from "../../support/command-line.ts";
import { makeSmallRun, type SmallRun } from "../../support/small-run.ts";

let folder = "";
let small: SmallRun;
const at = (...parts: string[]): string => join(folder, ...parts);
const resid = "blocks.0.hook_resid_post";
const neurons = "blocks.1.mlp.hook_post";

const flags = (run: string): string[] => [
  ...["--activations", at("acts.arrow"), "--hook", resid, "--hook", neurons],
  ...["--d-sae", "30", "--k", "4", "--sae-tokens", "60000", "--out", at(run)],
  ...["--backend", testBackend],
];

async function succeed(...args: string[]): Promise<Record<string, unknown>> {
  const { code, out, err } = await runCommand(...args, "--json");
  expect(code, out + err).toBe(0);
  return JSON.parse(out);
}

async function problem(...args: string[]): Promise<Record<string, string>> {
  const { code, out } = await runCommand(...args, "--json");
  expect(code, out).toBe(2);
  return JSON.parse(out).error;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "activations-run-"));
  small = await makeSmallRun(at("small"));
  const dump = ["--text", small.text, "--tokens", "8000", "--out", at("acts.arrow")];
  await succeed("dump", small.model, "--hook", resid, "--hook", neurons, ...dump);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("a run on a dump", () => {
  let answer: Record<string, unknown>;
  beforeAll(async () => {
    answer = await succeed("train", ...flags("run"));
  });
  const evaluation = () =>
    readJson(at("run", "stages", "00-base", "eval.json")) as ActivationsEvaluation;

  test("has an SAE for each hook, with figures that need no model, on documents held out", () => {
    expect(jsonDocuments.train.schema.parse(answer)).toMatchObject({
      complete: true,
      report: expect.stringContaining("report.html"),
      stages: [{ model: null, held_out_loss: null }],
    });
    const { activations, saes } = evaluation();
    const { rows, trained_rows, held_out_rows } = activations;
    // 16 tokens a sequence, the first left out
    expect(trained_rows + (held_out_rows as number)).toBe((rows * 15) / 16);
    expect((held_out_rows as number) / rows).toBeGreaterThan(0.05);
    expect(saes.map(({ hook_name, tokens }) => [hook_name, tokens])).toEqual([
      [resid, held_out_rows],
      [neurons, held_out_rows],
    ]);
    for (const { fvu, l0 } of saes) {
      expect(fvu).toBeLessThan(0.7);
      expect(l0).toBeGreaterThan(2);
      expect(l0).toBeLessThan(7);
    }
    expect(JSON.stringify(saes)).not.toContain('"ce_');
    const sae = loadSae(at("run", "stages", "00-base", "sae", neurons));
    expect(sae.cfg).toMatchObject({ d_in: 48, d_sae: 30, hook_name: neurons, context_size: 16 });
  });

  test("has a report of what needs no model", async () => {
    const page = readFileSync(at("run", "report.html"), "utf8");
    await succeed("report", at("run"), "--out", at("page.html"));
    expect(readFileSync(at("page.html"), "utf8")).toBe(page);
    const { activations, saes } = evaluation();
    for (const { fvu, dead_fraction, hook_name } of saes) {
      const row = new RegExp(`<tr><th scope="row">[^<]+</th><td class="far">${hook_name}<.*?</tr>`);
      const [cells] = row.exec(page) ?? [""];
      expect(cells).toContain(`>${(fvu as number).toFixed(3)}<`);
      expect(cells).toContain("BatchTopK, 4 of 30 latents");
      expect(dead_fraction).toBeLessThan(1);
    }
    expect(page).toContain(`<th scope="row">rows</th><td>${activations.rows.toLocaleString("en")}`);
    expect(page).toMatch(/<svg[^>]*>.*SAEs in training/s);
    expect(page).toContain("npx sae-carry train plan.yaml");
    // none of what a model or a text would tell
    expect(page).not.toMatch(/Five questions|CE score|held-out loss|<button[^>]*data-go/i);
  });

  test("is repeated by its stored plan, which speaks of nothing else", async () => {
    const plan = readFileSync(at("run", "plan.yaml"), "utf8");
    expect(plan).toContain("activations: ../acts.arrow");
    expect(plan).not.toMatch(/^(model|data|stages|controls|tokenizer):/m);
    const again = await succeed("train", at("run"), "--backend", testBackend);
    expect(again).toEqual(answer);
  });

  test("stopped in its midst ends with the same bytes", async () => {
    await useBackend(testBackend);
    const dir = at("stopped");
    const plan = await readStoredPlan(at("run"));
    if (plan === null) throw new Error("no plan");
    const [task] = taskGraph(plan);
    let asked = 0;
    const stopping = () => asked++ > 40;
    await expect(runTask(dir, plan, task, () => {}, stopping)).rejects.toThrow(Interrupted);
    const sae = join("stages", "00-base", "sae", plan.saes[0].name, "sae_weights.safetensors");
    expect(existsSync(join(dir, sae))).toBe(false);
    await runTask(
      dir,
      plan,
      task,
      () => {},
      () => false,
    );
    expect(readFileSync(join(dir, sae)).equals(readFileSync(at("run", sae)))).toBe(true);
    const metrics = join(".work", task.id, "metrics.jsonl");
    expect(readFileSync(join(dir, metrics))).toEqual(readFileSync(at("run", metrics)));
  });

  test("stopped is not gone on with on another dump", async () => {
    const plan = await readStoredPlan(at("run"));
    if (plan === null) throw new Error("no plan");
    const [task] = taskGraph(plan);
    let asked = 0;
    const run = (stopping: () => boolean) => runTask(at("changed"), plan, task, () => {}, stopping);
    await expect(run(() => asked++ > 40)).rejects.toThrow(Interrupted);
    renameSync(at("acts.arrow"), at("kept.arrow"));
    const dump = ["--text", small.text, "--tokens", "4000", "--out", at("acts.arrow")];
    await succeed("dump", small.model, "--hook", resid, "--hook", neurons, ...dump);
    await expect(run(() => false)).rejects.toMatchObject({ code: "dump-changed" });
    renameSync(at("kept.arrow"), at("acts.arrow"));
  });

  test("can't be grown, and has no text: what would say so is refused", async () => {
    expect(await problem("expand-and-track", at("run"), "--expand", "width=18")).toMatchObject({
      code: "no-model",
    });
    expect(await problem("train", ...flags("other"), "--text", small.text)).toMatchObject({
      where: "the command line data",
    });
    expect(await problem("train", ...flags("other"), "--d-model", "32")).toMatchObject({
      where: "the command line model",
    });
    expect(existsSync(at("other"))).toBe(false);
  });

  test("takes activations as SAELens caches them, a folder without doc and pos", async () => {
    const dump = ["--text", small.text, "--tokens", "2000", "--layout", "saelens"];
    await succeed("dump", small.model, "--hook", resid, ...dump, "--out", at("cached"));
    const line = ["train", "--activations", at("cached"), "--d-sae", "20", "--k", "4"];
    const found = await succeed(
      ...[...line, "--sae-tokens", "20000", "--out", at("from-cached"), "--backend", testBackend],
    );
    expect(found).toMatchObject({ complete: true });
    const { activations, saes } = readJson(
      at("from-cached", "stages", "00-base", "eval.json"),
    ) as ActivationsEvaluation;
    expect(activations).toMatchObject({ file: "cached", held_out: "documents" });
    // the first token of each sequence of 16 is left out
    const { rows, trained_rows, held_out_rows } = activations;
    expect(rows).toBeGreaterThan(1900);
    expect(trained_rows + (held_out_rows as number)).toBe((rows * 15) / 16);
    expect(saes[0].hook_name).toBe(resid);
    expect(saes[0].fvu).toBeLessThan(0.9);
    const sae = loadSae(at("from-cached", "stages", "00-base", "sae", "resid"));
    expect(sae.cfg.context_size).toBe(16);
  });

  test("names the hooks that there are", async () => {
    const line = ["train", "--activations", at("acts.arrow"), "--out", at("other")];
    expect(await problem(...line)).toMatchObject({ code: "no-hook", got: `${resid}, ${neurons}` });
    expect(await problem(...line, "--hook", "blocks.7.hook_resid_post")).toMatchObject({
      got: `activations of ${resid}, ${neurons}`,
    });
    const missing = ["train", "--activations", at("none.arrow"), "--hook", resid];
    expect(await problem(...missing, "--out", at("other"))).toMatchObject({ code: "cannot-read" });
    expect(existsSync(at("other"))).toBe(false);
  });

  test("--dry-run states the buffer in tokens and bytes, memory and time", async () => {
    const document = jsonDocuments["dry-run"].schema.parse(
      await succeed("train", ...flags("other"), "--dry-run"),
    ) as { buffer: unknown; tasks: { task: string; memory_bytes: number; seconds: number }[] };
    // 16 batches of 2,048 tokens, 12 + 48 numbers each
    expect(document.buffer).toEqual({ tokens: 32_768, bytes: 32_768 * 60 * 4 });
    expect(document.tasks.map(({ task }) => task)).toEqual(["00-base/sae", "report"]);
    expect(document.tasks[0].memory_bytes).toBeGreaterThan(3e8);
    expect(document.tasks[0].seconds).toBeGreaterThan(0);
    expect(existsSync(at("other"))).toBe(false);
  });
});
