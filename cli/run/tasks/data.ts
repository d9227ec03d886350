/** Task: corpus → tokenizer → token sets, split by document. Everything later reads tokens, never text. */
import { mkdirSync } from "node:fs";
import {
  type CorpusSpec,
  openCorpus,
  type TokenizedCorpus,
  Tokenizer,
  tokenizeCorpus,
  tokenizerConfig,
  trainBpe,
  writeTokenSet,
} from "../../../src/data/index.ts";
import { createRng } from "../../../src/engine/index.ts";
import { UsageError, writeJsonAtomic } from "../../../src/io/index.ts";
import type { ResolvedPlan } from "../../plan/types.ts";
import { dataDir } from "../layout.ts";
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
  /** The documents and their labels; `doc` in dumps is an index into them. */
  readonly documents: readonly {
    readonly name: string;
    readonly meta: Readonly<Record<string, string | number>>;
  }[];
}

/** The corpus that a plan asks for. */
export function corpusSpec(plan: ResolvedPlan): CorpusSpec {
  const { corpus, path, field, order } = plan.data;
  return { kind: corpus, field, order, ...(path === null ? {} : { path }) };
}

/** Runs the task. */
export async function dataTask(context: TaskContext): Promise<string[]> {
  const { plan } = context;
  const corpus = openCorpus(corpusSpec(plan));
  context.progress(0.02);
  const tokenizer = await planTokenizer(plan, corpus);
  context.progress(0.4);
  const tokenized: TokenizedCorpus = await tokenizeCorpus(corpus, tokenizer, {
    context: plan.data.context,
    heldOutFraction: plan.data.held_out,
    seed: plan.seed,
    ...(plan.data.max_tokens === null ? {} : { maxTokens: plan.data.max_tokens }),
  });
  const dir = context.path(dataDir);
  mkdirSync(dir, { recursive: true });
  tokenizer.save(`${dir}/tokenizer.json`);
  writeJsonAtomic(`${dir}/tokenizer_config.json`, tokenizerConfig(tokenizer, plan.data.context));
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
    documents: tokenized.documents.map((name, i) => ({ name, meta: tokenized.meta[i] })),
  };
  writeJsonAtomic(`${dir}/corpus.json`, record);
  return [
    "tokenizer.json",
    "tokenizer_config.json",
    "train.safetensors",
    "held-out.safetensors",
    "corpus.json",
  ].map((name) => `${dataDir}/${name}`);
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
