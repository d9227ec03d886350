// An SAE that exists decides what its defaults go by: its latents and its k, not the plan's own defaults of them.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { resolveSaes } from "../../../cli/plan/resolve-saes.ts";
import { saveSae } from "../../../sae/index.ts";
import { randomSae } from "../../sae/support/random-sae.ts";

const folder = mkdtempSync(join(tmpdir(), "resolve-saes-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("the rate and dead_after_tokens of an imported SAE go by its own latents and k", () => {
  const refuse = (key: string): never => {
    throw new Error(key);
  };
  const resolved = (architecture: "topk" | "standard") => {
    const from = join(folder, architecture);
    saveSae(from, randomSae({ architecture, d_in: 4, d_sae: 2048, k: 10 }));
    const sources = { folder, where: "plan.yaml", hasModel: true };
    return resolveSaes([{ from }], () => "hook_embed", sources, refuse)[0];
  };
  expect(resolved("topk")).toMatchObject({ k: 10, lr: 0.004, dead_after_tokens: 20_480 });
  // it selects by threshold: no k, also not that of a plan that names none
  expect(resolved("standard")).toMatchObject({ k: null, lr: 0.004, dead_after_tokens: 10_000 });
});
