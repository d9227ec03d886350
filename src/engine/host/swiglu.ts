/** SwiGLU (Shazeer 2020) as plain loops: silu(gate)·up, with silu(x) = x/(1 + e^−x). */
import { fastExp } from "./fast-exp.ts";

/** y = silu(gate)·up. */
export function swigluForward(gate: Float32Array, up: Float32Array, y: Float32Array): void {
  for (let i = 0; i < y.length; i++) y[i] = (gate[i] / (1 + fastExp(-gate[i]))) * up[i];
}

/** Gradients of `swigluForward` with respect to both inputs. */
export function swigluBackward(
  dy: Float32Array,
  gate: Float32Array,
  up: Float32Array,
  dgate: Float32Array,
  dup: Float32Array,
): void {
  for (let i = 0; i < dy.length; i++) {
    const sigmoid = 1 / (1 + fastExp(-gate[i]));
    dup[i] = dy[i] * gate[i] * sigmoid;
    dgate[i] = dy[i] * up[i] * sigmoid * (1 + gate[i] * (1 - sigmoid));
  }
}
