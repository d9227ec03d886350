// A dense Llama that becomes a Mixtral in a plan's stage and then grows wider, with an SAE of the stream carried along;
// and the commands on what came out.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { jsonDocuments } from "../../../cli/json-schemas.ts";
import { loadSae } from "../../../sae/index.ts";
import { readJson } from "../../../src/io/index.ts";
import { loadConfig, modelSizes } from "../../../src/models/index.ts";
import { testBackend } from "../../support/backend.ts";
import { runCommand } from "../../support/command-line.ts";
import { smallText } from "../../support/small-run.ts";

let folder = "";
const at = (...parts: string[]): string => join(folder, ...parts);
const stage = (name: string, ...parts: string[]): string => at("run", "stages", name, ...parts);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "experts-"));
  writeFileSync(at("my.txt"), smallText(2500));
  writeFileSync(
    at("plan.yaml"),
    `workers: 1
data: {path: my.txt, context: 16}
tokenizer: {vocab_size: 280}
model: {family: llama, d_model: 16, layers: 2, heads: 4, kv_heads: 2, mlp: 24, train: {tokens: 3000, batch_tokens: 256}}
saes: [{name: resid, d_sae: 32, k: 4, tokens: 3000, batch_tokens: 256}]
stages:
  - {expand: {experts: 4}, train: {tokens: 2000}, carry: {new_latents: 4, tokens: 2000}}
  - {expand: {width: 24}, train: {tokens: 1000}, carry: {new_latents: 4, tokens: 1000}}
controls: {preset: quick}
eval: {tokens: 1000, min_firings: 5, bootstrap: 20}
`,
  );
  const flags = ["--backend", testBackend, "--out", at("run")];
  const { code, err } = await runCommand("expand-and-track", at("plan.yaml"), ...flags);
  expect(code, err).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Figures {
  readonly model: { readonly n_expert?: number; readonly loss_after_expansion: number };
  readonly exactness: { readonly max_abs_dlogit: number };
  readonly expert_spread: {
    readonly after_expansion: number;
    readonly after_training: number;
  } | null;
}
const figures = (name: string) => readJson(stage(name, "eval.json")) as Figures;

test("the stages are a Llama, a Mixtral, and a wider Mixtral", () => {
  expect(loadConfig(stage("00-base", "model")).model_type).toBe("llama");
  const [routed, wider] = ["01-experts", "02-wider"].map((name) =>
    loadConfig(stage(name, "model")),
  );
  expect(modelSizes(routed)).toMatchObject({ dModel: 16, experts: { count: 4, perToken: 2 } });
  expect(modelSizes(wider)).toMatchObject({ dModel: 24, experts: { count: 4, perToken: 2 } });
});

test("both expansions are exact, and the experts part in training", () => {
  for (const name of ["01-experts", "02-wider"]) {
    expect(figures(name).exactness.max_abs_dlogit).toBeLessThan(1e-4);
    expect(figures(name).model.n_expert).toBe(4);
  }
  expect(figures("00-base").expert_spread).toBeNull();
  const { expert_spread } = figures("01-experts");
  expect(expert_spread?.after_expansion).toBe(0);
  expect(expert_spread?.after_training).toBeGreaterThan(1e-6);
});

test("the SAE of the stream is carried by the identity", () => {
  const map = jsonDocuments.map.schema.parse(
    readJson(stage("01-experts", "expansion", "map.json")),
  ) as {
    readonly experts: Record<string, string>;
    readonly hooks: { tensor: string; from: string }[];
  };
  expect(map.experts).toEqual({ 0: "expert_map:0", 1: "expert_map:1" });
  const { tensor } = map.hooks.find(({ from }) => from === "blocks.0.hook_resid_post")!;
  expect(tensor).toBe("identity");
  const before = loadSae(stage("00-base", "sae", "resid"));
  const after = loadSae(stage("01-experts", "carried", "resid"));
  expect(after.W_dec).toEqual(before.W_dec);
  expect(after.W_enc).toEqual(before.W_enc);
});

test("training reports the routers' loss, the report what grew", () => {
  const lines = readFileSync(at("run", "metrics.jsonl"), "utf8").trim().split("\n");
  const trained = lines
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ phase, loss }) => phase === "lm" && loss !== undefined);
  for (const { stage: name, balance } of trained) {
    if (name === "00-base") expect(balance).toBeUndefined();
    else expect(balance).toBeGreaterThan(0);
  }
  expect(trained.some(({ balance }) => balance !== undefined)).toBe(true);
  expect(readFileSync(at("run", "report.html"), "utf8")).toContain("4 experts");
});

test("inspect, dump and eval take the Mixtral", async () => {
  const model = stage("01-experts", "model");
  const seen = await runCommand("inspect", model, "--json");
  const document = jsonDocuments.inspect.schema.parse(JSON.parse(seen.out)) as {
    readonly model: { readonly n_expert: number };
    readonly hooks: readonly string[];
  };
  expect(document.model.n_expert).toBe(4);
  expect(document.hooks).toContain("blocks.1.mlp.experts.3.hook_post");
  expect((await runCommand("inspect", model)).out).toContain("experts that a token uses");
  const hooks = ["blocks.1.mlp.hook_expert_weights", "blocks.0.mlp.experts.1.hook_post"];
  const dumped = await runCommand(
    ...["dump", model, "--text", at("my.txt"), "--hook", ...hooks, "--tokens", "64"],
    ...["--backend", testBackend, "--out", at("acts.arrow")],
  );
  expect(dumped.code, dumped.err).toBe(0);
});

test("expand says what the experts are, and refuses what can't have any", async () => {
  const base = stage("00-base", "model");
  const flags = ["--backend", testBackend, "--out", at("six")];
  const grown = await runCommand(
    "expand",
    base,
    "--experts",
    "6",
    "--experts-per-token",
    "3",
    ...flags,
  );
  expect(grown.code, grown.err).toBe(0);
  expect(grown.out).toContain("6 experts of 24 neurons (3 a token)");
  expect(modelSizes(loadConfig(at("six"))).experts).toEqual({ count: 6, perToken: 3 });
  const again = await runCommand("expand", at("six"), "--experts", "8", "--out", at("eight"));
  expect(again.code).toBe(2);
  expect(again.err).toContain("--experts");
});

test("an SAE on neurons that become experts is refused before anything runs", async () => {
  writeFileSync(
    at("neurons.yaml"),
    `data: {path: my.txt, context: 16}
model: {family: llama, d_model: 16, layers: 1, heads: 4}
saes: [{hook: blocks.0.mlp.hook_post}]
stages: [{expand: {experts: 4}}]
`,
  );
  const { code, err } = await runCommand("expand-and-track", at("neurons.yaml"), "--dry-run");
  expect(code).toBe(2);
  expect(err).toContain("saes[0].hook");
  expect(err).toContain("blocks.0.mlp.hook_post");
});
