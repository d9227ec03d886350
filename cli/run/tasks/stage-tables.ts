/** The tables of a stage: features.arrow of its SAEs and activations.arrow of held-out tokens. */
import {
  encodeAsync,
  featureColumns,
  latentFeatures,
  loadSae,
  readLineage,
  type Sae,
  type SparseCodes,
} from "../../../sae/index.ts";
import { spreadSequences, Tokenizer, type TokenSet, tokenRows } from "../../../src/data/index.ts";
import { type DumpBatch, writeActivationDump, writeArrowTable } from "../../../src/io/index.ts";
import type { Model } from "../../../src/models/index.ts";
import { dumpMetadata } from "../../dump-metadata.ts";
import { dataDir, modelDir, saeDir, stageDir, stageName } from "../layout.ts";
import type { TaskContext } from "../task-context.ts";
import type { CorpusRecord } from "./data.ts";
import { firstTokensExcluded, heldOutActivations } from "./held-out.ts";

/** Held-out tokens that go into activations.arrow. */
const dumpTokens = 8192;

/**
 * features.arrow of the first SAE, features-<name>.arrow of the others, and activations.arrow. `codes` is what the SAEs
 * make of `set`, by name.
 */
export async function writeTables(
  context: TaskContext,
  stage: number,
  model: Model,
  corpus: CorpusRecord,
  heldOut: TokenSet,
  set: TokenSet,
  codes: ReadonlyMap<string, SparseCodes>,
): Promise<string[]> {
  const { plan } = context;
  const dir = stageDir(plan, stage);
  const text = Tokenizer.load(context.path(dataDir, "tokenizer.json")).tokenStrings();
  const outputs: string[] = [];
  const saes = new Map<string, Sae>();
  for (const [index, { name }] of plan.saes.entries()) {
    const folder = context.path(saeDir(plan, stage, name));
    const sae = loadSae(folder);
    saes.set(name, sae);
    const features = await latentFeatures(
      sae,
      codes.get(name) as SparseCodes,
      { ...set, skip: firstTokensExcluded, text },
      model,
      { contexts: plan.report.contexts_per_latent },
    );
    const path = index === 0 ? `${dir}/features.arrow` : `${dir}/features-${name}.arrow`;
    writeArrowTable(
      context.path(path),
      featureColumns(features, readLineage(`${folder}/lineage.arrow`)),
      {
        "sae_carry.format": "sae-carry/features",
        "sae_carry.version": "1",
        "sae_carry.stage": stageName(plan, stage),
        "sae_carry.sae": name,
      },
    );
    outputs.push(path);
  }
  const widths = new Map([...saes.values()].map(({ cfg }) => [cfg.hook_name, cfg.d_in]));
  const hooks = [...widths].map(([name, width]) => ({ name, width }));
  const dumped = spreadSequences(heldOut, Math.ceil(dumpTokens / heldOut.context));
  const paths = await writeActivationDump(
    context.path(dir, "activations.arrow"),
    {
      hooks,
      saes: [...saes.keys()],
      vocab: text,
      metadata: dumpMetadata({
        model: context.path(modelDir(plan, stage)),
        hooks,
        corpus: corpus.name,
        fingerprint: corpus.fingerprint,
        context: plan.data.context,
        firstTokensExcluded,
        seed: plan.seed,
      }),
    },
    dumpBatches(context, model, dumped, saes, [...widths.keys()]),
  );
  const root = context.path("");
  return [...outputs, ...paths.map((path) => path.slice(root.length).replace(/^\//, ""))];
}

/** Rows of a dump: every token but the first of each sequence. */
async function* dumpBatches(
  context: TaskContext,
  model: Model,
  set: TokenSet,
  saes: ReadonlyMap<string, Sae>,
  hooks: readonly string[],
): AsyncGenerator<DumpBatch> {
  const size = 32;
  for (let from = 0; from < set.nSeq; from += size) {
    const part = sequences(set, from, Math.min(set.nSeq, from + size));
    const activations = new Map<string, Float32Array>();
    const latents: [string, DumpBatchCodes][] = [];
    for (const hook of hooks) {
      const reading = [...saes].filter(([, sae]) => sae.cfg.hook_name === hook);
      // one block: `part` has no more sequences than a pass
      for await (const block of heldOutActivations(context, model, hook, part)) {
        for (const [name, sae] of reading) latents.push([name, await encodeAsync(sae, block)]);
        activations.set(hook, (await block.data()) as Float32Array);
        block.dispose();
      }
    }
    const rows = tokenRows(part, 0, part.nSeq, firstTokensExcluded);
    yield { ...rows, activations, latents: new Map(latents) };
  }
}

type DumpBatchCodes =
  NonNullable<DumpBatch["latents"]> extends ReadonlyMap<string, infer C> ? C : never;

function sequences(set: TokenSet, from: number, to: number): TokenSet {
  const { context } = set;
  return {
    ids: set.ids.subarray(from * context, to * context),
    doc: set.doc.subarray(from, to),
    start: set.start.subarray(from, to),
    nSeq: to - from,
    context,
  };
}
