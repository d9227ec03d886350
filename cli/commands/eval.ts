/** @file `eval`: how well an SAE does on a text, by the field's measures under their names. */
import { existsSync } from "node:fs";
import {
  coreDocument,
  evaluateSae,
  latentCounts,
  readSaeFolder,
  requireHook,
} from "../../sae/index.ts";
import { useBackend } from "../../src/engine/index.ts";
import { UsageError, writeJsonAtomic } from "../../src/io/index.ts";
import { loadModel, placeModel } from "../../src/models/index.ts";
import type { Context } from "../context.ts";
import { missingFlag } from "../missing-flag.ts";
import { modelOrigin, originWarnings, saeOrigin } from "../origin.ts";
import type { Row } from "../output.ts";
import { evalDefaults } from "../plan/defaults.ts";
import { packageVersion } from "../version.ts";
import { checkSaeFits } from "./sae-fits.ts";
import { tokensOfText } from "./text-tokens.ts";

/** Flags of `eval`. */
export interface EvalFlags {
  readonly model?: string;
  readonly text?: string;
  readonly tokens?: number;
  readonly firstTokens?: number;
  /** A dump to measure on, in place of a model and a text. */
  readonly activations?: string;
  /** The hook of an SAE whose folder doesn't tell it. */
  readonly hook?: string;
  /** The file to write in the layout of SAEBench's core results. */
  readonly saebench?: string;
}

/** Sequences per forward pass. */
const batchSequences = 32;

/** Evaluates the SAE in `dir` on --model and --text, or on --activations. Errors: UsageError naming file or flag. */
export async function evaluate(dir: string, flags: EvalFlags, context: Context): Promise<void> {
  const { model: modelDir, text, tokens = evalDefaults.tokens, firstTokens, saebench } = flags;
  const { backend = "auto", threads, force, progress, print } = context;
  if (flags.activations !== undefined) {
    const { evaluateOnDump } = await import("./eval-activations.ts");
    return evaluateOnDump(dir, { ...flags, activations: flags.activations }, context);
  }
  if (modelDir === undefined)
    throw missingFlag(
      "--model",
      "the folder of the model that the SAE reads, or --activations FILE",
    );
  if (text === undefined) throw missingFlag("--text", "a text to measure on");
  if (saebench !== undefined && existsSync(saebench) && !force) {
    throw new UsageError({
      code: "out-exists",
      where: saebench,
      expected: "a name that is free",
      got: "a file",
      hint: "--force replaces it.",
    });
  }
  const { sae } = readSaeFolder(dir, { hook: flags.hook });
  requireHook(sae, dir);
  const host = loadModel(modelDir);
  checkSaeFits(sae, host.config, dir);
  const { set, warnings: ofText } = await tokensOfText(modelDir, host.config, text, tokens);
  const warnings = [...originWarnings(saeOrigin(dir), modelOrigin(modelDir), modelDir), ...ofText];
  for (const warning of warnings) progress.log(warning);
  await useBackend(backend, { threads });
  progress.update({ label: "evaluating", done: null });
  const model = placeModel(host);
  const firstTokensExcluded = firstTokens ?? sae.cfg.first_tokens_excluded;
  const counts = latentCounts(sae.cfg.d_sae, set.context - firstTokensExcluded);
  const figures = await evaluateSae(sae, model, set, {
    firstTokensExcluded,
    batchSequences,
    onCodes: (_, codes, leftOut) => counts.add(codes, leftOut),
  });
  if (saebench !== undefined) {
    const document = await coreDocument(sae, figures, counts, {
      sae: dir,
      dataset: text,
      contextSize: set.context,
      batchSequences,
      time: Date.now(),
      version: packageVersion(),
    });
    writeJsonAtomic(saebench, document);
  }
  model.dispose();
  print(
    {
      format: "sae-carry/eval",
      version: 1,
      sae: dir,
      ...figures,
      saebench: saebench ?? null,
      warnings,
    },
    [
      ["hook", figures.hook_name],
      ...(figures.hook_name_out ? [["reconstructs", figures.hook_name_out] satisfies Row] : []),
      ["tokens", figures.tokens],
      ["first tokens left out", firstTokensExcluded],
      ...(figures.high_norm_excluded > 0
        ? [["left out for their norm", figures.high_norm_excluded] satisfies Row]
        : []),
      ["L0", figures.l0],
      ["L1", figures.l1],
      ["FVU", figures.fvu],
      ["explained variance", figures.explained_variance],
      ["explained variance (legacy)", figures.explained_variance_legacy],
      ["squared error", figures.mse],
      ["cosine", figures.cossim],
      ["loss of the model", figures.ce_orig],
      ["loss with the SAE", figures.ce_sae],
      ["loss with zero", figures.ce_zero],
      ["loss with the mean", figures.ce_mean],
      ["loss recovered (from zero)", figures.ce_loss_score_zero],
      ["loss recovered (from mean)", figures.ce_loss_score_mean],
      ["KL with the SAE", figures.kl_div_with_sae],
      ["KL recovered", figures.kl_div_score],
      ["norm ratio", figures.l2_ratio],
      ["relative reconstruction bias", figures.relative_reconstruction_bias],
      ["dead latents", figures.dead_fraction],
      ["latents on over 1% of tokens", figures.freq_over_1_percent],
      ["latents on over 10% of tokens", figures.freq_over_10_percent],
      ...(saebench === undefined ? [] : [["SAEBench's core results", saebench] satisfies Row]),
    ],
  );
}
