/** AdamW (Loshchilov & Hutter 2019) on one array, as a plain loop; moments are updated in place. */

/** Numbers of one AdamW step. `scale` multiplies the gradient first (clipping). */
export interface AdamwNumbers {
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** 1-based step, for the bias correction. */
  readonly step: number;
  readonly scale: number;
}

/** next = param − lr·(m̂/(√v̂ + eps) + weightDecay·param). `next` may be `param` itself. */
export function adamwArray(
  param: Float32Array,
  grad: Float32Array,
  m: Float32Array,
  v: Float32Array,
  next: Float32Array,
  { lr, beta1, beta2, eps, weightDecay, step, scale }: AdamwNumbers,
): void {
  const correct1 = 1 / (1 - beta1 ** step);
  const correct2 = 1 / (1 - beta2 ** step);
  const decay = 1 - lr * weightDecay;
  for (let i = 0; i < param.length; i++) {
    const g = grad[i] * scale;
    const mi = beta1 * m[i] + (1 - beta1) * g;
    const vi = beta2 * v[i] + (1 - beta2) * g * g;
    m[i] = mi;
    v[i] = vi;
    next[i] = param[i] * decay - (lr * mi * correct1) / (Math.sqrt(vi * correct2) + eps);
  }
}
