/** @file `eval`: how well an SAE does on a text, by the field's measures under their names. */
import { evaluateSae, loadSae } from "../../sae/index.ts";
import { useBackend } from "../../src/engine/index.ts";
import { UsageError } from "../../src/io/index.ts";
import { loadModel, placeModel } from "../../src/models/index.ts";
import type { Context } from "../context.ts";
import type { Row } from "../output.ts";
import { evalDefaults } from "../plan/defaults.ts";
import { checkSaeFits } from "./sae-fits.ts";
import { tokensOfText } from "./text-tokens.ts";

/** Flags of `eval`. */
export interface EvalFlags {
  readonly model?: string;
  readonly text?: string;
  readonly tokens?: number;
}

/** Evaluates the SAE in `dir` on --model and --text. Errors: UsageError naming file or flag. */
export async function evaluate(
  dir: string,
  { model: modelDir, text, tokens = evalDefaults.tokens }: EvalFlags,
  { backend = "auto", threads, progress, print }: Context,
): Promise<void> {
  if (modelDir === undefined)
    throw missing("--model", "the folder of the model that the SAE reads");
  if (text === undefined) throw missing("--text", "a text to measure on");
  const sae = loadSae(dir);
  const host = loadModel(modelDir);
  checkSaeFits(sae, host.config, dir);
  const { set } = await tokensOfText(modelDir, host.config, text, tokens);
  await useBackend(backend, { threads });
  progress.update({ label: "evaluating", done: null });
  const model = placeModel(host);
  const figures = await evaluateSae(sae, model, set);
  model.dispose();
  print({ format: "sae-carry/eval", version: 1, sae: dir, ...figures }, [
    ["hook", figures.hook_name],
    ["tokens", figures.tokens],
    ...(figures.high_norm_excluded > 0
      ? [["left out for their norm", figures.high_norm_excluded] satisfies Row]
      : []),
    ["L0", figures.l0],
    ["FVU", figures.fvu],
    ["loss of the model", figures.ce_orig],
    ["loss with the SAE", figures.ce_sae],
    ["loss recovered (from zero)", figures.ce_loss_score_zero],
    ["loss recovered (from mean)", figures.ce_loss_score_mean],
    ["KL recovered", figures.kl_div_score],
    ["norm ratio", figures.l2_ratio],
    ["dead latents", figures.dead_fraction],
  ]);
}

function missing(flag: string, expected: string): UsageError {
  return new UsageError({ code: "missing-flag", where: flag, expected, got: "nothing" });
}
