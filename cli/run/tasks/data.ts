/** Task: corpus → tokenizer → token sets, split by document, for the base and for stages with text of
 * their own. Everything later reads tokens, never text. */
import { mkdirSync } from "node:fs";
import {
  type CorpusSpec,
  filterDocuments,
  openCorpus,
  type SeenDocuments,
  type TokenizedCorpus,
  Tokenizer,
  tokenizeCorpus,
  tokenizerConfig,
  trainBpe,
  writeTokenSet,
} from "../../../src/data/index.ts";
import { createRng } from "../../../src/engine/index.ts";
import { readJson, UsageError, writeJsonAtomic } from "../../../src/io/index.ts";
import type { CorpusPlan, ResolvedPlan } from "../../plan/types.ts";
import { dataDir, ownData, trainingDataDir } from "../layout.ts";
import type { TaskContext } from "../task-context.ts";

/** What `data/corpus.json` holds. */
export interface CorpusRecord {
  readonly format: "sae-carry/corpus";
  readonly version: 1;
  readonly name: string;
  readonly fingerprint: string;
  readonly context: number;
  readonly train_tokens: number;
  readonly held_out_tokens: number;
  /** Cross-entropy of held-out tokens under the training unigram, nats. */
  readonly unigram_entropy: number;
  /** Tokens left out at the ends of documents. */
  readonly dropped_tokens: number;
  /** UTF-8 bytes that a token stands for. */
  readonly bytes_per_token: number;
  /** The documents and their labels; `doc` in dumps is an index into them. */
  readonly documents: readonly {
    readonly name: string;
    readonly meta: Readonly<Record<string, string | number>>;
    /** Of the text with runs of white space as one space. */
    readonly sha256: string;
    readonly held_out: boolean;
  }[];
}

/** The files of a corpus of the plan. */
export function corpusSpec({ corpus, path, field, order }: CorpusPlan): CorpusSpec {
  // what is ordered by a label is met as it then lies
  const lies = order === "shuffled" ? "shuffled" : "file";
  return { kind: corpus, field, order: lies, ...(path === null ? {} : { path }) };
}

/** Below this share of the base's bytes for a token, the tokenizer is said not to fit a stage's text. */
const fittingShare = 0.8;

/** Runs the task: the base's corpus, or a stage's own in the base's tokenizer. */
export async function dataTask(context: TaskContext, stage: number): Promise<string[]> {
  const { plan } = context;
  const data = ownData(plan, stage) ?? plan.data;
  const corpus = filterDocuments(openCorpus(corpusSpec(data)), data.filter ?? {});
  context.progress(0.02);
  const tokenizer =
    stage === 0
      ? await planTokenizer(plan, corpus)
      : Tokenizer.load(context.path(dataDir, "tokenizer.json"));
  context.progress(0.4);
  const tokenized: TokenizedCorpus = await tokenizeCorpus(corpus, tokenizer, {
    context: plan.data.context,
    heldOutFraction: data.held_out,
    seed: plan.seed,
    seen: seenBefore(context, stage),
    ...(typeof data.order === "string" ? {} : { orderBy: data.order }),
    ...(data.max_tokens === null ? {} : { maxTokens: data.max_tokens }),
  });
  const to = trainingDataDir(plan, stage);
  const dir = context.path(to);
  mkdirSync(dir, { recursive: true });
  const outputs = ["train.safetensors", "held-out.safetensors", "corpus.json"];
  if (stage === 0) {
    tokenizer.save(`${dir}/tokenizer.json`);
    writeJsonAtomic(`${dir}/tokenizer_config.json`, tokenizerConfig(tokenizer, plan.data.context));
    outputs.unshift("tokenizer.json", "tokenizer_config.json");
  } else warnOfTokenizer(context, tokenized);
  writeTokenSet(`${dir}/train.safetensors`, tokenized.train);
  writeTokenSet(`${dir}/held-out.safetensors`, tokenized.heldOut);
  const record: CorpusRecord = {
    format: "sae-carry/corpus",
    version: 1,
    name: corpus.name,
    fingerprint: await corpus.fingerprint(),
    context: plan.data.context,
    train_tokens: tokenized.train.ids.length,
    held_out_tokens: tokenized.heldOut.ids.length,
    unigram_entropy: tokenized.unigramEntropy,
    dropped_tokens: tokenized.droppedTokens,
    bytes_per_token: tokenized.bytesPerToken,
    documents: tokenized.documents.map((name, i) => ({
      name,
      meta: tokenized.meta[i],
      sha256: tokenized.hashes[i],
      held_out: tokenized.isHeldOut[i],
    })),
  };
  writeJsonAtomic(`${dir}/corpus.json`, record);
  return outputs.map((name) => `${to}/${name}`);
}

/** The documents of the base and of the stages before `stage`, and on which side of the split each is. */
function seenBefore(context: TaskContext, stage: number): SeenDocuments {
  const seen = new Map<string, boolean>();
  for (let before = 0; before < stage; before++) {
    if (before > 0 && ownData(context.plan, before) === null) continue;
    for (const { sha256, held_out } of readCorpusRecord(context, before).documents) {
      seen.set(sha256, held_out);
    }
  }
  return seen;
}

function readCorpusRecord(context: TaskContext, stage: number): CorpusRecord {
  return readJson(
    context.path(trainingDataDir(context.plan, stage), "corpus.json"),
  ) as CorpusRecord;
}

function warnOfTokenizer(context: TaskContext, { bytesPerToken }: TokenizedCorpus): void {
  const { bytes_per_token: base } = readCorpusRecord(context, 0);
  if (bytesPerToken >= fittingShare * base) return;
  context.note(
    `the tokenizer of the base fits this text badly: ${bytesPerToken.toFixed(2)} bytes a token, ${base.toFixed(2)} on the base's text`,
  );
}

/**
 * The tokenizer at the plan's path, or beside the plan's model, or one trained on the corpus. Errors:
 * UsageError when it has more tokens than the vocabulary that the plan or its model has.
 */
async function planTokenizer(
  plan: ResolvedPlan,
  corpus: ReturnType<typeof openCorpus>,
): Promise<Tokenizer> {
  const path = plan.tokenizer.path ?? plan.model.path;
  if (path !== null) {
    const given = Tokenizer.load(path);
    // a model trained from scratch takes the vocabulary that its tokenizer has
    if (plan.model.path !== null && given.vocabSize > plan.tokenizer.vocab_size) {
      throw new UsageError({
        code: "tokenizer-mismatch",
        where: path,
        expected: `at most the model's ${plan.tokenizer.vocab_size} tokens`,
        got: `${given.vocabSize}`,
      });
    }
    return given;
  }
  const texts = async function* (): AsyncGenerator<string> {
    for await (const document of corpus.documents()) yield document.text;
  };
  const tokenizer = Tokenizer.load(await trainBpe(texts(), plan.tokenizer.vocab_size));
  if (tokenizer.vocabSize > plan.tokenizer.vocab_size) {
    throw new UsageError({
      code: "vocabulary",
      where: "tokenizer.vocab_size",
      expected: `at least ${tokenizer.vocabSize}`,
      got: String(plan.tokenizer.vocab_size),
    });
  }
  return tokenizer;
}

/** A seeded stream for orders of data: the same batches for every arm that shares a label. */
export function batchRng(plan: ResolvedPlan, label: string): ReturnType<typeof createRng> {
  return createRng(`seed ${plan.seed}`).fork("batches").fork(label);
}
