/** Names of growth methods as flags and plans take them; src/expansion has the methods. Light: --help reads it. */
import type { DepthMethodName, GrowthMethodName } from "../../src/expansion/index.ts";

/** What `--method` and `expand.method` take. */
export const widthMethodNames: readonly GrowthMethodName[] = [
  "lemon",
  "hypercloning",
  "gesmundo-maile",
  "net2net",
  "bert2bert-fpi",
  "bert2bert-aki",
  "ligo",
];

/** What `--depth-method` and `expand.depth_method` take. */
export const depthMethodNames: readonly DepthMethodName[] = [
  "identity",
  "cancel",
  "stack",
  "solar",
];
