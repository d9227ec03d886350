/** @file The examples under a command's help. */

/** Command lines, without the program's name, as the end of a help page. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ sae-carry ${line}\n`).join("")}`;
}
