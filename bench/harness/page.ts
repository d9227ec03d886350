/** The page of the figures, docs/performance.md, of the clone that was compiled. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { withTable } from "./markdown.ts";

/** Puts a table between the page's marks of that name. Errors: the marks aren't both there, in order. */
export function writeTable(table: string, name: string): void {
  // from dist-bench/bench/harness/
  const path = fileURLToPath(new URL("../../../docs/performance.md", import.meta.url));
  writeFileSync(path, withTable(readFileSync(path, "utf8"), table, name));
}
