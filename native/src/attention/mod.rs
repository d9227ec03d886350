//! Causal self-attention (Vaswani et al. 2017) with grouped queries and rotary positions. Queries, keys and values
//! are columns of one matrix or of three. Of the probabilities nothing is kept but each row's log-sum-exp, from
//! which the backward pass computes them again (Dao et al. 2022). Here is what both passes share.

mod backward;
mod forward;

use std::marker::PhantomData;
use std::slice;

use pulp::Simd;

use crate::tile::{Rows, aligned, copy};

pub use backward::attention_backward;
pub use forward::attention_forward;

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
    /// Turns the first 2·F numbers of row t of a head, by the negative angles when `back`.
    #[inline(always)]
    fn turn(&self, row: &mut [f32], t: usize, shape: &Shape, back: bool) {
        let half = self.cos.len() / shape.context;
        if half == 0 {
            return;
        }
        let sign = if back { -1.0 } else { 1.0 };
        let [cos, sin] = [self.cos, self.sin].map(|table| &table[t * half..][..half]);
        let (left, right) = row[..2 * half].split_at_mut(half);
        for ((a, b), (&cos, &sin)) in left.iter_mut().zip(right).zip(cos.iter().zip(sin)) {
            let sin = sign * sin;
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
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

/// One head's rows [T, dh] of a matrix.
fn rows_of<'a>(data: &'a [f32], layout: Layout, shape: &Shape, b: usize, head: usize) -> Rows<'a> {
    let from = b * shape.context * layout.stride + layout.offset + head * shape.head_dim;
    Rows {
        data: &data[from..],
        stride: layout.stride,
        n: shape.context,
        d: shape.head_dim,
    }
}

/// One head's rows, turned by their positions and multiplied by `scale`, apart.
#[inline(always)]
fn turned<'a, S: Simd>(
    x: Rows,
    rotary: Rotary,
    scale: f32,
    shape: &Shape,
    buffer: &'a mut Vec<f32>,
) -> Rows<'a> {
    let out = aligned(buffer, x.n * x.d);
    for (t, row) in out.chunks_exact_mut(x.d).enumerate() {
        copy::<S>(x.row(t), row);
        rotary.turn(row, t, shape, false);
        row.iter_mut().for_each(|value| *value *= scale);
    }
    Rows::of(out, x.d)
}

/// A matrix that tasks write to side by side, each to the rows of heads that are its own.
#[derive(Clone, Copy)]
struct Shared<'a> {
    start: *mut f32,
    length: usize,
    layout: Layout,
    shape: &'a Shape,
    borrowed: PhantomData<&'a mut [f32]>,
}

// SAFETY: what is reached through it are rows that `row`'s callers promise to be theirs alone.
unsafe impl Send for Shared<'_> {}
// SAFETY: the same.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    fn of(data: &'a mut [f32], layout: Layout, shape: &'a Shape) -> Self {
        Shared {
            start: data.as_mut_ptr(),
            length: data.len(),
            layout,
            shape,
            borrowed: PhantomData,
        }
    }

    /// Row t of a head of a sequence.
    ///
    /// # Safety
    /// No two threads may ask for the rows of one head of one sequence, and a row may not be asked for while it is held.
    #[inline(always)]
    unsafe fn row(&self, b: usize, head: usize, t: usize) -> &'a mut [f32] {
        let &Shape {
            context, head_dim, ..
        } = self.shape;
        let at = (b * context + t) * self.layout.stride + self.layout.offset + head * head_dim;
        assert!(at + head_dim <= self.length);
        // SAFETY: inside the matrix, as was just asserted; borrowed exclusively for 'a, and by the caller's promise
        // nobody else has these numbers.
        unsafe { slice::from_raw_parts_mut(self.start.add(at), head_dim) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::dot;

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
    fn strips_agree_with_the_obvious_loops() {
        let shape = Shape {
            batch: 2,
            context: 131, // more than one block of the backward pass
            heads: 2,
            kv_heads: 2,
            head_dim: 5,
        };
        let value = |i: usize| ((i * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0;
        let qkv: Vec<f32> = (0..2 * shape.context * 30).map(value).collect();
        let mut z = vec![0.0; 2 * shape.context * 10];
        let mut lse = vec![0.0; 4 * shape.context];
        attention_forward(of(&qkv, &shape), STILL, &shape, &mut z, &mut lse);
        for (b, h, t) in [(0, 0, 0), (1, 1, 64), (0, 1, shape.context - 1)] {
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
