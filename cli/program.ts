/**
 * @file The commands and their flags, in commander. Parsing loads nothing heavy: each action imports
 * its command when it is called, so that --help answers at once.
 */
import { Command, type Option } from "commander";
import { type Context, createContext, type Ending, type GlobalFlags } from "./context.ts";
import { addExport, addImport, saeLibraries } from "./convert-flags.ts";
import { examples } from "./examples.ts";
import { addFlag, byteCount, choice, count, each, real } from "./flags.ts";
import { addCompare, addEval } from "./measure-flags.ts";
import type { Output } from "./output.ts";
import { depthMethodNames, widthMethodNames } from "./plan/growth-methods.ts";
import { addPlanFlags, addStageFlags } from "./plan-flags.ts";
import { packageVersion } from "./version.ts";

const backends = [
  "auto",
  "tensorflow-gpu",
  "native",
  "tensorflow",
  "webgpu",
  "wasm",
  "cpu",
] as const;

/** The program; its actions print on `output`, reject with the errors of src/io, or set `ending`. */
export function createProgram(output: Output, ending: Ending): Command {
  const program = new Command("sae-carry")
    .description(
      "Train a small language model and its sparse autoencoders, grow the model, carry the SAEs along, and measure which features persist.",
    )
    .version(packageVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "show help")
    .exitOverride()
    .showSuggestionAfterError()
    // Misuse is reported by main.ts, in the same form as every other error.
    .configureOutput({ writeOut: output.out, writeErr: output.err, outputError: () => {} })
    .configureHelp({ showGlobalOptions: true, optionDescription: describeFlag });
  addGlobalFlags(program);
  const act = (action: Action) => perform(action, output, ending);
  addTrain(program, act);
  addExpandAndTrack(program, act);
  addReport(program, act);
  addExpand(program, act);
  addCarry(program, act);
  addImport(program, act);
  addExport(program, act);
  addEval(program, act);
  addCompare(program, act);
  addDump(program, act);
  addInspect(program, act);
  addDoctor(program, act);
  program.addHelpText("after", examples("expand-and-track plan.yaml --out runs/demo", "doctor"));
  return program;
}

// Commander would also name the variable of each flag; the headings tell the rule once.
function describeFlag({ description, argChoices }: Option): string {
  return argChoices ? `${description} [${argChoices.join("|")}]` : description;
}

function addGlobalFlags(program: Command): void {
  addFlag(program, "--json", "one JSON document on stdout and nothing else");
  addFlag(program, "--quiet", "no progress on stderr");
  addFlag(program, "--seed <n>", "seed of every random draw (0)", {
    parse: count("--seed", 0),
    env: "SAE_CARRY_SEED",
  });
  addFlag(
    program,
    "--threads <n>",
    "threads of the native backend, every core by default (wasm has one)",
    {
      parse: count("--threads"),
      env: "SAE_CARRY_THREADS",
    },
  );
  addFlag(program, "--workers <n>", "worker processes of a run (wasm: one per core)", {
    parse: count("--workers"),
    env: "SAE_CARRY_WORKERS",
  });
  addFlag(program, "--backend <name>", "where the numbers are computed (auto)", {
    parse: choice("--backend", backends),
    choices: backends,
    env: "SAE_CARRY_BACKEND",
  });
  addFlag(program, "--out <dir>", "where the result goes", { env: "SAE_CARRY_OUT" });
  addFlag(program, "--force", "replace what is at --out");
  addFlag(program, "--dry-run", "print sizes, tokens, memory, disk and time; do nothing");
}

function addTrain(program: Command, act: Act): void {
  const command = program
    .command("train")
    .description("corpus → base model → SAEs → dump: stage 00-base of a run")
    .argument("[plan]", "plan.yaml, or a run to go on with");
  addPlanFlags(command);
  addStageFlags(command);
  command
    .addHelpText(
      "after",
      examples("train --text my.txt --out runs/mine", "train plan.yaml --out runs/demo --dry-run"),
    )
    .action(
      act(async (args, flags, context) => {
        const { train } = await import("./commands/train.ts");
        return train("train", args[0], flags, context);
      }),
    );
}

