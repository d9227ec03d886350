//! Causal self-attention (Vaswani et al. 2017) with grouped queries and rotary positions. Queries, keys and values
//! are columns of one matrix or of three. Blocks of rows are products of the `gemm` crate against the columns that
//! the mask leaves them; of the probabilities nothing is kept but each row's log-sum-exp, from which the backward
//! pass computes them again (Dao et al. 2022).

use gemm::Parallelism;
use rayon::prelude::*;

use crate::math::{dot, exp, exp_in_place, max};
use crate::matrix::{View, multiply};
use crate::parallel::{PIECE, for_pieces, run, vectorised};

/// Rows of one block: what lies above the diagonal inside a block is computed in vain.
const BLOCK: usize = 64;

/// Sizes of one attention call.
#[derive(Clone, Copy)]
pub struct Shape {
    pub batch: usize,
    pub context: usize,
    pub heads: usize,
    /// A divisor of `heads`: as many query heads in a row read one head of keys and values.
    pub kv_heads: usize,
    pub head_dim: usize,
}

impl Shape {
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    fn check(&self) {
        assert!(self.head_dim > 0 && self.kv_heads > 0 && self.heads.is_multiple_of(self.kv_heads));
    }

    fn is_big(&self) -> bool {
        self.batch * self.heads * self.head_dim * self.context * self.context > 1 << 16
    }

    /// Blocks of rows, the last first.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> {
        let context = self.context;
        (0..context)
            .step_by(BLOCK)
            .rev()
            .map(move |from| (from, context.min(from + BLOCK)))
    }
}

/// The heads' columns inside a matrix whose rows are `stride` long.
#[derive(Clone, Copy)]
pub struct Layout {
    pub stride: usize,
    pub offset: usize,
}

/// Layouts of q, k and v side by side in one matrix.
pub fn joint(shape: &Shape) -> [Layout; 3] {
    let [wide, narrow] = [shape.heads, shape.kv_heads].map(|heads| heads * shape.head_dim);
    [0, wide, wide + narrow].map(|offset| Layout {
        stride: wide + 2 * narrow,
        offset,
    })
}

/// Layouts of q, k and v in a matrix each.
pub fn apart(shape: &Shape) -> [Layout; 3] {
    [shape.heads, shape.kv_heads, shape.kv_heads].map(|heads| Layout {
        stride: heads * shape.head_dim,
        offset: 0,
    })
}

/// Queries, keys and values.
#[derive(Clone, Copy)]
pub struct Operands<'a> {
    pub data: [&'a [f32]; 3],
    pub layouts: [Layout; 3],
}

/// Cosines and sines [T, F] of the positions' angles; without any, nothing turns.
#[derive(Clone, Copy)]
pub struct Rotary<'a> {
    pub cos: &'a [f32],
    pub sin: &'a [f32],
}

impl Rotary<'_> {
    /// Turns the first 2·F numbers of every row [T, dh], by the negative angles when `back`.
    #[inline(always)]
    fn turn(&self, rows: &mut [f32], shape: &Shape, back: bool) {
        let half = self.cos.len() / shape.context;
        if half == 0 {
            return;
        }
        let sign = if back { -1.0 } else { 1.0 };
        for (row, (cos, sin)) in rows
            .chunks_exact_mut(shape.head_dim)
            .zip(self.cos.chunks_exact(half).zip(self.sin.chunks_exact(half)))
        {
            let (left, right) = row[..2 * half].split_at_mut(half);
            for ((a, b), (&cos, &sin)) in left.iter_mut().zip(right).zip(cos.iter().zip(sin)) {
                let sin = sign * sin;
                (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
            }
        }
    }

    fn check(&self, shape: &Shape) {
        let half = self.cos.len() / shape.context.max(1);
        assert!(self.cos.len() == half * shape.context && self.sin.len() == self.cos.len());
        assert!(
            2 * half <= shape.head_dim,
            "the rotary turn is wider than a head"
        );
    }
}

/// One head's rows [T, dh] apart.
fn gather(data: &[f32], layout: Layout, shape: &Shape, b: usize, head: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(shape.context * shape.head_dim);
    for t in 0..shape.context {
        let at = (b * shape.context + t) * layout.stride + layout.offset + head * shape.head_dim;
        out.extend_from_slice(&data[at..at + shape.head_dim]);
    }
    out
}

