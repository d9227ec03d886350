//! Causal self-attention (Vaswani et al. 2017) over a joint q|k|v matrix [B·T, 3·H·dh], one head a task. Blocks of
//! rows are products of the `gemm` crate against the columns that the mask leaves them.

use gemm::Parallelism;
use rayon::prelude::*;

use crate::math::{dot, exp_in_place, max};
use crate::matrix::{View, multiply};
use crate::parallel::{run, vectorised};

/// Rows of one block: what lies above the diagonal inside a block is computed in vain.
const BLOCK: usize = 64;

/// Sizes of one attention call.
#[derive(Clone, Copy)]
pub struct Shape {
    pub batch: usize,
    pub context: usize,
    pub heads: usize,
    pub head_dim: usize,
}

impl Shape {
    fn width(&self) -> usize {
        self.heads * self.head_dim
    }

    fn is_big(&self) -> bool {
        self.batch * self.heads > 1
            && self.batch * self.width() * self.context * self.context > 1 << 16
    }

    /// Where q, k and v of a head begin in the joint matrix.
    fn offsets(&self, b: usize, h: usize) -> [usize; 3] {
        let q = b * self.context * 3 * self.width() + h * self.head_dim;
        [q, q + self.width(), q + 2 * self.width()]
    }

    /// Blocks of rows, the last first: it alone reaches every row before it.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> {
        let context = self.context;
        (0..context)
            .step_by(BLOCK)
            .rev()
            .map(move |from| (from, context.min(from + BLOCK)))
    }
}

/// z [B·T, H·dh] = softmax(q kᵀ/√dh, causal) v; `pattern` [B, H, T, T] receives the probabilities.
pub fn attention_forward(qkv: &[f32], shape: Shape, z: &mut [f32], pattern: &mut [f32]) {
    let Shape {
        batch,
        context,
        heads,
        head_dim,
    } = shape;
    let (width, stride) = (shape.width(), 3 * shape.width());
    assert!(qkv.len() == batch * context * stride && z.len() == batch * context * width);
    assert!(pattern.len() == batch * heads * context * context);
    if z.is_empty() {
        return;
    }
    let scale = 1.0 / (head_dim as f32).sqrt();
    // a head's z is gathered apart, since the heads' columns interleave, and spread out afterwards
    let head = |(index, pattern): (usize, &mut [f32])| {
        let [q, k, v] = shape.offsets(index / heads, index % heads);
        let mut out = vec![0.0f32; context * head_dim];
        for (from, to) in shape.blocks() {
            let rows = &mut pattern[from * context..to * context];
            multiply(
                View::rows(&qkv[q + from * stride..], stride),
                View::transposed(&qkv[k..], stride),
                rows,
                context,
                [to - from, head_dim, to],
                scale,
                false,
                Parallelism::None,
            );
            vectorised(|| {
                for (i, row) in rows.chunks_exact_mut(context).enumerate() {
                    let (seen, ahead) = row.split_at_mut(from + i + 1);
                    let highest = max(seen);
                    let factor = 1.0 / exp_in_place(seen, highest);
                    seen.iter_mut().for_each(|p| *p *= factor);
                    ahead.fill(0.0);
                }
            });
            multiply(
                View::rows(rows, context),
                View::rows(&qkv[v..], stride),
                &mut out[from * head_dim..to * head_dim],
                head_dim,
                [to - from, to, head_dim],
                1.0,
                false,
                Parallelism::None,
            );
        }
        out
    };
    let outs: Vec<Vec<f32>> = run(shape.is_big(), |parallel| {
        if parallel {
            pattern
                .par_chunks_mut(context * context)
                .enumerate()
                .map(head)
                .collect()
        } else {
            pattern
                .chunks_mut(context * context)
                .enumerate()
                .map(head)
                .collect()
        }
    });
    for (index, out) in outs.iter().enumerate() {
        let at = (index / heads) * context * width + (index % heads) * head_dim;
        for (t, row) in out.chunks_exact(head_dim).enumerate() {
            z[at + t * width..][..head_dim].copy_from_slice(row);
        }
    }
}

