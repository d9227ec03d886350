/**
 * AdamW (Loshchilov & Hutter 2019) over named tensors, with global-norm gradient clipping.
 * A step takes the parameters and gives new tensors in their place. Only a backend whose kernels say so
 * gets them written in place: wasm caches packed weights by tensor, and would multiply by stale numbers.
 */
import { adamwArray, hostKernels } from "./host/kernels.ts";
import { hasHostMemory, hostOp, hostView } from "./host-memory.ts";
import { tf } from "./tf.ts";

/** Constants of an AdamW run. */
export interface AdamwOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  /** Decoupled decay, applied to parameters of two or more dimensions only (biases and gains are left alone). */
  readonly weightDecay: number;
  /** Largest global gradient norm; Infinity for no clipping. */
  readonly clip: number;
}

/** Defaults used for language models here (nanoGPT's). */
export const adamwDefaults: AdamwOptions = {
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  weightDecay: 0.1,
  clip: 1,
};

/** First and second moments per parameter and the number of steps taken. */
export interface AdamwState {
  readonly step: number;
  readonly m: ReadonlyMap<string, Float32Array>;
  readonly v: ReadonlyMap<string, Float32Array>;
}

/** The optimizer's state on the engine; `dispose` frees it. */
export class AdamW {
  readonly #options: AdamwOptions;
  readonly #m = new Map<string, tf.Tensor>();
  readonly #v = new Map<string, tf.Tensor>();
  #step = 0;

  constructor(
    params: ReadonlyMap<string, tf.Tensor>,
    options: Partial<AdamwOptions> = {},
    state?: AdamwState,
  ) {
    this.#options = { ...adamwDefaults, ...options };
    for (const [name, param] of params) {
      this.#m.set(name, moment(state?.m.get(name), param));
      this.#v.set(name, moment(state?.v.get(name), param));
    }
    this.#step = state?.step ?? 0;
  }

  /**
   * One step: disposes the parameters and the gradients, and resolves with every parameter's next value and the
   * gradient norm before clipping.
   */
  async step(
    params: ReadonlyMap<string, tf.Tensor>,
    grads: ReadonlyMap<string, tf.Tensor>,
    lr: number,
  ): Promise<{ params: Map<string, tf.Tensor>; gradNorm: number }> {
    this.#step += 1;
    const gradNorm = await globalNorm([...grads.values()]);
    const scale = gradNorm > this.#options.clip ? this.#options.clip / gradNorm : 1;
    const next = new Map<string, tf.Tensor>();
    for (const [name, param] of params) {
      const grad = grads.get(name);
      if (!grad) throw new Error(`internal: no gradient for ${name}`);
      const value = this.#update(name, param, grad, lr, scale);
      tf.dispose(value === param ? grad : [param, grad]);
      next.set(name, value);
    }
    return { params: next, gradNorm };
  }

  #update(name: string, param: tf.Tensor, grad: tf.Tensor, lr: number, scale: number): tf.Tensor {
    const { beta1, beta2, eps } = this.#options;
    const weightDecay = param.shape.length >= 2 ? this.#options.weightDecay : 0;
    const m = this.#m.get(name) as tf.Tensor;
    const v = this.#v.get(name) as tf.Tensor;
    const numbers = { lr, beta1, beta2, eps, weightDecay, step: this.#step, scale };
    if (hasHostMemory() && hostKernels().updatesInPlace) {
      const [p, g, mi, vi] = [param, grad, m, v].map((tensor) => {
        const view = hostView(tensor);
        if (!view) throw new Error("internal: expected parameters in host memory");
        return view;
      });
      adamwArray(p, g, mi, vi, p, numbers);
      return param;
    }
    if (hasHostMemory()) {
      return hostOp([param.shape], [param, grad, m, v], ([out], [p, g, mi, vi]) =>
        adamwArray(p, g, mi, vi, out, numbers),
      )[0];
    }
    const [next, nextM, nextV] = tf.tidy(() => {
      const g = tf.mul(grad, scale);
      const m1 = tf.add(tf.mul(m, beta1), tf.mul(g, 1 - beta1));
      const v1 = tf.add(tf.mul(v, beta2), tf.mul(tf.square(g), 1 - beta2));
      const mHat = tf.div(m1, 1 - beta1 ** this.#step);
      const vHat = tf.div(v1, 1 - beta2 ** this.#step);
      const move = tf.mul(tf.div(mHat, tf.add(tf.sqrt(vHat), eps)), lr);
      return [tf.sub(tf.mul(param, 1 - lr * weightDecay), move), m1, v1];
    });
    m.dispose();
    v.dispose();
    this.#m.set(name, nextM);
    this.#v.set(name, nextV);
    return next;
  }

  /** The moments as arrays, for a checkpoint. */
  async state(): Promise<AdamwState> {
    const read = async (from: Map<string, tf.Tensor>): Promise<Map<string, Float32Array>> => {
      const out = new Map<string, Float32Array>();
      for (const [name, tensor] of from)
        out.set(name, (await tensor.data()).slice() as Float32Array);
      return out;
    };
    return { step: this.#step, m: await read(this.#m), v: await read(this.#v) };
  }

  /** Frees the moments. */
  dispose(): void {
    tf.dispose([...this.#m.values(), ...this.#v.values()]);
  }
}

/** √Σ‖g‖² over all gradients, summed in f64 where the memory is the host's. */
export async function globalNorm(grads: readonly tf.Tensor[]): Promise<number> {
  if (hasHostMemory()) {
    let sum = 0;
    for (const grad of grads) {
      const values = hostView(grad);
      if (!values) throw new Error("internal: expected gradients in host memory");
      sum += hostKernels().sumOfSquares(values);
    }
    return Math.sqrt(sum);
  }
  const total = tf.tidy(() => {
    // one by one: a single sum of many terms needs more bindings than WebGPU's shaders may have
    let sum: tf.Tensor = tf.scalar(0);
    for (const grad of grads) sum = tf.add(sum, tf.sum(tf.square(grad)));
    return tf.sqrt(sum);
  });
  const [norm] = await total.data();
  total.dispose();
  return norm;
}

function moment(saved: Float32Array | undefined, param: tf.Tensor): tf.Tensor {
  // copied: the cpu backend keeps the array it is given, and a step writes into it
  return saved ? tf.tensor(saved.slice(), param.shape, "float32") : tf.zeros(param.shape);
}