function addExpandAndTrack(program: Command, act: Act): void {
  const command = program
    .command("expand-and-track")
    .description(
      "every expansion of a plan: expand, carry, train on, compare with controls, report",
    )
    .argument("[plan | run]", "plan.yaml, or a run to go on with");
  addPlanFlags(command);
  addStageFlags(command);
  command
    .addHelpText(
      "after",
      examples(
        "expand-and-track plan.yaml --out runs/demo",
        "expand-and-track runs/mine --expand width=1.5x --expand layers=+2",
      ),
    )
    .action(
      act(async (args, flags, context) => {
        const { train } = await import("./commands/train.ts");
        return train("expand-and-track", args[0], flags, context);
      }),
    );
}

function addReport(program: Command, act: Act): void {
  program
    .command("report")
    .description("render report.html again from the data of a run")
    .argument("<run>", "a run folder")
    .addHelpText("after", examples("report runs/demo", "report runs/demo --out drift.html"))
    .action(
      act(async (args, _flags, context) => {
        const { report } = await import("./commands/report.ts");
        return report(args[0], context);
      }),
    );
}

function addExpand(program: Command, act: Act): void {
  const command = program
    .command("expand")
    .description("grow a Hugging Face checkpoint; write the bigger one and its expansion map")
    .argument("<model>", "a Hugging Face model folder");
  addFlag(command, "--width <size>", "new width: 96, 1.5x or +32");
  addFlag(command, "--layers <size>", "new number of layers: 4, 2x or +2");
  addFlag(command, "--heads <size>", "new number of heads");
  addFlag(
    command,
    "--kv-heads <size>",
    "new number of key and value heads, where heads share them",
  );
  addFlag(command, "--head-dim <size>", "new numbers a head");
  addFlag(command, "--mlp <size>", "new number of neurons in an MLP layer: 512 or 2x");
  addFlag(command, "--vocab <size>", "new number of tokens: 50304 or +3");
  addFlag(
    command,
    "--add-tokens <file>",
    "tokens to add to tokenizer.json and the model, one a line",
  );
  addFlag(command, "--experts <n>", "experts that each MLP becomes (llama and mistral)");
  addFlag(command, "--experts-per-token <n>", "experts that a token uses (2)");
  addFlag(command, "--method <name>", "how width grows (lemon)", {
    parse: choice("--method", widthMethodNames),
    choices: widthMethodNames,
  });
  addFlag(
    command,
    "--depth-method <name>",
    `how depth grows: ${depthMethodNames.join(", ")} (default identity)`,
    {
      parse: choice("--depth-method", depthMethodNames),
      choices: depthMethodNames,
    },
  );
  addFlag(
    command,
    "--positions <where>",
    "interleaved, top, bottom, or the layers to put one after: 0,2 (-1: before the first)",
  );
  addFlag(command, "--noise-db <n>", "signal-to-noise ratio of the symmetry-breaking noise", {
    parse: real("--noise-db"),
  });
  addFlag(command, "--no-noise", "break no symmetry");
  addFlag(
    command,
    "--text <file>",
    "measure on this text, and fit maps on it where growth is not exact (random tokens without it); ligo learns on it",
  );
  addFlag(command, "--ligo-steps <n>", "steps on which ligo learns how to grow (100)", {
    parse: count("--ligo-steps", 1),
  });
  addFlag(command, "--ligo-lr <x>", "peak learning rate of ligo's operators (0.01)", {
    parse: real("--ligo-lr"),
  });
  addFlag(command, "--dtype <type>", "what the child's numbers are stored as (f32)", {
    parse: choice("--dtype", ["f32", "f16", "bf16"]),
    choices: ["f32", "f16", "bf16"],
  });
  addFlag(command, "--shard-size <bytes>", "largest weight file, as 500MB (5GB)", {
    parse: byteCount("--shard-size"),
  });
  addFlag(command, "--no-check", "do not run parent and child to compare them");
  addFlag(
    command,
    "--fit-at <hooks>",
    "fit a map at these hooks in any case: blocks.3.mlp.hook_post",
  );
  command
    .addHelpText(
      "after",
      examples(
        "expand model --width 1.5x --out wider",
        "expand model --layers +2 --out deeper --json",
      ),
    )
    .action(
      act(async (args, flags, context) => {
        const { expand } = await import("./commands/expand.ts");
        return expand(args[0], flags, context);
      }),
    );
}

