/** Names of growth methods as flags and plans take them; src/expansion has the methods. Light: --help reads it. */
import type { WidthMethodName } from "../../src/expansion/index.ts";

/** What `--method` and `expand.method` take. */
export const widthMethodNames: readonly WidthMethodName[] = [
  "lemon",
  "hypercloning",
  "gesmundo-maile",
  "net2net",
  "bert2bert-fpi",
];
