// Flags → plan: where each goes, and what --expand understands.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  applyFlags,
  applyFlagsToRun,
  type PlanFlags,
  parseExpandFlag,
} from "../../../cli/plan/flags.ts";
import { resolvePlan } from "../../../cli/plan/resolve.ts";
import { UsageError } from "../../../src/io/index.ts";

let folder = "";
let text = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "flags-"));
  text = join(folder, "my.txt");
  writeFileSync(text, "words\n");
  writeFileSync(join(folder, "my.jsonl"), '{"text": "words"}\n');
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("parseExpandFlag", () => {
  test("sizes, methods, positions, noise", () => {
    expect(parseExpandFlag("width=1.5x,layers=+2,heads=8,mlp=512")).toEqual({
      width: "1.5x",
      layers: "+2",
      heads: 8,
      mlp: 512,
    });
    expect(parseExpandFlag("positions=0,2,width=96,noise-db=12.5")).toEqual({
      positions: [0, 2],
      width: 96,
      noise_db: 12.5,
    });
    expect(parseExpandFlag("positions=-1,0")).toEqual({ positions: [-1, 0] });
    expect(parseExpandFlag("layers=4, positions=top, no-noise")).toEqual({
      layers: 4,
      positions: "top",
      noise_db: null,
    });
    expect(parseExpandFlag("depth_method=identity,layers=+1")).toEqual({
      depth_method: "identity",
      layers: "+1",
    });
  });

  test("mistakes are named with what was meant", () => {
    expect(() => parseExpandFlag("widht=96")).toThrow(/did you mean width\?/);
    expect(() => parseExpandFlag("width=wide")).toThrow(/--expand width/);
    expect(() => parseExpandFlag("width=96,width=128")).toThrow(/twice/);
    for (const flag of [
      "",
      "width",
      "width=96,",
      "=3",
      "__proto__=1",
      "method=net3net",
      "96",
      "positions=-2",
    ]) {
      expect(() => parseExpandFlag(flag), flag).toThrow(UsageError);
    }
  });
});

