/** @file What an activation dump says of its origin, in a run and from `dump` alike. */
import { modelOrigin, originFields } from "./origin.ts";

/** Where a dump's numbers come from. */
export interface DumpOrigin {
  /** Folder of the model. */
  readonly model: string;
  readonly hooks: readonly { readonly name: string }[];
  readonly corpus: string;
  /** Of the corpus, see `Corpus.fingerprint`. */
  readonly fingerprint: string;
  /** Tokens in a sequence. */
  readonly context: number;
  /** Leading tokens of each sequence that the dump has no rows of. */
  readonly firstTokensExcluded: number;
  readonly seed: number;
}

/** The dump's metadata; `hook` lists the hooks, separated by commas. */
export function dumpMetadata(origin: DumpOrigin): Record<string, string> {
  const { model, hooks, corpus, fingerprint, context, firstTokensExcluded, seed } = origin;
  return {
    ...originFields(modelOrigin(model)),
    hook: hooks.map(({ name }) => name).join(","),
    corpus,
    corpus_sha256: fingerprint,
    context: String(context),
    first_tokens_excluded: String(firstTokensExcluded),
    seed: String(seed),
  };
}
