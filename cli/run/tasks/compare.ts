/**
 * Task: what became of the parent's latents in a stage. Every arm is read on the same held-out tokens,
 * through its own model; the statistics are sae/persistence's.
 */
import { mkdirSync } from "node:fs";
import { loadSae, outputHook, readLineage, type Sae, writtenWidth } from "../../../sae/index.ts";
import {
  type ArmInput,
  type ArmRole,
  type CurvePoint,
  comparePersistence,
  type Frame,
  type InexactGrowth,
  identityFrame,
  type PersistenceDocument,
  type PersistenceInput,
  persistenceColumns,
} from "../../../sae/persistence/index.ts";
import { readTokenSet, type TokenSet } from "../../../src/data/index.ts";
import {
  type ExpansionMap,
  hookEntry,
  mapKind,
  mapReadouts,
  mapVectors,
  readMap,
} from "../../../src/expansion/index.ts";
import { readJson, readJsonl, writeArrowTable, writeJsonAtomic } from "../../../src/io/index.ts";
import { loadModel, type Model, placeModel } from "../../../src/models/index.ts";
import { carryRate } from "../../plan/carry-rate.ts";
import { byModel, type StageArm, stageArms } from "../arms.ts";
import {
  carriedDir,
  dataDir,
  expansionDir,
  modelDir,
  saeDir,
  stageDir,
  stageName,
} from "../layout.ts";
import { type MetricsLine, metricsPart, type TaskContext } from "../task-context.ts";
import { crosscoderEvidence } from "./crosscoder-evidence.ts";
import { withEffects } from "./effect-columns.ts";
import type { StageEvaluation } from "./evaluate.ts";
import { firstTokensExcluded, heldOutCodes, heldOutRows, heldOutSubset } from "./held-out.ts";
import { turnedStart } from "./turned-start.ts";

/** Runs the task: `persistence/<name>.arrow` for each SAE, and `persistence.json` of the first (`persistence/<name>.json` of all where there are several). */
export async function compareTask(context: TaskContext, stage: number): Promise<string[]> {
  const { plan } = context;
  const dir = stageDir(plan, stage);
  mkdirSync(context.path(dir, "persistence"), { recursive: true });
  const outputs: string[] = [];
  for (const [index, { name }] of plan.saes.entries()) {
    const done = (fraction: number): void =>
      context.progress((index + fraction) / plan.saes.length);
    const input = await persistenceInput(context, stage, name, done);
    const compared = await comparePersistence(input);
    const map = readMap(context.path(expansionDir(plan, stage)));
    const set = comparedTokens(context);
    const witness = await crosscoderEvidence(context, stage, name, map, set, input, compared);
    const document = { ...compared.document, crosscoder: witness?.document ?? null };
    const table = `${dir}/persistence/${name}.arrow`;
    const real = input.arms.find(({ role }) => role === "carried") as ArmInput;
    const codes = { parent: input.parent.codes, child: real.codes };
    const rows = await withEffects(context, stage, name, compared.rows, codes, set);
    const columns = [...persistenceColumns(rows), ...(witness?.columns ?? [])];
    writeArrowTable(context.path(table), columns, {
      "sae_carry.format": "sae-carry/persistence",
      "sae_carry.version": "1",
      "sae_carry.stage": stageName(plan, stage),
      "sae_carry.sae": name,
    });
    outputs.push(table);
    const write = (path: string, value: PersistenceDocument): void => {
      writeJsonAtomic(context.path(path), value);
      outputs.push(path);
    };
    if (index === 0) write(`${dir}/persistence.json`, document);
    if (plan.saes.length > 1) write(`${dir}/persistence/${name}.json`, document);
  }
  return outputs;
}

/** The held-out tokens that arms are compared on. */
function comparedTokens(context: TaskContext): TokenSet {
  const all = readTokenSet(context.path(dataDir, "held-out.safetensors"));
  return heldOutSubset(all, context.plan.eval.tokens);
}

