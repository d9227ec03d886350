/** @file The flags of `eval` and `compare`, which measure SAEs that are there. */
import type { Command } from "commander";
import { examples } from "./examples.ts";
import { addFlag, choice, count, each } from "./flags.ts";
import type { Act } from "./program.ts";

/** `eval`. */
export function addEval(program: Command, act: Act): void {
  const command = program
    .command("eval")
    .description("L0, FVU, loss recovered, dead latents and density of an SAE")
    .argument("<sae>", "an SAE folder (ours, SAELens, sparsify, dictionary_learning)");
  addFlag(command, "--model <dir>", "the model it reads");
  addFlag(command, "--text <path>", "the text to measure on");
  addFlag(command, "--activations <file>", "an Arrow dump to measure on, without model and text");
  addFlag(command, "--hook <name>", "the activations it reads, where its folder doesn't tell");
  addFlag(command, "--tokens <n>", "tokens to measure on at most (50k)", {
    parse: count("--tokens"),
  });
  addFlag(command, "--first-tokens <n>", "leading tokens of a sequence to leave out (the SAE's)", {
    parse: count("--first-tokens", 0),
  });
  addFlag(command, "--saebench <file>", "write SAEBench's core results there too");
  command
    .addHelpText(
      "after",
      examples(
        "eval sae --model model --text my.txt",
        "eval sae --model model --text my.txt --json",
        "eval sae --model model --text my.txt --saebench core.json",
      ),
    )
    .action(
      act(async (args, flags, context) => {
        const { evaluate } = await import("./commands/eval.ts");
        return evaluate(args[0], flags, context);
      }),
    );
}

/** `compare`. */
export function addCompare(program: Command, act: Act): void {
  const command = program
    .command("compare")
    .description("which latents of one SAE are in another: two seeds, two checkpoints, two models")
    .argument("<sae-a>", "the SAE whose latents are looked for")
    .argument("<sae-b>", "the SAE in which they are looked for")
    .argument("[others...]", "more SAEs of the second model, as witnesses");
  for (const side of ["", "-a", "-b"]) {
    const whose = side === "" ? "of both sides" : side === "-a" ? "of the first" : "of the second";
    addFlag(command, `--model${side} <dir>`, `the model ${whose}, with --text`);
    addFlag(command, `--activations${side} <file>`, `an Arrow dump ${whose}, in place of a model`);
  }
  addFlag(command, "--text <path>", "the text to run through the models");
  addFlag(command, "--tokens <n>", "tokens of it to measure on at most (50k)", {
    parse: count("--tokens"),
  });
  addFlag(command, "--expansion <dir>", "the map from the first model to the second");
  addFlag(command, "--map <how>", "without --expansion: take both frames as one, or fit a map", {
    parse: choice("--map", ["same", "fit"] as const),
    choices: ["same", "fit"],
  });
  addFlag(command, "--hook-a <name>", "the hook of the first SAE, where its folder doesn't say");
  addFlag(command, "--hook-b <name>", "the hook of the second");
  addFlag(command, "--fresh-parent <dir>", "another SAE of the first model (several times)", {
    parse: each,
  });
  addFlag(
    command,
    "--activations-random <file>",
    "a dump of random weights in the second model's shape: the null of the probes",
  );
  command
    .addHelpText(
      "after",
      examples(
        "compare sae-1 sae-2 --model model --text my.txt",
        "compare old-sae new-sae --activations-a old.arrow --activations-b new.arrow --out compared",
      ),
    )
    .action(
      act(async (args, flags, context) => {
        const { compare } = await import("./commands/compare.ts");
        return compare(args, flags, context);
      }),
    );
}
