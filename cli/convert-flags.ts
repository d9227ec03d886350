/** @file The commands `import` and `export` and their flags. */
import type { Command } from "commander";
import type { SaeFormat } from "../sae/index.ts";
import { examples } from "./examples.ts";
import { addFlag, choice } from "./flags.ts";
import type { Act } from "./program.ts";

/** The libraries whose folders are read and written; not from sae/, which loads late. */
export const saeLibraries: readonly SaeFormat[] = ["saelens", "sparsify", "dictionary_learning"];

/** Adds `import`, which reads the SAEs of other libraries. */
export function addImport(program: Command, act: Act): void {
  const command = program
    .command("import")
    .description("make an SAE of sparsify or dictionary_learning into a SAELens folder")
    .argument("<sae>", "a folder with sae.safetensors and cfg.json, or with ae.pt and config.json");
  addFlag(command, "--from <library>", "which library's folder it is (by its files)", {
    parse: choice("--from", saeLibraries),
    choices: saeLibraries,
  });
  addHook(command);
  command
    .addHelpText(
      "after",
      examples(
        "import checkpoints/layers.5 --out sae",
        "import trainer_0 --hook blocks.3.hook_resid_post --out sae",
      ),
    )
    .action(
      act(async (args, flags, context) => {
        const { importSae } = await import("./commands/convert.ts");
        return importSae(args[0], flags, context);
      }),
    );
}

/** Adds `export`, which writes SAEs for other libraries. */
export function addExport(program: Command, act: Act): void {
  const command = program
    .command("export")
    .description("write an SAE as another library reads it")
    .argument("<sae>", "an SAE folder of any known library");
  addFlag(command, "--to <library>", "the library that is to read it", {
    parse: choice("--to", saeLibraries),
    choices: saeLibraries,
  });
  addHook(command);
  command
    .addHelpText(
      "after",
      examples(
        "export sae --to sparsify --out layers.5",
        "export sae --to dictionary_learning --out trainer_0 --json",
      ),
    )
    .action(
      act(async (args, flags, context) => {
        const { exportSae } = await import("./commands/convert.ts");
        return exportSae(args[0], flags, context);
      }),
    );
}

function addHook(command: Command): void {
  addFlag(
    command,
    "--hook <name>",
    "the activations that it reads, in place of what its files say",
  );
}
