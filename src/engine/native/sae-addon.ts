/** The addon's functions for sparse autoencoders, to be had while the native backend is the active one. */
import { tf } from "../tf.ts";
import type { SaeAddon } from "./sae-work.ts";

let provided: SaeAddon | undefined;

/** Has `saeAddon` answer with `addon` while the native backend is active. */
export function provideSaeAddon(addon: SaeAddon): void {
  provided = addon;
}

/** The functions, or undefined where another backend is active. */
export function saeAddon(): SaeAddon | undefined {
  return tf.getBackend() === "native" ? provided : undefined;
}
