/**
 * Task: grows the model of the stage before, measures how exact that was, and carries every SAE
 * through the same map, to the earlier boundary too where inserted blocks made two of one. Nothing is trained here:
 * what this writes is the state right after growth.
 */
import { mkdirSync } from "node:fs";
import {
  appendLineage,
  type CarriedSae,
  carriedBefore,
  carrySae,
  checkCarry,
  loadSae,
  outputHook,
  readLineage,
  saveSae,
  writeLineage,
} from "../../../sae/index.ts";
import { readTokenSet, spreadSequences, type TokenSet } from "../../../src/data/index.ts";
import { expandModel, fitMaps, measureExactness, writeMap } from "../../../src/expansion/index.ts";
import { writeJsonAtomic } from "../../../src/io/index.ts";
import { loadModel, placeModel, saveModel } from "../../../src/models/index.ts";
import {
  carriedDir,
  dataDir,
  earlierCarriedDir,
  expansionDir,
  modelDir,
  saeDir,
  stageName,
} from "../layout.ts";
import { growthRng, plannedGrowth } from "../planned-growth.ts";
import type { TaskContext } from "../task-context.ts";

/** Held-out sequences on which exactness is measured. */
const exactnessSequences = 32;

/** Training tokens on which maps are fitted where the method is not exact. */
const fittedTokens = 16_384;

function fittingTokens(context: TaskContext): TokenSet {
  const train = readTokenSet(context.path(dataDir, "train.safetensors"));
  return spreadSequences(train, Math.ceil(fittedTokens / train.context));
}

/** Runs the task. */
export async function expandTask(context: TaskContext, stage: number): Promise<string[]> {
  const { plan } = context;
  const parent = loadModel(context.path(modelDir(plan, stage - 1)));
  const { options } = plannedGrowth(plan, stage, parent.config);
  const heldOut = spreadSequences(
    readTokenSet(context.path(dataDir, "held-out.safetensors")),
    exactnessSequences,
  );
  const { child, map: planned } = await expandModel(
    parent,
    options,
    growthRng(plan, stage),
    options.ligo && {
      train: readTokenSet(context.path(dataDir, "train.safetensors")),
      heldOut,
      onStep: ({ step }) => context.progress((0.3 * step) / (options.ligo?.steps ?? step)),
    },
  );
  context.progress(0.3);
  const [small, big] = [placeModel(parent), placeModel(child)];
  const map = planned.exact
    ? planned
    : await fitMaps(
        small,
        big,
        planned,
        { fit: fittingTokens(context), heldOut },
        {
          hooks: plan.saes.flatMap(({ name }) => {
            const { cfg } = loadSae(context.path(saeDir(plan, stage - 1, name)));
            return [...new Set([cfg.hook_name, outputHook(cfg)])];
          }),
        },
      );
  const exactness = await measureExactness(small, big, map, heldOut.ids, heldOut.nSeq);
  context.progress(0.6);
  const dir = expansionDir(plan, stage);
  mkdirSync(context.path(dir), { recursive: true });
  writeMap(context.path(dir), { ...map, exactness });
  saveModel(context.path(dir, "model"), child);
  const outputs = [
    `${dir}/map.json`,
    `${dir}/map.safetensors`,
    `${dir}/model/config.json`,
    `${dir}/model/model.safetensors`,
  ];
  for (const { name } of plan.saes) {
    const from = context.path(saeDir(plan, stage - 1, name));
    const sae = loadSae(from);
    const carried = carrySae(sae, map);
    const lineage = appendLineage(readLineage(`${from}/lineage.arrow`), 0, stageName(plan, stage));
    const places: [string, CarriedSae][] = [[carriedDir(plan, stage, name), carried]];
    const before = carriedBefore(carried);
    if (before) {
      const { hook_name } = before.cfg;
      const to = earlierCarriedDir(plan, stage, name);
      places.push([to, { sae: before, hook_name, also: [] }]);
    }
    for (const [to, place] of places) {
      const cfg = { ...place.sae.cfg, model_name: stageName(plan, stage) };
      saveSae(
        context.path(to),
        { ...place.sae, cfg },
        { metadata: { stage: stageName(plan, stage), arm: "carried", seed: plan.seed } },
      );
      writeLineage(context.path(to, "lineage.arrow"), lineage);
      writeJsonAtomic(
        context.path(to, "check.json"),
        await checkCarry(sae, place, map, small, big, heldOut),
      );
      for (const file of ["cfg.json", "sae_weights.safetensors", "lineage.arrow", "check.json"]) {
        outputs.push(`${to}/${file}`);
      }
    }
  }
  small.dispose();
  big.dispose();
  return outputs;
}