describe("applyFlags", () => {
  test("flags win over the plan, and what they leave alone stays", () => {
    const plan = applyFlags(
      { seed: 1, model: { d_model: 32, train: { lr: 0.01 } }, saes: [{ k: 8, d_sae: 100 }] },
      { seed: 2, dModel: 64, k: 4, tokens: 1000, context: 32, vocab: 300 },
    );
    expect(plan).toMatchObject({
      seed: 2,
      model: { d_model: 64, train: { lr: 0.01, tokens: 1000 } },
      saes: [{ k: 4, d_sae: 100 }],
      data: { context: 32 },
      tokenizer: { vocab_size: 300 },
    });
  });

  test("--optimizer, --freeze and --checkpoints hold for every stage; one of three words is that word, others are patterns", () => {
    const stages = [{ expand: { width: 96 } }, { expand: { layers: 4 }, train: { tokens: 7 } }];
    const train = (flags: PlanFlags) =>
      applyFlags({ stages }, flags).stages?.map((stage) => stage.train);
    expect(train({ optimizer: "asymmetric", freeze: ["old-layers"] })).toEqual([
      { optimizer: "asymmetric", freeze: "old-layers" },
      { tokens: 7, optimizer: "asymmetric", freeze: "old-layers" },
    ]);
    expect(train({ freeze: ["*.wte.*", "inherited"] })?.[0]).toEqual({
      freeze: ["*.wte.*", "inherited"],
    });
    expect(train({ freeze: ["*.mlp.*"] })?.[0]).toEqual({ freeze: ["*.mlp.*"] });
    expect(train({ checkpoints: 0 })).toEqual([{ checkpoints: 0 }, { tokens: 7, checkpoints: 0 }]);
  });

  test("--text makes the corpus, by what it is", () => {
    expect(applyFlags({}, { text }).data).toMatchObject({ corpus: "text", path: text });
    expect(applyFlags({}, { text: join(folder, "my.jsonl") }).data).toMatchObject({
      corpus: "jsonl",
    });
    expect(applyFlags({}, { text: folder }).data).toMatchObject({ corpus: "folder" });
    expect(() => applyFlags({}, { text: join(folder, "none.txt") })).toThrow(UsageError);
  });

  test("--expand makes one stage each, with --tokens, --sae-tokens and --new-latents in them", () => {
    const { stages } = applyFlags(
      { stages: [{ name: "old" }] },
      { expand: ["width=1.5x", "layers=+2"], tokens: 10, saeTokens: 20, newLatents: 30 },
    );
    expect(stages).toEqual([
      { expand: { width: "1.5x" }, train: { tokens: 10 }, carry: { tokens: 20, new_latents: 30 } },
      { expand: { layers: "+2" }, train: { tokens: 10 }, carry: { tokens: 20, new_latents: 30 } },
    ]);
  });

  test("several hooks make several SAEs named by them; one hook moves the one SAE", () => {
    const [a, b] = ["blocks.0.hook_resid_post", "blocks.1.hook_mlp_out"];
    expect(applyFlags({}, { hook: [a, b], k: 4 }).saes).toEqual([
      { name: a, hook: a, k: 4 },
      { name: b, hook: b, k: 4 },
    ]);
    expect(applyFlags({}, { hook: [b] }).saes).toEqual([{ hook: b }]);
    expect(() => applyFlags({ saes: [{ name: "x" }, { name: "y" }] }, { hook: [a] })).toThrow(
      /2 hooks/,
    );
  });

  test("--hook-out makes transcoders, one for each hook that is read; --skip gives them a skip connection", () => {
    const [read, write] = ["blocks.0.mlp.hook_in", "blocks.0.hook_mlp_out"];
    expect(applyFlags({}, { hook: [read], hookOut: [write], skip: true }).saes).toEqual([
      { hook: read, hook_out: write, skip_connection: true },
    ]);
    const planned = { saes: [{ name: "a", hook: read }, { name: "b" }] };
    expect(applyFlags(planned, { hookOut: [write, "blocks.1.hook_mlp_out"] }).saes).toEqual([
      { name: "a", hook: read, hook_out: write },
      { name: "b", hook_out: "blocks.1.hook_mlp_out" },
    ]);
    expect(() => applyFlags(planned, { hookOut: [write] })).toThrow(/--hook-out.*2 hooks/);
    expect(() => applyFlags({}, { sae: false, hookOut: [write] })).toThrow(/--no-sae/);
  });

  test("--controls replaces what the plan's controls said", () => {
    const plan = applyFlags(
      { controls: { preset: "full", fresh_seeds: 9 } },
      { controls: "quick" },
    );
    expect(plan.controls).toEqual({ preset: "quick" });
  });
});

describe("applyFlagsToRun", () => {
  const stored = () =>
    resolvePlan(
      applyFlags({}, { text, expand: ["width=1.5x"], tokens: 100, saeTokens: 200 }),
      folder,
      "plan.yaml",
    );
  const again = (flags: Parameters<typeof applyFlagsToRun>[1]) =>
    applyFlagsToRun(stored(), flags, folder, "plan.yaml");

  test("no flags: the stored plan", () => {
    expect(again({})).toEqual(stored());
  });

  test("the same --expand again changes nothing, further ones are appended", () => {
    expect(again({ expand: ["width=1.5x"] })).toEqual(stored());
    const longer = again({ expand: ["width=1.5x", "layers=+2"], tokens: 7 });
    expect(longer.stages.slice(0, 1)).toEqual(stored().stages);
    expect(longer.stages[1]).toMatchObject({ name: "deeper", train: { tokens: 7 } });
    expect(longer.model.train.tokens).toBe(100);
  });

  test("another expansion in the place of a stored one shows as a change", () => {
    expect(again({ expand: ["width=2x"] }).stages[0].expand.width).toBe("2x");
  });
});
