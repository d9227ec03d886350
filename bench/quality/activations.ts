/**
 * The activations on which the quality of training is measured: those of a run's base model, on the run's own text, first
 * tokens left out, in a seeded order; written as raw files for every side.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { keptActivations } from "../../sae/index.ts";
import { readTokenSet, spreadSequences, type TokenSet } from "../../src/data/index.ts";
import { createRng, type Rng } from "../../src/engine/index.ts";
import { hookWidth, loadModel, placeModel } from "../../src/models/index.ts";
import { writeRaw } from "../ours/raw.ts";

/** Rows at a hook. */
export interface QualityRows {
  readonly d_in: number;
  readonly train: Float32Array; // [n, d_in], shuffled
  readonly held: Float32Array; // [m, d_in]
  /** Of both, in hex: figures of the same rows can be compared. */
  readonly sha256: string;
}

/**
 * The rows of the run's base model at a hook: `tokens` of the training text and `heldTokens` of the held-out text, or
 * all there are. rows.f32 and held.f32 are left in `folder`.
 */
export async function writeRows(
  run: string,
  hook: string,
  { tokens, heldTokens, folder }: { tokens: number; heldTokens: number; folder: string },
): Promise<QualityRows> {
  const model = placeModel(loadModel(join(run, "stages/00-base/model")));
  const d_in = hookWidth(model.config, hook);
  const rng = createRng("quality");
  const take = async (name: string, limit: number, order: Rng): Promise<Float32Array> => {
    const set: TokenSet = readTokenSet(join(run, "data", `${name}.safetensors`));
    const part = spreadSequences(set, Math.min(set.nSeq, Math.ceil(limit / (set.context - 1))));
    const n = part.nSeq * (part.context - 1);
    const place = Int32Array.from({ length: n }, (_, i) => i);
    order.shuffle(place);
    const rows = new Float32Array(n * d_in);
    let at = 0;
    for await (const block of keptActivations(model, hook, part, { skip: 1 })) {
      const values = (await block.data()) as Float32Array;
      for (let i = 0; i < values.length; i += d_in) {
        rows.set(values.subarray(i, i + d_in), place[at] * d_in);
        at += 1;
      }
      block.dispose();
    }
    return rows;
  };
  const train = await take("train", tokens, rng.fork("train"));
  const held = await take("held-out", heldTokens, rng.fork("held"));
  model.dispose();
  writeRaw(folder, "rows", train);
  writeRaw(folder, "held", held);
  const sha256 = createHash("sha256").update(train).update(held).digest("hex");
  return { d_in, train, held, sha256 };
}