/// Puts heads' rows back: `of(b, head)` is [T, dh].
fn spread<'a>(
    out: &mut [f32],
    layout: Layout,
    shape: &Shape,
    heads: usize,
    of: impl Fn(usize, usize) -> &'a [f32] + Sync,
) {
    let (context, head_dim) = (shape.context, shape.head_dim);
    let rows = (PIECE / layout.stride).max(1);
    for_pieces(out, rows * layout.stride, |piece, out| {
        for (i, row) in out.chunks_exact_mut(layout.stride).enumerate() {
            let (b, t) = ((piece * rows + i) / context, (piece * rows + i) % context);
            for (head, to) in row[layout.offset..][..heads * head_dim]
                .chunks_exact_mut(head_dim)
                .enumerate()
            {
                to.copy_from_slice(&of(b, head)[t * head_dim..][..head_dim]);
            }
        }
    });
}

fn each<R: Send>(shape: &Shape, tasks: usize, task: impl Fn(usize) -> R + Sync + Send) -> Vec<R> {
    run(shape.is_big() && tasks > 1, |parallel| {
        if parallel {
            (0..tasks).into_par_iter().map(task).collect()
        } else {
            (0..tasks).map(task).collect()
        }
    })
}

/// A product of blocks on the thread that asks for it.
fn times(a: View, b: View, out: &mut [f32], sizes: [usize; 3], accumulate: bool) {
    let stride = sizes[2];
    multiply(a, b, out, stride, sizes, 1.0, accumulate, Parallelism::None);
}

/// z [B·T, H·dh] = softmax(q kᵀ/√dh, causal) v; `lse` [B, H, T] keeps each row's log of the sum of exponentials.
pub fn attention_forward(
    operands: Operands,
    rotary: Rotary,
    shape: &Shape,
    z: &mut [f32],
    lse: &mut [f32],
) {
    let &Shape {
        batch,
        context,
        heads,
        head_dim,
        ..
    } = shape;
    check(&operands, &rotary, shape);
    assert!(z.len() == batch * context * heads * head_dim && lse.len() == batch * heads * context);
    if z.is_empty() {
        return;
    }
    let scale = 1.0 / (head_dim as f32).sqrt();
    let outs = each(shape, batch * heads, |index| {
        let (b, h) = (index / heads, index % heads);
        let [mut q, mut k, v] = heads_of(&operands, shape, b, h);
        vectorised(|| {
            rotary.turn(&mut q, shape, false);
            rotary.turn(&mut k, shape, false);
            q.iter_mut().for_each(|value| *value *= scale);
        });
        let mut out = vec![0.0f32; context * head_dim];
        let mut sums = vec![0.0f32; context];
        let mut scores = vec![0.0f32; context.min(BLOCK) * context];
        for (from, to) in shape.blocks() {
            let n = to - from;
            let scores = &mut scores[..n * to];
            let queries = View::rows(&q[from * head_dim..], head_dim);
            times(
                queries,
                View::transposed(&k, head_dim),
                scores,
                [n, head_dim, to],
                false,
            );
            let mut factors = [0.0f32; BLOCK];
            vectorised(|| {
                for (i, row) in scores.chunks_exact_mut(to).enumerate() {
                    let (seen, ahead) = row.split_at_mut(from + i + 1);
                    let highest = max(seen);
                    let total = exp_in_place(seen, highest);
                    factors[i] = 1.0 / total;
                    sums[from + i] = highest + total.ln();
                    ahead.fill(0.0);
                }
            });
            let out = &mut out[from * head_dim..to * head_dim];
            times(
                View::rows(scores, to),
                View::rows(&v, head_dim),
                out,
                [n, to, head_dim],
                false,
            );
            vectorised(|| {
                for (row, &factor) in out.chunks_exact_mut(head_dim).zip(&factors) {
                    row.iter_mut().for_each(|value| *value *= factor);
                }
            });
        }
        (out, sums)
    });
    for (lse, (_, sums)) in lse.chunks_exact_mut(context).zip(&outs) {
        lse.copy_from_slice(sums);
    }
    spread(z, output(shape), shape, heads, |b, h| {
        &outs[b * heads + h].0
    });
}

