/** @file `dump`: runs a text through a model and writes its activations as Arrow, one batch in memory at a time. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { encodeAsync, readSaeFolder, requireHook, type Sae } from "../../sae/index.ts";
import { type Tokenizer, type TokenSet, tokenRows } from "../../src/data/index.ts";
import { tf, useBackend } from "../../src/engine/index.ts";
import {
  type DumpBatch,
  type DumpCodes,
  type DumpHook,
  UsageError,
  writeActivationDump,
  writeSaelensDump,
} from "../../src/io/index.ts";
import {
  forwardHidden,
  hookWidth,
  loadModel,
  type Model,
  modelSizes,
  placeModel,
} from "../../src/models/index.ts";
import type { Context } from "../context.ts";
import { dumpMetadata } from "../dump-metadata.ts";
import { missingFlag } from "../missing-flag.ts";
import { modelOrigin, originWarnings, saeOrigin } from "../origin.ts";
import { claimFolder, writeFolder } from "../out-folder.ts";
import { formatBytes, type Row } from "../output.ts";
import { isRunFolder, readStoredPlan } from "../plan/index.ts";
import { modelDir, stageCount } from "../run/layout.ts";
import { checkSaeFits } from "./sae-fits.ts";
import { tokensOfText } from "./text-tokens.ts";

/** Flags of `dump`. */
export interface DumpFlags {
  readonly hook?: readonly string[];
  readonly text?: string;
  readonly sae?: readonly string[];
  readonly tokens?: number;
  readonly dtype?: "float32" | "float16";
  readonly layout?: "tokens" | "saelens";
}

const batchSequences = 32;

/** Dumps activations of the model (or of the last model of the run) at `target`. Errors: UsageError. */
export async function dump(target: string, flags: DumpFlags, context: Context): Promise<void> {
  const { hook: hookNames = [], text, dtype = "float32", layout = "tokens", tokens } = flags;
  const dir = await modelFolder(target);
  const host = loadModel(dir);
  const saes = (flags.sae ?? []).map((sae) => readNamedSae(sae, hookNames));
  if (hookNames.length === 0 && saes.length === 0) {
    throw missingFlag("--hook", "the name of a hook, such as blocks.0.hook_resid_post");
  }
  if (text === undefined) throw missingFlag("--text", "a text to run through the model");
  if (layout === "saelens" && (saes.length > 0 || dtype === "float16")) {
    throw new UsageError({
      code: "bad-flag",
      where: "--layout saelens",
      expected: "float32 activations alone, as SAELens caches them",
      got: saes.length > 0 ? "--sae" : "--dtype float16",
    });
  }
  const hooks = hookNames.map((name) => ({ name, width: hookWidth(host.config, name) }));
  for (const { name, sae } of saes) checkSaeFits(sae, host.config, `--sae ${name}`);
  const out = claimOut(layout, context);

  const { backend = "auto", threads, progress } = context;
  const limit = tokens ?? Number.MAX_SAFE_INTEGER;
  const source = await tokensOfText(dir, host.config, text, limit);
  for (const warning of source.warnings) progress.log(warning);
  if (saes.length > 0) {
    const own = modelOrigin(dir);
    for (const path of flags.sae ?? []) {
      for (const warning of originWarnings(saeOrigin(path), own, dir)) {
        progress.log(`${path}: ${warning}`);
      }
    }
  }
  await useBackend(backend, { threads });
  const model = placeModel(host);
  const recording: Recording = { model, set: source.set, hooks, saes, progress };
  const files =
    layout === "saelens"
      ? await writeSequences(out, recording)
      : await writeActivationDump(
          out,
          {
            hooks,
            saes: saes.map(({ name }) => name),
            vocab: vocabulary(source.tokenizer, modelSizes(host.config).vocabSize),
            metadata: dumpMetadata({
              model: dir,
              hooks,
              corpus: basename(resolve(text)),
              fingerprint: source.fingerprint,
              context: source.set.context,
              firstTokensExcluded: 0,
              seed: context.seed ?? 0,
            }),
            dtype,
          },
          record(recording),
        );
  model.dispose();
  const rows = source.set.ids.length;
  const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
  context.print(
    {
      format: "sae-carry/dump",
      version: 1,
      out,
      files,
      layout,
      rows,
      hooks,
      saes: saes.map(({ name }) => name),
      bytes,
    },
    [
      ["out", out],
      ["tokens", rows],
      ...hooks.map(({ name, width }): Row => [name, `${width} numbers per token`]),
      ["size", formatBytes(bytes)],
    ],
  );
}

