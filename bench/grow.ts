/**
 * Grows checkpoints of full size from the command line, a process of its own for each, and prints time, peak memory and
 * exactness as JSON, a line each. The weights are random, at the published sizes of the models named; the folders lie
 * under the system's temporary folder and are removed. `npm run --silent bench:grow -- pythia-70m gpt2 tinyllama`.
 */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createRng, useBackend } from "../src/engine/index.ts";
import { growCheckpoint } from "../src/expansion/index.ts";
import type { FloatDtype } from "../src/io/index.ts";
import {
  checkpointSink,
  gpt2Config,
  llamaConfig,
  type ModelConfig,
  neoxConfig,
  parameterShapes,
} from "../src/models/index.ts";
import { describeMachine } from "./harness/machine.ts";

interface Shape {
  readonly config: ModelConfig;
  /** As the published checkpoint is stored. */
  readonly dtype: FloatDtype;
  readonly flags: readonly string[];
}

const rope = { theta: 10_000, share: 1, scaling: null };
const flags = ["--width", "1.5x", "--layers", "+2", "--method", "lemon"];

const shapes: Readonly<Record<string, Shape>> = {
  "pythia-70m": {
    config: neoxConfig({
      vocab_size: 50_304,
      hidden_size: 512,
      num_hidden_layers: 6,
      num_attention_heads: 8,
      intermediate_size: 2048,
      max_position_embeddings: 2048,
      rope: { ...rope, share: 0.25 },
    }),
    dtype: "F16",
    flags,
  },
  gpt2: {
    config: gpt2Config({
      vocab_size: 50_257,
      n_positions: 1024,
      n_layer: 12,
      n_embd: 768,
      n_head: 12,
    }),
    dtype: "F32",
    flags,
  },
  tinyllama: {
    config: llamaConfig({
      vocab_size: 32_000,
      hidden_size: 2048,
      num_hidden_layers: 22,
      num_attention_heads: 32,
      num_key_value_heads: 4,
      intermediate_size: 5632,
      max_position_embeddings: 2048,
      rope,
    }),
    dtype: "BF16",
    flags: [...flags, "--dtype", "bf16"],
  },
};

/** Matrices and biases are normal with deviation 0.02, gains 1. */
async function writeRandom(dir: string, { config, dtype }: Shape): Promise<void> {
  mkdirSync(dir);
  const parameters = [...parameterShapes(config)].map(([name, shape]) => {
    const isGain = shape.length === 1 && !name.endsWith("bias");
    const fill = isGain ? 1 : { normal: 0.02 };
    return { name, shape, from: null, axes: [], scale: 1, fill, noise: null };
  });
  const sink = checkpointSink(dir, config, { dtype });
  const none = { read: () => Promise.reject(new Error("no parent")) as never };
  await growCheckpoint({ config, parameters }, none, sink, createRng("random"));
  sink.commit();
}

const binary = join(dirname(fileURLToPath(import.meta.url)), "..", "cli", "bin.js");
const extra = process.argv.slice(2).filter((word) => word.startsWith("--"));
const names = process.argv.slice(2).filter((word) => !word.startsWith("--"));
await useBackend("auto");
for (const name of names.length > 0 ? names : Object.keys(shapes)) {
  const shape = shapes[name];
  if (!shape) throw new Error(`no shape ${name}; there are ${Object.keys(shapes).join(", ")}`);
  const folder = mkdtempSync(join(tmpdir(), "sae-carry-grow-"));
  try {
    const parent = join(folder, "parent");
    await writeRandom(parent, shape);
    const args = ["expand", parent, ...shape.flags, ...extra, "--out", join(folder, "child")];
    const started = performance.now();
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [binary, ...args, "--json", "--quiet"],
      { maxBuffer: 1 << 26 },
    );
    const total = (performance.now() - started) / 1000;
    const { parent: small, child, exactness, notes, ...rest } = JSON.parse(stdout);
    const line = {
      name,
      flags: [...shape.flags, ...extra].join(" "),
      stored: shape.dtype.toLowerCase(),
      params: [small.params, child.params],
      dtype: rest.dtype,
      bytes: rest.bytes,
      memory_bytes: rest.memory_bytes,
      seconds: total,
      max_abs_dlogit: exactness?.max_abs_dlogit ?? null,
      notes,
      machine: describeMachine(),
    };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
