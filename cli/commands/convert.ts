/** @file `import` and `export`: SAEs from and to the folders of other libraries, with every number as it is. */
import {
  readSaeFolder,
  requireHook,
  type SaeFormat,
  saeFormats,
  saeKind,
  saveSae,
} from "../../sae/index.ts";
import { UsageError } from "../../src/io/index.ts";
import type { Context } from "../context.ts";
import { claimFolder, writeFolder } from "../out-folder.ts";
import { outputFields, outputRows } from "../transcoder-output.ts";

/** Flags of `import`. */
export interface ImportFlags {
  readonly from?: SaeFormat;
  readonly hook?: string;
}

/** Flags of `export`. */
export interface ExportFlags {
  readonly to?: SaeFormat;
  readonly hook?: string;
}

/** Writes the SAE in `dir` into --out as SAELens has it. Errors: UsageError naming file, field or flag. */
export function importSae(
  dir: string,
  { from, hook }: ImportFlags,
  context: Context,
): Promise<void> {
  return convert("import", dir, { from, to: "saelens", hook }, context);
}

/** Writes the SAE in `dir` into --out as --to has it. Errors: UsageError naming file, field or flag. */
export function exportSae(dir: string, { to, hook }: ExportFlags, context: Context): Promise<void> {
  if (to === undefined) {
    throw new UsageError({
      code: "no-format",
      where: "--to",
      expected: "the library that is to read the SAE",
      got: "nothing",
    });
  }
  return convert("export", dir, { to, hook }, context);
}

interface Conversion {
  readonly from?: SaeFormat;
  readonly to: SaeFormat;
  readonly hook: string | undefined;
}

async function convert(
  command: "import" | "export",
  dir: string,
  { from, to, hook }: Conversion,
  context: Context,
): Promise<void> {
  const { sae, format } = readSaeFolder(dir, { from, hook });
  requireHook(sae, dir);
  const { architecture, d_in, d_sae, k, hook_name, model_name } = sae.cfg;
  const output = outputFields(sae.cfg);
  if (!context.dryRun) {
    const [marker] = saeFormats[to].files;
    const out = claimFolder({ out: context.out, force: context.force, marker });
    await writeFolder(out, (folder) => {
      if (to === "saelens") saveSae(folder, sae, { metadata: { imported_from: format } });
      else saeFormats[to].save(folder, sae);
    });
  }
  const out = context.out ?? "";
  context.print(
    {
      format: `sae-carry/${command}`,
      version: 1,
      out,
      from: format,
      to,
      architecture,
      d_in,
      d_sae,
      k,
      hook_name,
      model_name,
      ...output,
    },
    [
      ["kind", `${architecture} ${saeKind(sae.cfg)}`],
      ["from", format],
      ["to", to],
      ["hook", hook_name],
      ["model", model_name],
      ["inputs", d_in],
      ...outputRows(sae.cfg),
      ["latents", d_sae],
      ["out", out],
    ],
  );
}