async function persistenceInput(
  context: TaskContext,
  stage: number,
  name: string,
  progress: (fraction: number) => void,
): Promise<PersistenceInput> {
  const { plan } = context;
  const set = comparedTokens(context);
  const evaluation = readJson(context.path(stageDir(plan, stage), "eval.json")) as StageEvaluation;
  const map = readMap(context.path(expansionDir(plan, stage)));
  const parentDir = context.path(saeDir(plan, stage - 1, name));
  const parent = loadSae(parentDir);
  const parentModel = placeModel(loadModel(context.path(modelDir(plan, stage - 1))));
  const [parentCodes] = await heldOutCodes(context, parentModel, parent.cfg.hook_name, set, [
    parent,
  ]);
  parentModel.dispose();
  const lineage = readLineage(`${parentDir}/lineage.arrow`);

  const arms = stageArms(plan, stage, name);
  const groups = byModel(arms);
  const inputs: ArmInput[] = [];
  let done = 0;
  for (const [modelPath, group] of groups) {
    const model = placeModel(loadModel(context.path(modelPath)));
    const saes = group.map(({ sae }) => loadSae(context.path(sae)));
    const codes = await heldOutCodes(context, model, saes[0].cfg.hook_name, set, saes);
    model.dispose();
    for (const [i, arm] of group.entries()) {
      inputs.push(armInput(context, arm, saes[i], codes[i], name, evaluation, parent, map));
    }
    done += 1;
    progress((0.6 * done) / groups.size);
  }
  inputs.sort((a, b) => order(arms, a.arm) - order(arms, b.arm));
  const carried = arms[0];
  const hook = loadSae(context.path(carried.sae)).cfg.hook_name;
  return {
    stage: stageName(plan, stage),
    name,
    parent: {
      codes: parentCodes,
      d_in: parent.cfg.d_in,
      d_out: writtenWidth(parent),
      W_dec: parent.W_dec,
      W_enc: parent.W_enc,
      lineage: { stage: lineage.stage, parent: lineage.parent },
    },
    arms: inputs,
    sequenceLength: set.context - firstTokensExcluded,
    probes: {
      parent: stream(
        context,
        modelDir(plan, stage - 1),
        parent.cfg.hook_name,
        set,
        parent.cfg.d_in,
      ),
      child: stream(context, modelDir(plan, stage), hook, set, inputs[0].d_in),
      random: plan.controls.arms.includes("reinit")
        ? stream(context, modelDir(plan, stage, "reinit"), hook, set, inputs[0].d_in)
        : null,
      scratch: arms.some(({ role }) => role === "scratch" || role === "carried-scratch")
        ? stream(context, modelDir(plan, stage, "scratch"), hook, set, inputs[0].d_in)
        : null,
    },
    curves: trainingCurves(context, stage, name),
    off_image: evaluation.off_image?.after_training ?? null,
    copy_spread: evaluation.copy_spread?.after_training ?? null,
    inexact: inexactGrowth(map, parent.cfg.hook_name),
    rng: context.rng(`compare ${stage} ${name}`),
    options: { minFirings: plan.eval.min_firings, replicates: plan.eval.bootstrap },
    pause: () => context.pause(),
  };
}

function armInput(
  context: TaskContext,
  arm: StageArm,
  sae: Sae,
  codes: ArmInput["codes"],
  name: string,
  evaluation: StageEvaluation,
  parent: Sae,
  map: ExpansionMap,
): ArmInput {
  const figures = evaluation.saes.find((entry) => entry.arm === arm.arm && entry.sae === name);
  const lineage = readLineage(context.path(arm.sae, "lineage.arrow"));
  return {
    role: arm.role,
    arm: arm.arm,
    sae: name,
    seed: arm.seed,
    codes,
    d_in: sae.cfg.d_in,
    d_out: writtenWidth(sae),
    W_dec: sae.W_dec,
    W_enc: sae.W_enc,
    lineage: { stage: lineage.stage, parent: lineage.parent },
    frame: frameOf(arm, parent, map),
    ...startOf(context, arm, sae, name),
    lr: peakRate(context, arm.role, name),
    l0: figures?.l0 ?? null,
    fvu: figures?.fvu ?? null,
    ce_loss_score_zero: figures?.ce_loss_score_zero ?? null,
  };
}

