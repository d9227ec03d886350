/** Writing activations: our Arrow dump, and the same bytes of numbers written raw; both flushed to disk. */
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createRng } from "../../src/engine/random.ts"; // by itself: a dump needs no engine
import { type DumpBatch, writeActivationDump } from "../../src/io/index.ts";
import { writeRaw } from "./raw.ts";
import type { PrepareTask, Task } from "./task.ts";

const hook = "blocks.0.hook_resid_post";

/** Sizes width, rows (of a batch) and batches; the variant `raw` reads the batch that the other wrote. */
export const prepareDump: PrepareTask = async ({ variant, sizes, folder }) => {
  const { width, rows, batches } = sizes;
  if (variant === "raw") {
    const bytes = readFileSync(join(folder, "batch.f32"));
    return repeated(async () => writeRawFile(join(folder, "raw.bin"), bytes, batches));
  }
  const rng = createRng("rows");
  const values = Float32Array.from({ length: rows * width }, () => rng.normal());
  writeRaw(folder, "batch", values);
  const pos = Int32Array.from({ length: rows }, (_, i) => i);
  const tokenId = pos.map((i) => i % 256);
  const vocab = Array.from({ length: 256 }, (_, i) => `t${i}`);
  function* stream(): Generator<DumpBatch> {
    for (let at = 0; at < batches; at++) {
      const doc = new Int32Array(rows).fill(at);
      yield { doc, pos, tokenId, activations: new Map([[hook, values]]) };
    }
  }
  const spec = { hooks: [{ name: hook, width }], vocab, metadata: {} };
  return repeated(async () => {
    await writeActivationDump(join(folder, "ours.arrow"), spec, stream());
  });
};

function writeRawFile(path: string, bytes: Uint8Array, times: number): void {
  const file = openSync(path, "w");
  for (let i = 0; i < times; i++) {
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
  }
  fsyncSync(file);
  closeSync(file);
}

function repeated(step: () => Promise<void>): Task {
  return async (count) => {
    for (let i = 0; i < count; i++) await step();
    return undefined;
  };
}
