/** @file `report`: renders report.html again from the data of a run. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { UsageError, writeFileAtomic } from "../../src/io/index.ts";
import type { Context } from "../context.ts";
import { formatBytes } from "../output.ts";
import { isRunFolder } from "../plan/index.ts";

/** Renders the report of the run in `runDir` to --out (a file; default the run's report.html). Errors: UsageError where it is no run. */
export async function report(runDir: string, context: Context): Promise<void> {
  if (!isRunFolder(runDir)) {
    throw new UsageError({
      code: "not-a-run",
      where: runDir,
      expected: "a run folder",
      got: existsSync(runDir) ? "something else" : "no such folder",
    });
  }
  const { renderReport } = await import("../../reports/index.ts");
  const html = renderReport(runDir);
  const out = context.out ?? join(runDir, "report.html");
  writeFileAtomic(out, html);
  const bytes = Buffer.byteLength(html);
  context.print({ format: "sae-carry/report", version: 1, run: runDir, out, bytes }, [
    ["report", out],
    ["size", formatBytes(bytes)],
  ]);
}
