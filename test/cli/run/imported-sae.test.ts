// `saes[].from`: a run that begins with SAEs that exist, one as SAELens writes it and one of ours that trains on; its
// carried SAEs go on at a rate of their own.
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadSae, type Sae, saveSae } from "../../../sae/index.ts";
import { useBackend } from "../../../src/engine/index.ts";
import { readJson, readJsonl } from "../../../src/io/index.ts";
import { testBackend } from "../../support/backend.ts";
import { runCommand } from "../../support/command-line.ts";
import { makeSmallRun, type SmallRun } from "../../support/small-run.ts";

let folder = "";
let small: SmallRun;
const at = (...parts: string[]): string => join(folder, ...parts);

/** The folder as SAELens writes it: a jumprelu SAE, and nothing of ours in its cfg.json. */
function likeSaeLens(from: string, to: string): void {
  cpSync(from, to, { recursive: true });
  const cfg = readJson(join(to, "cfg.json")) as { metadata: Record<string, unknown> };
  const { hook_name, context_size } = cfg.metadata;
  const metadata = {
    ...{ sae_lens_version: "6.49.2", sae_lens_training_version: "6.49.2", model_name: "gpt2" },
    ...{ hook_name, context_size, dataset_path: "someone/text", prepend_bos: true },
  };
  writeFileSync(join(to, "cfg.json"), JSON.stringify({ ...cfg, metadata }));
}

const plan = (saes: string): string => `backend: ${testBackend}
workers: 1
data: { corpus: text, path: ${small.text}, context: 16 }
model: { path: ${small.model} }
saes:
${saes}
stages: [{ expand: { width: 1.5x }, train: { tokens: 2000, batch_tokens: 256 }, carry: { new_latents: 4, tokens: 2000, lr: 0.001 } }]
controls: { preset: quick, arms: [fresh] }
eval: { tokens: 1500, min_firings: 5, bootstrap: 20 }
`;
const own = "  - { name: own, from: resid, from_tokens: 2000, tokens: 4000, batch_tokens: 512 }";
const theirs = "  - { name: theirs, from: theirs, k: 4, tokens: 4000, batch_tokens: 512 }";

async function run(saes: string, ...args: string[]): Promise<{ code: number; text: string }> {
  writeFileSync(at("plan.yaml"), plan(saes));
  const { code, out, err } = await runCommand(
    ...["expand-and-track", at("plan.yaml"), "--out", at("run"), "--json", ...args],
  );
  return { code, text: out + err };
}

beforeAll(async () => {
  await useBackend(testBackend);
  folder = mkdtempSync(join(tmpdir(), "imported-sae-"));
  small = await makeSmallRun(folder);
  likeSaeLens(small.sae, at("theirs"));
  const { code, text } = await run(`${theirs}\n${own}`);
  expect(code, text).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true }));

const base = (name: string): Sae => loadSae(at("run", "stages", "00-base", "sae", name));

test("an SAE of others is the base's to the bit, and its features are followed into the child", () => {
  const { cfg, ...weights } = loadSae(at("theirs"));
  const { cfg: stored, ...copied } = base("theirs");
  expect(cfg).toMatchObject({ architecture: "jumprelu", k: null });
  expect(copied).toEqual(weights);
  expect(stored).toMatchObject({ architecture: "jumprelu", hook_name: small.hook, d_in: 12 });
  const persistence = readJson(at("run", "stages", "01-wider", "persistence.json"));
  expect(JSON.stringify(persistence)).toContain('"theirs"');
  const arms = join("run", "stages", "01-wider", "arms", "fresh-1", "sae", "theirs");
  expect(loadSae(at(arms)).cfg).toMatchObject({ architecture: "jumprelu", d_in: 20, d_sae: 28 });
});

test("an SAE of ours trains on at the base where tokens are given", () => {
  const [before, after] = [loadSae(small.sae), base("own")];
  expect(after.cfg).toMatchObject({ architecture: "batchtopk", k: 4, d_sae: 24 });
  expect(after.W_enc).not.toEqual(before.W_enc);
  let moved = 0;
  for (const [i, w] of before.W_dec.entries())
    moved = Math.max(moved, Math.abs(w - after.W_dec[i]));
  expect(moved).toBeLessThan(0.2); // four steps of at most .004, and norms held
});