/// dqkv [B·T, 3·H·dh] of `attention_forward`, from dz and the kept probabilities.
pub fn attention_backward(
    dz: &[f32],
    qkv: &[f32],
    pattern: &[f32],
    shape: Shape,
    dqkv: &mut [f32],
) {
    let Shape {
        batch,
        context,
        heads,
        head_dim,
    } = shape;
    let (width, stride) = (shape.width(), 3 * shape.width());
    assert!(qkv.len() == batch * context * stride && dz.len() == batch * context * width);
    assert!(pattern.len() == batch * heads * context * context && dqkv.len() == qkv.len());
    if dz.is_empty() {
        return;
    }
    let scale = 1.0 / (head_dim as f32).sqrt();
    let head = |index: usize| {
        let (b, h) = (index / heads, index % heads);
        let [q, k, v] = shape.offsets(b, h);
        let dz = &dz[b * context * width + h * head_dim..];
        let pattern = &pattern[index * context * context..][..context * context];
        let part = context * head_dim;
        let mut out = vec![0.0f32; 3 * part];
        let (dq, rest) = out.split_at_mut(part);
        let (dk, dv) = rest.split_at_mut(part);
        let mut slopes = vec![0.0f32; context.min(BLOCK) * context];
        for (from, to) in shape.blocks() {
            let rows = &pattern[from * context..to * context];
            let n = to - from;
            let dz = View::rows(&dz[from * width..], width);
            let accumulate = to < context;
            let slopes = &mut slopes[..n * to];
            multiply(
                dz,
                View::transposed(&qkv[v..], stride),
                slopes,
                to,
                [n, head_dim, to],
                1.0,
                false,
                Parallelism::None,
            );
            multiply(
                View::transposed(rows, context),
                dz,
                dv,
                head_dim,
                [to, n, head_dim],
                1.0,
                accumulate,
                Parallelism::None,
            );
            vectorised(|| {
                for (slopes, p) in slopes.chunks_exact_mut(to).zip(rows.chunks_exact(context)) {
                    let inner = dot(slopes, &p[..to]); // Σ_s p_s dp_s; p is zero past the diagonal
                    slopes
                        .iter_mut()
                        .zip(p)
                        .for_each(|(slope, &p)| *slope = p * (*slope - inner));
                }
            });
            multiply(
                View::rows(slopes, to),
                View::rows(&qkv[k..], stride),
                &mut dq[from * head_dim..to * head_dim],
                head_dim,
                [n, to, head_dim],
                scale,
                false,
                Parallelism::None,
            );
            multiply(
                View::transposed(slopes, to),
                View::rows(&qkv[q + from * stride..], stride),
                dk,
                head_dim,
                [to, n, head_dim],
                scale,
                accumulate,
                Parallelism::None,
            );
        }
        out
    };
    let outs: Vec<Vec<f32>> = run(shape.is_big(), |parallel| {
        if parallel {
            (0..batch * heads).into_par_iter().map(head).collect()
        } else {
            (0..batch * heads).map(head).collect()
        }
    });
    for (index, out) in outs.iter().enumerate() {
        let offsets = shape.offsets(index / heads, index % heads);
        for (at, part) in offsets.iter().zip(out.chunks_exact(context * head_dim)) {
            for (t, row) in part.chunks_exact(head_dim).enumerate() {
                dqkv[at + t * stride..][..head_dim].copy_from_slice(row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tokens_by_hand() {
        // scores of the second token: q·k = 0 for both, so it takes the mean of the values
        let shape = Shape {
            batch: 1,
            context: 2,
            heads: 1,
            head_dim: 1,
        };
        let qkv = [0.0, 1.0, 2.0, 0.0, 3.0, 6.0];
        let (mut z, mut pattern) = ([9.0; 2], [9.0; 4]);
        attention_forward(&qkv, shape, &mut z, &mut pattern);
        assert_eq!((z, pattern), ([2.0, 4.0], [1.0, 0.0, 0.5, 0.5]));
        let mut dqkv = [9.0; 6];
        attention_backward(&[1.0, 1.0], &qkv, &pattern, shape, &mut dqkv);
        // dp = (2, 6), ds = p(dp − 4) = (−1, 1); dq₂ = −1·1 + 1·3; dk = ds·q₂ = 0; dv = (1 + ½, ½)
        assert_eq!(dqkv, [0.0, 0.0, 1.5, 2.0, 0.0, 0.5]);
    }

    #[test]
    fn blocks_agree_with_the_obvious_loops() {
        let shape = Shape {
            batch: 2,
            context: 2 * BLOCK + 3,
            heads: 2,
            head_dim: 5,
        };
        let width = shape.width();
        let value = |i: usize| ((i * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0;
        let qkv: Vec<f32> = (0..2 * shape.context * 3 * width).map(value).collect();
        let mut z = vec![0.0; 2 * shape.context * width];
        let mut pattern = vec![0.0; 4 * shape.context * shape.context];
        attention_forward(&qkv, shape, &mut z, &mut pattern);
        for (b, h, t) in [(0, 0, 0), (1, 1, BLOCK), (0, 1, shape.context - 1)] {
            let [q, k, v] = shape.offsets(b, h);
            let at = |from: usize, t: usize| &qkv[from + t * 3 * width..][..5];
            let weights: Vec<f32> = (0..=t)
                .map(|s| (dot(at(q, t), at(k, s)) / 5f32.sqrt()).exp())
                .collect();
            let total: f32 = weights.iter().sum();
            for i in 0..5 {
                let want: f32 = weights
                    .iter()
                    .enumerate()
                    .map(|(s, w)| w / total * at(v, s)[i])
                    .sum();
                let got = z[(b * shape.context + t) * width + h * 5 + i];
                assert!((got - want).abs() < 1e-5, "{got} for {want}");
            }
        }
    }
}
