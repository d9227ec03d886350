/** @file Hooks that change nothing and keep a copy of what they see, for reading several values in one forward pass. */
import { tf } from "../../engine/index.ts";
import type { Hook, Hooks } from "../../models/index.ts";

/** Hooks under `names`; after a forward pass `seen` holds the values, which are the caller's to dispose. */
export function keepHooks(names: readonly string[]): {
  hooks: Hooks;
  seen: Map<string, tf.Tensor2D>;
} {
  const seen = new Map<string, tf.Tensor2D>();
  const keep: Hook = (value, name) => {
    seen.set(name, tf.keep(tf.clone(value)) as tf.Tensor2D);
    return undefined;
  };
  return { hooks: Object.fromEntries(names.map((name) => [name, keep])), seen };
}
