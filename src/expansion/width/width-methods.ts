/** @file The table of width methods: to add one, write its file, its name in `WidthMethodName`, and its line here. */
import { ligo } from "../ligo/ligo-method.ts";
import { bert2bertAki, bert2bertFpi } from "./bert2bert.ts";
import { gesmundoMaile } from "./gesmundo-maile.ts";
import { hypercloning } from "./hypercloning.ts";
import { lemon } from "./lemon.ts";
import { net2net } from "./net2net.ts";
import type {
  GrowthMethodName,
  WidthClaims,
  WidthMethod,
  WidthMethodName,
} from "./width-growth.ts";

/** Every width method by its name. */
export const widthMethods: Readonly<Record<WidthMethodName, WidthMethod>> = {
  lemon,
  hypercloning,
  "gesmundo-maile": gesmundoMaile,
  net2net,
  "bert2bert-fpi": bert2bertFpi,
  "bert2bert-aki": bert2bertAki,
};

/** What every method allows and claims, those that learn among them. */
export const growthMethods: Readonly<Record<GrowthMethodName, WidthClaims>> = {
  ...widthMethods,
  ligo,
};

/** Whether a method is one that a plan can state. */
export function isWidthMethod(name: GrowthMethodName): name is WidthMethodName {
  return Object.hasOwn(widthMethods, name);
}

/** Whether a text names a growth method. */
export function isGrowthMethod(name: string): name is GrowthMethodName {
  return Object.hasOwn(growthMethods, name);
}