/** Roles whose start is not the parent's rows in the arm's frame, and how their directions were turned. */
const turnOf: Partial<Record<ArmRole, "none" | "some" | "all">> = {
  "carried-scratch": "none",
  rotated: "all",
  perturbed: "some",
  "perturbed-reinit": "some",
};

/** The decoder an arm was trained on from; appended latents have no start and keep their own rows. */
function startOf(
  context: TaskContext,
  { role, times }: StageArm,
  sae: Sae,
  name: string,
): Pick<ArmInput, "start" | "turned" | "times"> {
  const turn = turnOf[role];
  if (turn === undefined) return { start: null, times };
  const { stage } = context.task;
  const carried = loadSae(context.path(carriedDir(context.plan, stage, name)));
  const begun = turnedStart(context, stage, name, carried, turn === "none" ? undefined : turn);
  const start = Float32Array.from(sae.W_dec);
  start.set(begun.sae.W_dec);
  return { start, turned: begun.turned };
}

/** The peak learning rate that an arm trained at in this stage; null for one that didn't train. */
function peakRate({ plan, task }: TaskContext, role: ArmRole, name: string): number | null {
  if (role === "carried-start" || role === "frozen") return null;
  const sae = plan.saes.find((candidate) => candidate.name === name);
  if (!sae) return null;
  const isFresh = role === "fresh" || role === "fresh-parent" || role === "scratch";
  return isFresh ? sae.lr : carryRate(plan.stages[task.stage - 1].carry, sae);
}

/** What is to be said of a growth that changed the function; null for one that did not. */
function inexactGrowth(map: ExpansionMap, hook: string): InexactGrowth | null {
  if (map.exact) return null;
  const entry = hookEntry(map, hook);
  if (!entry) throw new Error(`internal: the map has no hook ${hook}`);
  const { kind, r2 } = mapKind(entry);
  const { method, exactness } = map;
  return {
    method,
    through: kind,
    r2,
    loss_parent: exactness?.loss_parent ?? null,
    loss_child: exactness?.loss_child ?? null,
  };
}

/** How the parent's directions look in an arm's activations: what latents write where they write, what they read where they read. */
function frameOf({ frame }: StageArm, parent: Sae, map: ExpansionMap): Frame | null {
  if (frame === "none") return null;
  if (frame === "parent") return identityFrame;
  const tensorOf = (hook: string): string => {
    const tensor = hookEntry(map, hook)?.tensor;
    if (tensor === undefined) throw new Error(`internal: the map has no hook ${hook}`);
    return tensor;
  };
  const [read, written] = [tensorOf(parent.cfg.hook_name), tensorOf(outputHook(parent.cfg))];
  return {
    decoder: (rows) => mapVectors(map, written, rows),
    encoder: (rows) => mapReadouts(map, read, rows),
  };
}

function stream(
  context: TaskContext,
  modelPath: string,
  hook: string,
  set: TokenSet,
  dIn: number,
): { dIn: number; blocks: AsyncIterable<Float32Array> } {
  const blocks = async function* (): AsyncGenerator<Float32Array> {
    const model: Model = placeModel(loadModel(context.path(modelPath)));
    try {
      yield* heldOutRows(context, model, hook, set);
    } finally {
      model.dispose();
    }
  };
  return { dIn, blocks: blocks() };
}

/** The FVU curves of the carried and the fresh SAEs, from the metrics of the task that trained them. */
function trainingCurves(
  context: TaskContext,
  stage: number,
  name: string,
): PersistenceInput["curves"] {
  const lines = readJsonl(
    context.path(metricsPart(`${stageName(context.plan, stage)}/sae`)),
  ) as MetricsLine[];
  const curve = (arm: string): CurvePoint[] =>
    lines
      .filter((line) => line.arm === arm && line.sae === name)
      .map((line) => ({ tokens: Number(line.tokens), fvu: Number(line.fvu) }));
  const fresh = stageArms(context.plan, stage, name)
    .filter(({ role }) => role === "fresh")
    .map(({ arm }) => curve(arm));
  return fresh.length === 0 ? null : { carried: curve("carried"), fresh };
}

function order(arms: readonly StageArm[], name: string): number {
  return arms.findIndex(({ arm }) => arm === name);
}
