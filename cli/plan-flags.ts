/** @file The flags that stand for keys of a plan: what `train` and `expand-and-track` have in common. */
import type { Command } from "commander";
import { addFlag, choice, count, each, type FlagOptions } from "./flags.ts";
import { modelTypes } from "./plan/model-types.ts";
import { saeArchitectureNames } from "./plan/sae-architectures.ts";

/** Their heading in --help. */
const planGroup = "Plan (each also as SAE_CARRY_<FLAG>; docs/plan.md has every key):";

/** Adds them to a command. */
export function addPlanFlags(command: Command): void {
  const flag = <T>(
    flags: string,
    description: string,
    parse?: (text: string, before: T | undefined) => T,
    choices?: readonly string[],
  ): void => {
    const name = (/--([a-z-]+)/.exec(flags)?.[1] ?? "").toUpperCase().replace(/-/g, "_");
    addFlag(command, flags, description, {
      parse,
      choices,
      group: planGroup,
      env: `SAE_CARRY_${name}`,
    });
  };
  flag("--text <path>", "the corpus: a text file, a .jsonl file, or a folder of text files");
  flag(
    "--activations <path>",
    "an Arrow dump, or SAELens's cached activations, to train the SAEs on without a model (train only)",
  );
  flag("--model <dir>", "a Hugging Face model folder to start from");
  addFlag(command, "--hook <name...>", "hooks that get an SAE", { parse: each, group: planGroup });
  addFlag(command, "--hook-out <name...>", "what they reconstruct instead: transcoders", {
    parse: each,
    group: planGroup,
  });
  addFlag(command, "--skip", "transcoders with a linear skip connection", { group: planGroup });
  flag(
    "--arch <name>",
    "SAE architecture",
    choice("--arch", saeArchitectureNames),
    saeArchitectureNames,
  );
  flag("--d-sae <n>", "latents of an SAE", count("--d-sae"));
  flag("--k <n>", "active latents for a token", count("--k"));
  addFlag(command, "--sae <dir...>", "SAEs of --model to start from, of any known library", {
    parse: each,
    group: planGroup,
  });
  addFlag(command, "--no-sae", "grow the model alone: no SAE, no features", { group: planGroup });
  flag(
    "--family <name>",
    "architecture of the base model (gpt2)",
    choice("--family", modelTypes),
    modelTypes,
  );
  flag("--layers <n>", "layers of the base model", count("--layers"));
  flag("--d-model <n>", "width of the base model", count("--d-model"));
  flag("--heads <n>", "heads of the base model", count("--heads"));
  flag("--vocab <n>", "vocabulary of the tokenizer", count("--vocab"));
  flag("--context <n>", "tokens in a sequence", count("--context"));
  flag(
    "--tokens <n>",
    "training tokens of the model, at the base and at each stage",
    count("--tokens", 0),
  );
  flag("--sae-tokens <n>", "training tokens of the SAEs, likewise", count("--sae-tokens", 0));
}

/** Adds the flags of stages: expansions, how grown models are trained, controls. */
export function addStageFlags(command: Command): void {
  const group = planGroup;
  const flag = <T>(name: string, about: string, options: FlagOptions<T>): void =>
    addFlag(command, name, about, { group, ...options });
  flag("--expand <KEY=VALUE,…>", "an expansion; once per stage, keys as flags of `expand`", {
    parse: each,
  });
  flag("--new-latents <n>", "latents appended to a carried SAE", {
    parse: count("--new-latents", 0),
    env: "SAE_CARRY_NEW_LATENTS",
  });
  const policies = ["reset", "carry", "asymmetric"] as const;
  flag("--optimizer <policy>", "what grown models begin with of their parents' moments", {
    parse: choice("--optimizer", policies),
    choices: policies,
    env: "SAE_CARRY_OPTIMIZER",
  });
  flag(
    "--freeze <what...>",
    "not trained when grown: inherited, old-layers, or patterns of names",
    {
      parse: each,
    },
  );
  flag("--checkpoints <n>", "models kept while grown ones train, for curves over training", {
    parse: count("--checkpoints", 0),
    env: "SAE_CARRY_CHECKPOINTS",
  });
  const presets = ["quick", "standard", "full"] as const;
  flag("--controls <preset>", "control arms to train", {
    parse: choice("--controls", presets),
    choices: presets,
    env: "SAE_CARRY_CONTROLS",
  });
}