async function modelFolder(target: string): Promise<string> {
  if (!isRunFolder(target)) return target;
  const plan = await readStoredPlan(target);
  if (plan === null) throw new Error("internal: a run without a plan");
  for (let stage = stageCount(plan) - 1; stage >= 0; stage--) {
    const dir = join(target, modelDir(plan, stage));
    if (existsSync(join(dir, "config.json"))) return dir;
  }
  throw new UsageError({
    code: "no-model",
    where: target,
    expected: "a run with a trained model",
    got: "a run whose base model is not done",
  });
}

// A folder of another library may not tell its hook; the one that is dumped is meant then.
function readNamedSae(dir: string, hooks: readonly string[]): NamedSae {
  const usualHook = hooks.length === 1 ? hooks[0] : undefined;
  const { sae } = readSaeFolder(dir, { usualHook });
  requireHook(sae, dir);
  return { name: basename(resolve(dir)), sae };
}

function claimOut(layout: "tokens" | "saelens", { out, force }: Context): string {
  if (layout === "saelens") return claimFolder({ out, force, marker: "state.json" });
  if (out === undefined) throw missingFlag("--out", "a file to write to, such as acts.arrow");
  const taken = statSync(out, { throwIfNoEntry: false });
  if (taken?.isDirectory() || (taken && !force)) {
    throw new UsageError({
      code: "out-exists",
      where: out,
      expected: "a file that is not there yet",
      got: taken.isDirectory() ? "a folder" : "a file",
      hint: taken.isDirectory() ? "give another --out" : "--force replaces it",
    });
  }
  return out;
}

// A model may have more ids than its tokenizer has tokens.
function vocabulary(tokenizer: Tokenizer, size: number): string[] {
  const tokens = tokenizer.tokenStrings();
  return Array.from({ length: size }, (_, id) => tokens[id] ?? "");
}

interface NamedSae {
  readonly name: string;
  readonly sae: Sae;
}

interface Recording {
  readonly model: Model;
  readonly set: TokenSet;
  readonly hooks: readonly DumpHook[];
  readonly saes: readonly NamedSae[];
  readonly progress: Context["progress"];
}

async function writeSequences(out: string, recording: Recording): Promise<string[]> {
  const { hooks, set } = recording;
  await writeFolder(out, async (folder) => {
    const sequences = async function* () {
      for await (const { tokenId, activations } of record(recording)) {
        yield { tokenIds: tokenId, activations };
      }
    };
    await writeSaelensDump(folder, { hooks, context: set.context }, sequences());
  });
  return readdirSync(out)
    .sort()
    .map((name) => join(out, name));
}

async function* record({
  model,
  set,
  hooks,
  saes,
  progress,
}: Recording): AsyncGenerator<DumpBatch> {
  const names = new Set([
    ...hooks.map(({ name }) => name),
    ...saes.map(({ sae }) => sae.cfg.hook_name),
  ]);
  for (let from = 0; from < set.nSeq; from += batchSequences) {
    const to = Math.min(set.nSeq, from + batchSequences);
    const rows = tokenRows(set, from, to);
    const kept = capture(model, rows.tokenId, to - from, names);
    const activations = new Map<string, Float32Array>();
    for (const { name } of hooks) {
      activations.set(name, (await tensorAt(kept, name).data()).slice() as Float32Array);
    }
    const latents = new Map<string, DumpCodes>();
    for (const { name, sae } of saes) {
      latents.set(name, await encodeAsync(sae, tensorAt(kept, sae.cfg.hook_name)));
    }
    tf.dispose([...kept.values()]);
    progress.update({ label: "dump", done: to / set.nSeq });
    yield { ...rows, activations, latents };
  }
}

function capture(
  model: Model,
  ids: Int32Array,
  batch: number,
  names: ReadonlySet<string>,
): Map<string, tf.Tensor2D> {
  const kept = new Map<string, tf.Tensor2D>();
  const keep = (value: tf.Tensor, name: string): undefined => {
    kept.set(name, tf.keep(tf.clone(value)) as tf.Tensor2D);
  };
  const hooks = Object.fromEntries([...names].map((name) => [name, keep]));
  tf.tidy(() => {
    forwardHidden(model, ids, batch, { hooks });
  });
  return kept;
}

function tensorAt(kept: ReadonlyMap<string, tf.Tensor2D>, name: string): tf.Tensor2D {
  const tensor = kept.get(name);
  if (!tensor) throw new Error(`internal: nothing was kept at ${name}`);
  return tensor;
}
