// Latent scaling (Minder et al., arXiv 2504.02922): how strongly a model's activations hold a latent's
// direction when the latent fires. For latent activations a_t, a readout v and a direction u,
//   β = min over β, c of Σ_t (vᵀx_t − c − β vᵀu a_t)²  =  vᵀcov(x, a) / (vᵀu · var(a)).
// In the parent v = u = d, its own decoder row. In the child u = E d and v = Rᵀd, so that βs of parent
// and child are equal right after an exact expansion (Rx = the parent's x, vᵀu = dᵀd). The ratio child
// over parent is what is reported: near 1 the child writes the feature as before, near 0 it doesn't,
// whether or not any SAE of the child has a latent for it. Off-image activations are not seen by R.
import type { Frame } from "./input.ts";
import type { ProbeSums } from "./probe.ts";

/** Directions as they are written and read in one model's activations, one a row. */
export interface ScalingFrame {
  readonly readout: Float32Array; // [n, dIn]
  readonly direction: Float32Array; // [n, dIn]
}

/** The parent's decoder rows [n, d] as the child writes and reads them; without a map for readouts, what is written is what is read. */
export function childScaling(W_dec: Float32Array, frame: Frame): ScalingFrame {
  const direction = frame.decoder(W_dec);
  return { readout: frame.encoder?.(W_dec) ?? direction, direction };
}

/** β of each latent of targets[target]; NaN where it is constant or its readout misses its direction. */
export function scalingSlopes(
  { dIn, halves: [a, b] }: ProbeSums,
  target: number,
  { readout, direction }: ScalingFrame,
): Float64Array {
  const rows = a.rows + b.rows;
  const [ya, yb] = [a.targets[target], b.targets[target]];
  return Float64Array.from(ya.sum, (_, i) => {
    const mean = (ya.sum[i] + yb.sum[i]) / rows;
    const squares = ya.squares[i] + yb.squares[i];
    const varied = squares - rows * mean * mean;
    let together = 0;
    let along = 0;
    let length = 0;
    for (let s = i * dIn, d = 0; d < dIn; s++, d++) {
      together += readout[s] * (ya.cross[s] + yb.cross[s] - mean * (a.sum[d] + b.sum[d]));
      along += readout[s] * direction[s];
      length += readout[s] * readout[s];
    }
    const isConstant = !(varied > 1e-12 * squares);
    return isConstant || Math.abs(along) <= 1e-9 * length
      ? Number.NaN
      : together / (along * varied);
  });
}

/** The child's β over the parent's; NaN where the parent's is not clearly above 0. */
export function scalingRatio(child: Float64Array, parent: Float64Array): Float64Array {
  return child.map((beta, i) => (parent[i] > 1e-6 ? beta / parent[i] : Number.NaN));
}