/// Gradients of `attention_forward` from dz, z and the kept `lse`; `outputs` lie as the operands do, one matrix if
/// those are joint.
pub fn attention_backward(
    dz: &[f32],
    z: &[f32],
    operands: Operands,
    rotary: Rotary,
    lse: &[f32],
    shape: &Shape,
    outputs: [&mut [f32]; 3],
) {
    let &Shape {
        batch,
        context,
        heads,
        kv_heads,
        head_dim,
    } = shape;
    check(&operands, &rotary, shape);
    assert!(z.len() == batch * context * heads * head_dim && dz.len() == z.len());
    assert!(lse.len() == batch * heads * context);
    if dz.is_empty() {
        return;
    }
    let scale = 1.0 / (head_dim as f32).sqrt();
    let group = shape.group();
    let part = context * head_dim;
    // for each head of keys and values the queries that read it, one after another: [dq of the group, dk, dv]
    let outs = each(shape, batch * kv_heads, |index| {
        let (b, kv) = (index / kv_heads, index % kv_heads);
        let mut out = vec![0.0f32; (group + 2) * part];
        let (dqs, rest) = out.split_at_mut(group * part);
        let (dk, dv) = rest.split_at_mut(part);
        let [mut p, mut slopes] = [(); 2].map(|()| vec![0.0f32; context.min(BLOCK) * context]);
        for (h, dq) in (kv * group..).zip(dqs.chunks_exact_mut(part)) {
            let [mut q, mut k, v] = heads_of(&operands, shape, b, h);
            let dz = gather(dz, output(shape), shape, b, h);
            let z = gather(z, output(shape), shape, b, h);
            let lse = &lse[(b * heads + h) * context..][..context];
            vectorised(|| {
                rotary.turn(&mut q, shape, false);
                rotary.turn(&mut k, shape, false);
                q.iter_mut().for_each(|value| *value *= scale);
            });
            for (from, to) in shape.blocks() {
                let n = to - from;
                let (p, slopes) = (&mut p[..n * to], &mut slopes[..n * to]);
                let rows = from * head_dim..to * head_dim;
                let queries = View::rows(&q[rows.clone()], head_dim);
                let upstream = View::rows(&dz[rows.clone()], head_dim);
                times(
                    queries,
                    View::transposed(&k, head_dim),
                    p,
                    [n, head_dim, to],
                    false,
                );
                times(
                    upstream,
                    View::transposed(&v, head_dim),
                    slopes,
                    [n, head_dim, to],
                    false,
                );
                vectorised(|| {
                    for (i, (p, slopes)) in p
                        .chunks_exact_mut(to)
                        .zip(slopes.chunks_exact_mut(to))
                        .enumerate()
                    {
                        let t = from + i;
                        let at = t * head_dim..(t + 1) * head_dim;
                        let inner = dot(&dz[at.clone()], &z[at]); // Σ_s p_s dp_s
                        let (seen, ahead) = p.split_at_mut(t + 1);
                        for (p, slope) in seen.iter_mut().zip(slopes.iter_mut()) {
                            *p = exp(*p - lse[t]);
                            *slope = *p * (*slope - inner);
                        }
                        ahead.fill(0.0);
                        slopes[t + 1..].fill(0.0);
                    }
                });
                times(
                    View::transposed(p, to),
                    upstream,
                    &mut dv[..to * head_dim],
                    [to, n, head_dim],
                    true,
                );
                times(
                    View::transposed(slopes, to),
                    queries,
                    &mut dk[..to * head_dim],
                    [to, n, head_dim],
                    true,
                );
                times(
                    View::rows(slopes, to),
                    View::rows(&k, head_dim),
                    &mut dq[rows],
                    [n, to, head_dim],
                    false,
                );
            }
            vectorised(|| {
                rotary.turn(dq, shape, true);
                dq.iter_mut().for_each(|value| *value *= scale);
            });
        }
        vectorised(|| rotary.turn(dk, shape, true));
        out
    });
    let [wide, narrow] = [batch * context * heads, batch * context * kv_heads];
    let [dq, dk, dv] = outputs;
    let [lq, lk, lv] = operands.layouts;
    let query = |b: usize, h: usize| &outs[b * kv_heads + h / group][h % group * part..][..part];
    let key = |b: usize, h: usize| &outs[b * kv_heads + h][group * part..][..part];
    let value = |b: usize, h: usize| &outs[b * kv_heads + h][(group + 1) * part..][..part];
    if dk.is_empty() {
        assert!(dq.len() == (wide + 2 * narrow) * head_dim);
        spread(dq, lq, shape, heads, query);
        spread(dq, lk, shape, kv_heads, key);
        spread(dq, lv, shape, kv_heads, value);
    } else {
        assert!(dq.len() == wide * head_dim && [dk.len(), dv.len()] == [narrow * head_dim; 2]);
        spread(dq, lq, shape, heads, query);
        spread(dk, lk, shape, kv_heads, key);
        spread(dv, lv, shape, kv_heads, value);
    }
}

