/** Task: the circuit of a stage's model, and the parent stage's circuit mapped into it and scored on the same prompts. */
import { mkdirSync, readdirSync } from "node:fs";
import {
  type CircuitDocument,
  type CircuitParent,
  circuitFile,
  describeCircuit,
  scoreAtExpansion,
  type TaskSource,
} from "../../../circuits/index.ts";
import { loadSae } from "../../../sae/index.ts";
import { readTokenSet, Tokenizer } from "../../../src/data/index.ts";
import { withSynchronousReads } from "../../../src/engine/index.ts";
import { readMap } from "../../../src/expansion/index.ts";
import { readJson, writeJsonAtomic } from "../../../src/io/index.ts";
import { loadModel, placeModel } from "../../../src/models/index.ts";
import type { ResolvedPlan } from "../../plan/types.ts";
import {
  carriedDir,
  dataDir,
  expansionDir,
  modelDir,
  saeDir,
  stageDir,
  stageName,
} from "../layout.ts";
import type { TaskContext } from "../task-context.ts";

/** Runs the task. The first SAE of the plan that is no transcoder gives the latents; without one there are none. */
export async function circuitsTask(context: TaskContext, stage: number): Promise<string[]> {
  const { plan } = context;
  const document = await withSynchronousReads(() => stageCircuit(context, stage));
  const dir = `${stageDir(plan, stage)}/circuits`;
  mkdirSync(context.path(dir), { recursive: true });
  const path = `${dir}/${circuitFile(document)}`;
  writeJsonAtomic(context.path(path), document);
  return [path];
}

async function stageCircuit(context: TaskContext, stage: number): Promise<CircuitDocument> {
  const { plan } = context;
  const source = taskSource(context);
  const latents = plan.saes.find(({ hook_out }) => hook_out === null);
  const seed = plan.seed;
  const parent = stage === 0 ? null : parentCircuit(context, stage, source);
  context.progress(0.3);
  await context.pause();
  const model = placeModel(loadModel(context.path(modelDir(plan, stage))));
  const sae = latents ? loadSae(context.path(saeDir(plan, stage, latents.name))) : null;
  const document = describeCircuit(
    { stage: stageName(plan, stage), model, sae, source, seed },
    parent,
  );
  model.dispose();
  return document;
}

/** The circuit document of a stage, which was written before. */
export function readCircuit(
  path: (...parts: string[]) => string,
  plan: ResolvedPlan,
  stage: number,
): CircuitDocument {
  const dir = path(stageDir(plan, stage), "circuits");
  const [file] = readdirSync(dir).filter((name) => name.endsWith(".json"));
  return readJson(`${dir}/${file}`) as CircuitDocument;
}

function parentCircuit(context: TaskContext, stage: number, source: TaskSource): CircuitParent {
  const { plan } = context;
  const document = readCircuit((...parts) => context.path(...parts), plan, stage - 1);
  const map = readMap(context.path(expansionDir(plan, stage)));
  const grown = placeModel(loadModel(context.path(expansionDir(plan, stage), "model")));
  const latents = plan.saes.find(({ hook_out }) => hook_out === null);
  const sae = latents ? loadSae(context.path(carriedDir(plan, stage, latents.name))) : null;
  const atExpansion = scoreAtExpansion(
    { model: grown, sae, source, seed: plan.seed },
    { document, map },
  );
  grown.dispose();
  return { document, map, atExpansion };
}

function taskSource(context: TaskContext): TaskSource {
  const tokenizer = Tokenizer.load(context.path(dataDir, "tokenizer.json"));
  return {
    tokens: tokenizer.tokenStrings(),
    endOfText: tokenizer.endOfText,
    train: readTokenSet(context.path(dataDir, "train.safetensors")),
    heldOut: readTokenSet(context.path(dataDir, "held-out.safetensors")),
  };
}