test("what goes on with a dictionary has the carry's rate, fresh SAEs their own, and both are said", () => {
  const lines = readJsonl(at("run", "metrics.jsonl")) as readonly Record<string, unknown>[];
  const peak = (arm: string): number =>
    Math.max(
      ...lines
        .filter(
          ({ stage, phase, arm: of }) => stage === "01-wider" && phase === "sae" && of === arm,
        )
        .map(({ lr }) => lr as number),
    );
  expect([peak("carried"), peak("fresh-1")]).toEqual([0.001, 0.008]);
  const { arms } = readJson(at("run", "stages", "01-wider", "persistence.json")) as {
    readonly arms: readonly { readonly arm: string; readonly lr: number | null }[];
  };
  const stated = Object.fromEntries(arms.map(({ arm, lr }) => [arm, lr]));
  expect(stated).toEqual({ carried: 0.001, "carried-start": null, "fresh-1": 0.008 });
});

test("the plan that a run stores says what was taken from the folder, and goes on without it", async () => {
  const stored = readFileSync(at("run", "plan.yaml"), "utf8");
  expect(stored).toMatch(/from: \.\.\/theirs\n +from_sha256: [0-9a-f]{64}\n/);
  renameSync(at("theirs"), at("elsewhere"));
  const { code, out } = await runCommand("expand-and-track", at("run"), "--json");
  expect(code, out).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ complete: true });
  renameSync(at("elsewhere"), at("theirs"));
});

test("another SAE under the folder's name is an error, in the plan and in the run", async () => {
  const before = loadSae(at("theirs"));
  cpSync(at("theirs"), at("kept"), { recursive: true });
  saveSae(at("theirs"), { ...before, b_dec: before.b_dec.map((b) => b + 1) });
  const again = await run(`${theirs}\n${own}`);
  expect(again).toMatchObject({ code: 2, text: expect.stringMatching(/sae-changed.*theirs/s) });
  const { code, out } = await runCommand("expand-and-track", at("run"), "--json");
  expect([code, out]).toEqual([2, expect.stringMatching(/sae-changed.*theirs/s)]);
  rmSync(at("theirs"), { recursive: true });
  renameSync(at("kept"), at("theirs"));
});

test.each([
  [
    "another width than the model has",
    "  - { from: narrow }",
    /saes\[0\]\.from.*12 numbers at.*d_in 7/s,
  ],
  [
    "a key that the folder contradicts",
    "  - { from: theirs, d_sae: 99 }",
    /saes\[0\]\.d_sae.*24.*99/s,
  ],
  ["no folder", "  - { from: nowhere }", /nowhere.*no such folder/s],
  ["tokens to train on without an SAE", "  - { from_tokens: 100 }", /from_tokens.*0 without saes/s],
])("%s is refused before anything is written", async (_, saes, message) => {
  const { cfg, ...rest } = loadSae(small.sae);
  saveSae(at("narrow"), {
    ...rest,
    cfg: { ...cfg, d_in: 7, d_out: 7 },
    W_enc: rest.W_enc.slice(0, 7 * 24),
    W_dec: rest.W_dec.slice(0, 7 * 24),
    b_dec: rest.b_dec.slice(0, 7),
  });
  const { code, text } = await run(saes, "--out", at("other"));
  expect(text).toMatch(message);
  expect([code, existsSync(at("other"))]).toEqual([2, false]);
});

test("--sae begins with folders, one SAE each, named for them; without a model there is nothing they are of", async () => {
  const args = [
    "--text",
    small.text,
    "--expand",
    "width=1.5x",
    "--context",
    "16",
    "--out",
    at("dry"),
    "--dry-run",
    "--json",
  ];
  const saes = ["--sae", small.sae, at("theirs"), "--backend", testBackend];
  const dry = await runCommand("expand-and-track", "--model", small.model, ...saes, ...args);
  expect(dry.code, dry.out + dry.err).toBe(0);
  // both, and two fresh ones beside each
  expect(JSON.parse(dry.out)).toMatchObject({ stages: [{ saes: 6 }, {}] });
  const without = await runCommand("expand-and-track", ...saes, ...args);
  expect([without.code, without.out]).toEqual([
    2,
    expect.stringMatching(/saes\[0\]\.from.*model\.path/s),
  ]);
});
