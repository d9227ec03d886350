/** @file The table of width methods: to add one, write its file, its name in `WidthMethodName`, and its line here. */
import { bert2bertAki, bert2bertFpi } from "./bert2bert.ts";
import { gesmundoMaile } from "./gesmundo-maile.ts";
import { hypercloning } from "./hypercloning.ts";
import { lemon } from "./lemon.ts";
import { net2net } from "./net2net.ts";
import type { WidthMethod, WidthMethodName } from "./width-growth.ts";

/** Every width method by its name. */
export const widthMethods: Readonly<Record<WidthMethodName, WidthMethod>> = {
  lemon,
  hypercloning,
  "gesmundo-maile": gesmundoMaile,
  net2net,
  "bert2bert-fpi": bert2bertFpi,
  "bert2bert-aki": bert2bertAki,
};

/** Whether a text names a width method. */
export function isWidthMethod(name: string): name is WidthMethodName {
  return Object.hasOwn(widthMethods, name);
}
