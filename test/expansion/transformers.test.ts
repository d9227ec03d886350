// The measured exactness, seen by a third party: parent and child as Hugging Face transformers runs them.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect } from "vitest";
import { createRng, useBackend } from "../../src/engine/index.ts";
import { type ExpandOptions, expandModel } from "../../src/expansion/index.ts";
import { gpt2Config, saveModel } from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { randomModel } from "../support/growth-f64.ts";
import { python } from "../support/python.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const script = `
import sys, json, torch
from transformers import AutoModelForCausalLM
ids = torch.arange(60).reshape(5, 12) ** 2 % 29
def logits(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    with torch.no_grad():
        return model(ids).logits
parent, *children = sys.argv[1:]
want = logits(parent)
print(json.dumps([(logits(child) - want).abs().max().item() for child in children]))
`;

python.test("grown checkpoints have their parent's logits in transformers", async (run) => {
  const dir = mkdtempSync(join(tmpdir(), "sae-carry-grown-"));
  const parent = randomModel(
    gpt2Config({
      vocab_size: 29,
      n_positions: 12,
      n_embd: 20,
      n_head: 4,
      n_layer: 2,
      layer_norm_epsilon: 1e-2,
    }),
    "transformers",
  );
  saveModel(join(dir, "parent"), parent);
  const growths: Partial<ExpandOptions>[] = [
    { width: 30 },
    { width: 55, mlp: 101 },
    { layers: 4, positions: [-1, 1] },
    { width: 40, layers: 3, mlp: 81 },
  ];
  const folders = [join(dir, "parent")];
  for (const [i, growth] of growths.entries()) {
    const { child } = await expandModel(
      parent,
      {
        method: "lemon",
        depth_method: "identity",
        positions: "interleaved",
        noise_db: 10,
        ...growth,
      },
      createRng(i),
    );
    folders.push(join(dir, `child-${i}`));
    saveModel(folders[i + 1], child);
  }
  const worst = JSON.parse(await run(script, folders)) as number[];
  rmSync(dir, { recursive: true });
  expect(worst).toHaveLength(growths.length);
  for (const difference of worst) expect(difference).toBeLessThanOrEqual(1e-4);
});
