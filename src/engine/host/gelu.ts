/**
 * GELU with the tanh approximation (Hendrycks & Gimpel 2016), GPT-2's `gelu_new`, as plain loops.
 * tanh(u) is computed as 1 − 2/(1 + e^{2u}), which saturates correctly at both ends.
 */
import { fastExp } from "./fast-exp.ts";

const root2OverPi = Math.sqrt(2 / Math.PI);
const cubic = 0.044715;

/** y = x/2·(1 + tanh(√(2/π)(x + 0.044715x³))). */
export function geluForward(x: Float32Array, y: Float32Array): void {
  for (let i = 0; i < x.length; i++) y[i] = 0.5 * x[i] * (1 + tanhOf(x[i]));
}

/** dx = dy · dGELU/dx. */
export function geluBackward(dy: Float32Array, x: Float32Array, dx: Float32Array): void {
  for (let i = 0; i < x.length; i++) {
    const v = x[i];
    const tanh = tanhOf(v);
    const inner = root2OverPi * (1 + 3 * cubic * v * v);
    dx[i] = dy[i] * 0.5 * (1 + tanh + v * (1 - tanh * tanh) * inner);
  }
}

function tanhOf(x: number): number {
  return 1 - 2 / (1 + fastExp(2 * root2OverPi * (x + cubic * x * x * x)));
}
