/**
 * What a stage's crosscoders say beside the verdicts: columns of persistence/<name>.arrow and `crosscoder` of
 * persistence.json. Both models are read once more on the held-out tokens that were compared.
 */
import {
  type CrosscoderDocument,
  type CrosscoderFrame,
  crosscoderClasses,
  crosscoderColumns,
  crosscoderDocument,
  crosscoderWitness,
  type JudgedCrosscoder,
  loadCrosscoder,
  measureCrosscoder,
  type PairBlock,
  type Persistence,
  type PersistenceInput,
  persistenceDefaults,
  type SparseCodes,
} from "../../../sae/index.ts";
import type { TokenSet } from "../../../src/data/index.ts";
import {
  type ExpansionMap,
  hookEntry,
  mapVectors,
  pullBack,
} from "../../../src/expansion/index.ts";
import type { ColumnSpec } from "../../../src/io/index.ts";
import { saeDir } from "../layout.ts";
import type { CrosscoderArm } from "../task.ts";
import type { TaskContext } from "../task-context.ts";
import { hookPair, type ModelPair, modelPair } from "./crosscoder.ts";
import { firstTokensExcluded, heldOutRows } from "./held-out.ts";

/** What they add to a comparison. */
export interface CrosscoderEvidence {
  readonly columns: readonly ColumnSpec[];
  readonly document: CrosscoderDocument;
}

/** The evidence of stage `stage` on the SAE `name`; null where the plan has no crosscoder. */
export async function crosscoderEvidence(
  context: TaskContext,
  stage: number,
  name: string,
  map: ExpansionMap,
  set: TokenSet,
  input: PersistenceInput,
  { rows, document }: Persistence,
): Promise<CrosscoderEvidence | null> {
  const { arms } = context.plan.controls;
  if (!arms.includes("crosscoder")) return null;
  const judged = await judge(context, stage, name, map, set, "crosscoder");
  const { measures, sorted } = judged;
  const word = (codes: SparseCodes, tau: ArrayLike<number>) =>
    crosscoderWitness(
      codes,
      { codes: measures.codes, classes: sorted.classes },
      tau,
      persistenceDefaults.containment,
    );
  const { correlation } = document.thresholds;
  const nParent = input.parent.codes.dSae;
  // each parent latent has its own threshold, by how often it fires; the child's latents get the highest
  const tau = Float64Array.from(rows.null_corr_p99.subarray(0, nParent), (p99) =>
    Number.isNaN(p99) ? correlation.floor : Math.max(correlation.floor, p99),
  );
  const ofParent = word(input.parent.codes, tau);
  const { codes } = input.arms[0];
  const ofChild = word(codes, new Float64Array(codes.dSae).fill(correlation.used));
  const verdicts = rows.verdict.slice(0, nParent);
  const reinit = arms.includes("crosscoder-reinit")
    ? await judge(context, stage, name, map, set, "crosscoder-reinit")
    : null;
  return {
    columns: crosscoderColumns(ofParent, ofChild, measures),
    document: crosscoderDocument(judged, verdicts, ofParent, reinit),
  };
}

async function judge(
  context: TaskContext,
  stage: number,
  name: string,
  map: ExpansionMap,
  set: TokenSet,
  arm: CrosscoderArm,
): Promise<JudgedCrosscoder> {
  const { plan } = context;
  const crosscoder = loadCrosscoder(context.path(saeDir(plan, stage, name, arm)));
  const models = modelPair(context, stage, arm);
  try {
    const measures = await measureCrosscoder(
      crosscoder,
      pairs(context, models, hookPair(context, stage, name), set),
      frameOf(map, crosscoder.parent.hook_name),
      context.rng(`${arm} null ${stage} ${name}`),
    );
    const sorted = crosscoderClasses(measures, { minFirings: plan.eval.min_firings });
    return { crosscoder, measures, sorted };
  } finally {
    models.parent.dispose();
    models.child.dispose();
  }
}

/** Both models' activations, block by block. */
async function* pairs(
  context: TaskContext,
  models: ModelPair,
  [own, other]: readonly [string, string],
  set: TokenSet,
): AsyncGenerator<PairBlock> {
  const children = heldOutRows(context, models.child, other, set);
  for await (const parent of heldOutRows(context, models.parent, own, set)) {
    const { value: child } = await children.next();
    if (!child) throw new Error("internal: the child has fewer blocks than its parent");
    yield { parent, child, sequenceLength: set.context - firstTokensExcluded };
  }
}

/** Directions through the expansion map; where it was fitted, without its offsets. */
function frameOf(map: ExpansionMap, hook: string): CrosscoderFrame {
  const tensor = hookEntry(map, hook)?.tensor;
  if (tensor === undefined) throw new Error(`internal: the map has no hook ${hook}`);
  return {
    toChild: (rows) => mapVectors(map, tensor, rows),
    toParent: (rows) => {
      const from = pullBack(map, tensor, new Float32Array(rows.length));
      return pullBack(map, tensor, rows).map((x, at) => x - from[at]);
    },
  };
}