fn check(operands: &Operands, rotary: &Rotary, shape: &Shape) {
    shape.check();
    rotary.check(shape);
    for (data, layout) in operands.data.iter().zip(&operands.layouts) {
        assert!(data.len() == shape.batch * shape.context * layout.stride);
    }
}

fn output(shape: &Shape) -> Layout {
    Layout {
        stride: shape.heads * shape.head_dim,
        offset: 0,
    }
}

/// q of query head h, and k and v of the head that it reads.
fn heads_of(operands: &Operands, shape: &Shape, b: usize, h: usize) -> [Vec<f32>; 3] {
    let kv = h / shape.group();
    let [q, k, v] = operands.data;
    let [lq, lk, lv] = operands.layouts;
    [
        gather(q, lq, shape, b, h),
        gather(k, lk, shape, b, kv),
        gather(v, lv, shape, b, kv),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const STILL: Rotary = Rotary { cos: &[], sin: &[] };

    fn of<'a>(qkv: &'a [f32], shape: &Shape) -> Operands<'a> {
        Operands {
            data: [qkv; 3],
            layouts: joint(shape),
        }
    }

    #[test]
    fn two_tokens_by_hand() {
        // scores of the second token: q·k = 0 for both, so it takes the mean of the values
        let shape = Shape {
            batch: 1,
            context: 2,
            heads: 1,
            kv_heads: 1,
            head_dim: 1,
        };
        let qkv = [0.0, 1.0, 2.0, 0.0, 3.0, 6.0];
        let (mut z, mut lse) = ([9.0; 2], [9.0; 2]);
        attention_forward(of(&qkv, &shape), STILL, &shape, &mut z, &mut lse);
        assert_eq!((z, lse), ([2.0, 4.0], [0.0, std::f32::consts::LN_2]));
        let mut dqkv = [9.0; 6];
        let outputs = [&mut dqkv[..], &mut [], &mut []];
        attention_backward(
            &[1.0, 1.0],
            &z,
            of(&qkv, &shape),
            STILL,
            &lse,
            &shape,
            outputs,
        );
        // dp = (2, 6), ds = p(dp − 4) = (−1, 1); dq₂ = −1·1 + 1·3; dk = ds·q₂ = 0; dv = (1 + ½, ½)
        let want = [0.0, 0.0, 1.5, 2.0, 0.0, 0.5];
        assert!(
            dqkv.iter()
                .zip(want)
                .all(|(got, want)| (got - want).abs() < 1e-6)
        );
    }

    #[test]
    fn blocks_agree_with_the_obvious_loops() {
        let shape = Shape {
            batch: 2,
            context: 2 * BLOCK + 3,
            heads: 2,
            kv_heads: 2,
            head_dim: 5,
        };
        let value = |i: usize| ((i * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0;
        let qkv: Vec<f32> = (0..2 * shape.context * 30).map(value).collect();
        let mut z = vec![0.0; 2 * shape.context * 10];
        let mut lse = vec![0.0; 4 * shape.context];
        attention_forward(of(&qkv, &shape), STILL, &shape, &mut z, &mut lse);
        for (b, h, t) in [(0, 0, 0), (1, 1, BLOCK), (0, 1, shape.context - 1)] {
            let at = |part: usize, t: usize| {
                &qkv[(b * shape.context + t) * 30 + part * 10 + h * 5..][..5]
            };
            let weights: Vec<f32> = (0..=t)
                .map(|s| (dot(at(0, t), at(1, s)) / 5f32.sqrt()).exp())
                .collect();
            let total: f32 = weights.iter().sum();
            assert!((lse[(b * 2 + h) * shape.context + t] - total.ln()).abs() < 1e-5);
            for i in 0..5 {
                let want: f32 = weights
                    .iter()
                    .enumerate()
                    .map(|(s, w)| w / total * at(2, s)[i])
                    .sum();
                let got = z[(b * shape.context + t) * 10 + h * 5 + i];
                assert!((got - want).abs() < 1e-5, "{got} for {want}");
            }
        }
    }
}
