/** The pages of the figures, docs/performance.md unless another is named, of the clone that was compiled. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { withTable } from "./markdown.ts";

/** Puts a table between the page's marks of that name. Errors: the marks aren't both there, in order. */
export function writeTable(table: string, name: string, page = "performance.md"): void {
  // from dist-bench/bench/harness/
  const path = fileURLToPath(new URL(`../../../docs/${page}`, import.meta.url));
  writeFileSync(path, withTable(readFileSync(path, "utf8"), table, name));
}
