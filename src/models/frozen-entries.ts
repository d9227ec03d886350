/**
 * Parameters, or entries of them, that training leaves as they are, byte for byte: no step, no weight decay, and no
 * part in the gradient's norm. A parameter that is frozen whole gets no gradient and no moments at all.
 */
import { hasHostMemory, hostView, tf } from "../engine/index.ts";
import { UsageError } from "../io/index.ts";
import type { HostModel } from "./model.ts";

/** By parameter name: all of it, or a mask in its shape with 1 where an entry is frozen. */
export type FrozenEntries = ReadonlyMap<string, "all" | Uint8Array>;

/**
 * The parameters whose names match one of `patterns`, where `*` stands for any characters, dots too, and `?` for one.
 * Errors: UsageError, naming `where`, for a pattern that matches no parameter, with one that looks like it.
 */
export function frozenByPattern(
  names: Iterable<string>,
  patterns: readonly string[],
  where: string,
): FrozenEntries {
  const all = [...names];
  const frozen = new Map<string, "all">();
  for (const pattern of patterns) {
    const source = pattern
      .replace(/[.+^${}()|[\]\\]/g, "\\$&")
      .replace(/\*/g, ".*")
      .replace(/\?/g, ".");
    const found = all.filter((name) => new RegExp(`^${source}$`, "s").test(name));
    if (found.length === 0) {
      throw new UsageError({
        code: "freeze-pattern",
        where,
        expected: "patterns that match parameters of the model, such as *.mlp.*",
        got: pattern,
        hint: `its parameters are named like ${nearestName(pattern, all)}`,
      });
    }
    for (const name of found) frozen.set(name, "all");
  }
  return frozen;
}

// The name that shares the most runs of three characters with the pattern.
function nearestName(pattern: string, names: readonly string[]): string {
  const runs = Array.from({ length: Math.max(1, pattern.length - 2) }, (_, i) =>
    pattern.slice(i, i + 3),
  );
  const shared = (name: string) => runs.filter((run) => name.includes(run)).length;
  return names.reduce((best, name) => (shared(name) > shared(best) ? name : best), names[0]);
}

/** Holds the frozen entries of parameters that are frozen in part, through a training run. `dispose` frees its masks. */
export class PartlyFrozen {
  readonly #values = new Map<string, { mask: Uint8Array; held: Float32Array; free: tf.Tensor }>();

  /** Keeps the entries as the model has them now. Errors: a mask of another size than its parameter. */
  constructor({ weights }: HostModel, frozen: FrozenEntries) {
    for (const [name, mask] of frozen) {
      if (mask === "all") continue;
      const tensor = weights.get(name);
      if (tensor?.data.length !== mask.length) {
        throw new Error(`internal: a mask of ${mask.length} entries for ${name}`);
      }
      const free = Float32Array.from(mask, (isFrozen) => 1 - isFrozen);
      this.#values.set(name, {
        mask,
        held: Float32Array.from(tensor.data as Float32Array),
        free: tf.tensor(free, [...tensor.shape], "float32"),
      });
    }
  }

  /** The gradient with zeros on frozen entries; disposes the one that it is given where it makes another. */
  gradient(name: string, grad: tf.Tensor): tf.Tensor {
    const own = this.#values.get(name);
    if (own === undefined) return grad;
    const masked = tf.mul(grad, own.free);
    grad.dispose();
    return masked;
  }

  /** The parameter with its frozen entries put back, which weight decay has moved; may be the same tensor. */
  restored(name: string, param: tf.Tensor): tf.Tensor {
    const own = this.#values.get(name);
    if (own === undefined) return param;
    if (hasHostMemory()) {
      const values = hostView(param);
      if (!values) throw new Error("internal: expected parameters in host memory");
      for (let i = 0; i < values.length; i++) if (own.mask[i] === 1) values[i] = own.held[i];
      return param;
    }
    const next = tf.tidy(() =>
      tf.where(tf.equal(own.free, 0), tf.tensor(own.held, param.shape, "float32"), param),
    );
    param.dispose();
    return next;
  }

  dispose(): void {
    for (const { free } of this.#values.values()) free.dispose();
  }
}
