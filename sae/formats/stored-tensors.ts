/** @file The tensors of a stored SAE, taken one by one: a missing, misshapen or unused one is an error, never skipped. */
import { type HostTensor, readSafetensors, UsageError } from "../../src/io/index.ts";

/** What is left of a file's tensors. */
export class StoredTensors {
  readonly #path: string;
  readonly #tensors: Map<string, HostTensor>;

  /** Reads the safetensors file at `path`, or takes `tensors` that were read from it. Errors: UsageError for a damaged file. */
  constructor(path: string, tensors?: Map<string, HostTensor>) {
    this.#path = path;
    this.#tensors = tensors ?? readSafetensors(path).tensors;
  }

  /** Whether there is a tensor of that name left. */
  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** Takes an f32 tensor. Errors: UsageError where there is none of that name, shape and type. */
  take(name: string, shape: readonly number[]): Float32Array {
    const tensor = this.#tensors.get(name);
    if (!(tensor?.data instanceof Float32Array) || String(tensor.shape) !== String(shape)) {
      throw new UsageError({
        code: "sae-tensor",
        where: `${this.#path}: ${name}`,
        expected: `float32 [${shape.join(", ")}]`,
        got: tensor ? `${tensor.data.constructor.name} [${tensor.shape.join(", ")}]` : "no tensor",
      });
    }
    this.#tensors.delete(name);
    return tensor.data;
  }

  /** Takes a tensor of any shape and type. Errors: UsageError where there is none of that name. */
  takeAny(name: string): HostTensor {
    const tensor = this.#tensors.get(name);
    if (!tensor) {
      throw new UsageError({
        code: "sae-tensor",
        where: `${this.#path}: ${name}`,
        expected: "a tensor",
        got: "none of that name",
      });
    }
    this.#tensors.delete(name);
    return tensor;
  }

  /** Errors: UsageError where a tensor was not taken. */
  finish(what: string): void {
    if (this.#tensors.size === 0) return;
    throw new UsageError({
      code: "sae-tensor",
      where: this.#path,
      expected: `only the tensors of ${what}`,
      got: `also ${[...this.#tensors.keys()].join(", ")}`,
    });
  }
}
