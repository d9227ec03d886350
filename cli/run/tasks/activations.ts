/**
 * @file Task: SAEs trained and measured on a dump of activations, without the model that made it. Every tenth
 * document is held out, or every tenth sequence where there are fewer than ten documents. What needs a model (losses, latents' contexts) is not measured.
 */
import { statSync } from "node:fs";
import { basename } from "node:path";
import {
  type DumpSequences,
  type DumpUse,
  dumpSequences,
  evaluateOnActivations,
  freshLineage,
  type ReconstructionFigures,
  type Sae,
  saveSae,
  sequenceBlocks,
  sequencePairs,
  writeLineage,
} from "../../../sae/index.ts";
import { ActivationDump, UsageError, writeJsonAtomic } from "../../../src/io/index.ts";
import { dumpOrigin, originFields } from "../../origin.ts";
import { activationHooks } from "../../plan/activation-hooks.ts";
import { realArm, saeDir, stageDir, stageName } from "../layout.ts";
import type { SavedState, TaskContext } from "../task-context.ts";
import { freshConfig } from "./fresh-config.ts";
import { firstTokensExcluded } from "./held-out.ts";
import { saeStreams, type TrainedArm, trainSideBySide } from "./train-side-by-side.ts";

/** `stages/00-base/eval.json` of a run on activations. */
export interface ActivationsEvaluation {
  readonly format: "sae-carry/stage-eval";
  readonly version: 1;
  readonly stage: string;
  readonly model: null;
  readonly activations: DumpUse;
  readonly saes: readonly (ReconstructionFigures & {
    readonly arm: string;
    readonly sae: string;
    readonly seed: number;
  })[];
}

/** Runs the task. */
export async function activationsTask(context: TaskContext): Promise<string[]> {
  const { plan } = context;
  const stage = stageName(plan, 0);
  const dump = new ActivationDump(plan.activations as string);
  const origin = originOf(dump);
  const saved = context.begin();
  checkOrigin(dump, saved, origin);
  const open = (part: "train" | "held-out" | "all", names: readonly string[]): DumpSequences =>
    dumpSequences(dump, names, { firstTokensExcluded, part });
  const opened: DumpSequences[] = [];
  const train = (names: readonly string[]): DumpSequences => {
    opened.push(open("train", names));
    return opened[opened.length - 1];
  };
  try {
    const streams = saeStreams(
      plan.saes.map((sae) => ({ sae, hook: sae.hook, hookOut: sae.hook_out })),
      train,
      context.rng(`activations ${stage}`),
    );
    const arms = plan.saes.map((sae, i): TrainedArm => {
      const config = freshConfig(sae, sae.d_sae, {
        d_in: streams[i].dIn,
        d_out: streams[i].target?.width ?? streams[i].dIn,
        hook_name: sae.hook,
        hook_name_out: sae.hook_out,
        model_name: "unknown",
        context_size: dump.context,
      });
      const rng = context.rng(`sae ${stage} ${sae.name} ${realArm}`);
      return {
        sae,
        source: streams[i],
        job: { name: realArm, config, init: null, rng, pinNorms: false },
        steps: Math.ceil(sae.tokens / sae.batch_tokens),
      };
    });
    const trained = await trainSideBySide(context, stage, arms, saved, { origin });
    const outputs: string[] = [];
    for (const [i, { name, d_sae }] of plan.saes.entries()) {
      const dir = saeDir(plan, 0, name);
      saveSae(context.path(dir), trained[i], {
        metadata: { stage, arm: realArm, seed: plan.seed, ...provenance(dump) },
      });
      writeLineage(context.path(dir, "lineage.arrow"), freshLineage(d_sae, stage));
      outputs.push(`${dir}/cfg.json`, `${dir}/sae_weights.safetensors`, `${dir}/lineage.arrow`);
    }
    const [{ heldOut, rows: trainedRows }] = opened;
    const measured = open(heldOut === null ? "all" : "held-out", activationHooks(plan.saes));
    opened.push(measured);
    const evaluation: ActivationsEvaluation = {
      format: "sae-carry/stage-eval",
      version: 1,
      stage,
      model: null,
      activations: {
        file: basename(dump.path),
        rows: dump.rows,
        trained_rows: trainedRows,
        held_out: heldOut,
        held_out_rows: heldOut && measured.rows,
        metadata: dump.metadata,
      },
      saes: await evaluateAll(context, measured, trained),
    };
    const path = `${stageDir(plan, 0)}/eval.json`;
    writeJsonAtomic(context.path(path), evaluation);
    context.finish();
    return [...outputs, path];
  } finally {
    for (const sequences of opened) sequences.close();
  }
}

async function evaluateAll(
  context: TaskContext,
  measured: DumpSequences,
  trained: readonly Sae[],
): Promise<ActivationsEvaluation["saes"]> {
  const { plan } = context;
  const out: ActivationsEvaluation["saes"][number][] = [];
  const pause = (): Promise<void> => context.pause();
  for (const [i, { name, hook, hook_out }] of plan.saes.entries()) {
    const blocks =
      hook_out === null
        ? sequenceBlocks(measured, hook, plan.eval.tokens, pause)
        : sequencePairs(measured, [hook, hook_out], plan.eval.tokens, pause);
    const [figures] = await evaluateOnActivations(blocks, [trained[i]], firstTokensExcluded > 0);
    out.push({ arm: realArm, sae: name, seed: 0, ...figures });
  }
  return out;
}

/** What the dump says of its model and tokenizer, to be stored with the SAEs. */
function provenance({ path, metadata }: ActivationDump): Record<string, string> {
  return { activations: basename(path), ...originFields(dumpOrigin(metadata)) };
}

/** Tells one dump from another well enough: its rows, its metadata, the sizes of its files. */
function originOf(dump: ActivationDump): string {
  const sizes = dump.files.map((file) => statSync(file).size);
  return JSON.stringify([dump.rows, sizes, dump.metadata]);
}

function checkOrigin(dump: ActivationDump, saved: SavedState | null, origin: string): void {
  if (saved === null || saved.metadata.origin === origin) return;
  throw new UsageError({
    code: "dump-changed",
    where: dump.path,
    expected: "the dump that training began on",
    got: "another one under its name",
    hint: "bring the former one back, or --force begins again",
  });
}