function addCarry(program: Command, act: Act): void {
  const command = program
    .command("carry")
    .description("carry an SAE through a written expansion map")
    .argument("<sae>", "an SAE folder of any known library");
  addFlag(
    command,
    "--expansion <dir...>",
    "folder with map.json; of several, the first one first",
    {
      parse: each,
    },
  );
  addFlag(command, "--to <library>", "the library whose folder is written (saelens)", {
    parse: choice("--to", saeLibraries),
    choices: saeLibraries,
  });
  addFlag(command, "--hook <name>", "the activations that it reads, where its files don't say");
  addFlag(command, "--new-latents <n>", "latents to append (needs --text and --model)", {
    parse: count("--new-latents", 0),
  });
  addFlag(command, "--text <file>", "check on this text that the latents are the same");
  addFlag(command, "--model <dir>", "the parent model, for that check");
  command
    .addHelpText(
      "after",
      examples(
        "carry sae --expansion wider --out carried",
        "carry sae --expansion wider deeper --out carried --to sparsify",
        "carry sae --expansion wider --out carried --text my.txt --model model",
      ),
    )
    .action(
      act(async (args, flags, context) => {
        const { carry } = await import("./commands/carry.ts");
        return carry(args[0], flags, context);
      }),
    );
}

function addDump(program: Command, act: Act): void {
  const command = program
    .command("dump")
    .description("write activations at hooks as an Arrow file")
    .argument("<run | model>", "a run folder (its last model) or a model folder");
  addFlag(command, "--hook <name...>", "hooks, under TransformerLens's names", { parse: each });
  addFlag(command, "--text <path>", "the text to run through the model");
  addFlag(command, "--sae <dir...>", "SAEs whose latents are dumped too", { parse: each });
  addFlag(command, "--tokens <n>", "tokens at most", { parse: count("--tokens") });
  const dtypes = ["float32", "float16"] as const;
  addFlag(command, "--dtype <name>", "number format (float32)", {
    parse: choice("--dtype", dtypes),
    choices: dtypes,
  });
  const layouts = ["tokens", "saelens"] as const;
  addFlag(
    command,
    "--layout <name>",
    "one row per token, or SAELens's cached activations (tokens)",
    {
      parse: choice("--layout", layouts),
      choices: layouts,
    },
  );
  command
    .addHelpText(
      "after",
      examples(
        "dump model --hook blocks.0.hook_resid_post --text my.txt --out acts.arrow",
        "dump runs/demo --hook hook_embed --text my.txt --layout saelens --out acts",
      ),
    )
    .action(
      act(async (args, flags, context) => {
        const { dump } = await import("./commands/dump.ts");
        return dump(args[0], flags, context);
      }),
    );
}

function addInspect(program: Command, act: Act): void {
  program
    .command("inspect")
    .description("say what a checkpoint, SAE, dump, expansion map or run holds")
    .argument("<path>", "a folder or file")
    .addHelpText("after", examples("inspect runs/demo", "inspect acts.arrow --json"))
    .action(
      act(async (args, _flags, context) => {
        const { inspect } = await import("./commands/inspect.ts");
        return inspect(args[0], context);
      }),
    );
}

function addDoctor(program: Command, act: Act): void {
  const command = program
    .command("doctor")
    .description("backends found, the one chosen and why, and how to get a faster one");
  addFlag(command, "--check", "run the exactness and gradient checks on --backend");
  command.addHelpText("after", examples("doctor", "doctor --check --backend webgpu")).action(
    act(async (_args, flags, context) => {
      const { doctor } = await import("./commands/doctor.ts");
      return doctor(flags, context);
    }),
  );
}

/** What a command does with its positionals, flags and context. */
export type Action = (
  args: readonly string[],
  flags: Readonly<Record<string, never>>,
  context: Context,
) => Promise<void>;

/** Makes an action into what commander calls. */
export type Act = (action: Action) => (...args: unknown[]) => Promise<void>;

// Commander calls back with positionals, options, command; flags of the program and of the command come merged.
function perform(action: Action, output: Output, ending: Ending): ReturnType<Act> {
  return async (...args) => {
    const command = args[args.length - 1] as Command;
    const flags = command.optsWithGlobals();
    const context = createContext(flags as GlobalFlags, output, ending);
    try {
      await action(command.args, flags as Readonly<Record<string, never>>, context);
    } finally {
      context.progress.end();
    }
  };
}
