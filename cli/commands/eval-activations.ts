/** @file `eval --activations`: what a dump tells of an SAE without the model: all figures but the losses, which are null. */
import {
  dumpSequences,
  evaluateOnActivations,
  readSaeFolder,
  requireHook,
  type SaeEvaluation,
  sequenceBlocks,
} from "../../sae/index.ts";
import { useBackend } from "../../src/engine/index.ts";
import { ActivationDump, UsageError } from "../../src/io/index.ts";
import type { Context } from "../context.ts";
import { dumpOrigin, originWarnings, saeOrigin } from "../origin.ts";
import { evalDefaults } from "../plan/defaults.ts";
import type { EvalFlags } from "./eval.ts";

/** Figures that need the model. */
type Losses = Exclude<
  keyof SaeEvaluation,
  keyof import("../../sae/index.ts").ReconstructionFigures
>;

const losses: Readonly<Record<Losses, null>> = {
  ce_orig: null,
  ce_sae: null,
  ce_zero: null,
  ce_mean: null,
  ce_loss_score_zero: null,
  ce_loss_score_mean: null,
  kl_div_with_sae: null,
  kl_div_with_ablation: null,
  kl_div_score: null,
  loss_tokens: null,
};

/** Evaluates the SAE in `dir` on the dump. Errors: UsageError naming file, hook or flag. */
export async function evaluateOnDump(
  dir: string,
  flags: EvalFlags & { readonly activations: string },
  { backend = "auto", threads, progress, print }: Context,
): Promise<void> {
  const { activations, tokens = evalDefaults.tokens, firstTokens } = flags;
  for (const [flag, value] of Object.entries({
    "--model": flags.model,
    "--text": flags.text,
    "--saebench": flags.saebench,
  })) {
    if (value === undefined) continue;
    throw new UsageError({
      code: "bad-flag",
      where: flag,
      expected: "nothing beside --activations, which takes the place of the model",
      got: value,
    });
  }
  const dump = new ActivationDump(activations);
  // a dump of one hook says which one is meant
  const usualHook = dump.hooks.length === 1 ? dump.hooks[0].name : undefined;
  const { sae } = readSaeFolder(dir, { hook: flags.hook, usualHook });
  requireHook(sae, dir);
  const { hook_name } = sae.cfg;
  const { width } = dump.hook(hook_name);
  if (width !== sae.cfg.d_in) {
    throw new UsageError({
      code: "wrong-model",
      where: dir,
      expected: `an SAE of these activations: ${width} numbers at ${hook_name}`,
      got: `d_in ${sae.cfg.d_in}`,
    });
  }
  const warnings = originWarnings(saeOrigin(dir), dumpOrigin(dump.metadata), activations);
  for (const warning of warnings) progress.log(warning);
  const firstTokensExcluded = firstTokens ?? sae.cfg.first_tokens_excluded;
  await useBackend(backend, { threads });
  const sequences = dumpSequences(dump, [hook_name], { firstTokensExcluded });
  progress.update({ label: "evaluating", done: null });
  try {
    const blocks = sequenceBlocks(sequences, hook_name, tokens);
    const [figures] = await evaluateOnActivations(blocks, [sae], firstTokensExcluded > 0);
    print(
      {
        format: "sae-carry/eval",
        version: 1,
        sae: dir,
        ...figures,
        ...losses,
        saebench: null,
        warnings,
      },
      [
        ["hook", figures.hook_name],
        ["tokens", figures.tokens],
        ["first tokens left out", firstTokensExcluded],
        ["left out for their norm", figures.high_norm_excluded],
        ["L0", figures.l0],
        ["L1", figures.l1],
        ["FVU", figures.fvu],
        ["explained variance", figures.explained_variance],
        ["squared error", figures.mse],
        ["cosine", figures.cossim],
        ["norm ratio", figures.l2_ratio],
        ["relative reconstruction bias", figures.relative_reconstruction_bias],
        ["dead latents", figures.dead_fraction],
        ["latents on over 1% of tokens", figures.freq_over_1_percent],
        ["losses", "not measured: a dump has no model"],
      ],
    );
  } finally {
    sequences.close();
  }
}
