//! The forward pass: a strip of queries at a time against the keys that the mask leaves it. Its scores stay in the
//! first-level cache, where they become probabilities and meet the values.

use std::cell::RefCell;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{Operands, Rotary, Shape, Shared, check, output, rows_of, turned};
use crate::math::{LANES, exp_in_place, max};
use crate::parallel::{dispatch, run};
use crate::tile::{aligned, pack_columns, pack_rows, product, store, width};

/// Buffers of one thread, kept from call to call.
#[derive(Default)]
struct Scratch {
    q: Vec<f32>,
    k: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    scores: Vec<f32>,
    out: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
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
    let z = Shared::of(z, output(shape), shape);
    let head = |(index, lse): (usize, &mut [f32])| {
        SCRATCH.with_borrow_mut(|scratch| {
            dispatch(Head {
                operands,
                rotary,
                shape,
                at: (index / heads, index % heads),
                scratch,
                z,
                lse,
            });
        });
    };
    run(shape.is_big(), |parallel| {
        if parallel {
            lse.par_chunks_exact_mut(context).enumerate().for_each(head);
        } else {
            lse.chunks_exact_mut(context).enumerate().for_each(head);
        }
    });
}

/// One query head of one sequence.
struct Head<'a> {
    operands: Operands<'a>,
    rotary: Rotary<'a>,
    shape: &'a Shape,
    at: (usize, usize),
    scratch: &'a mut Scratch,
    z: Shared<'a>,
    lse: &'a mut [f32],
}

impl WithSimd for Head<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // accumulators, a panel's two vectors and a broadcast number fill the registers
        if S::REGISTER_COUNT >= 32 {
            self.work::<S, 14>(simd);
        } else {
            self.work::<S, 6>(simd);
        }
    }
}

impl Head<'_> {
    #[inline(always)]
    fn work<S: Simd, const M: usize>(self, simd: S) {
        let Head {
            operands,
            rotary,
            shape,
            at: (b, h),
            scratch,
            z,
            lse,
        } = self;
        let &Shape {
            context,
            head_dim: d,
            ..
        } = shape;
        let heads = [h, h / shape.group(), h / shape.group()];
        let [q, k, v] = std::array::from_fn(|i| {
            rows_of(operands.data[i], operands.layouts[i], shape, b, heads[i])
        });
        let scale = 1.0 / (d as f32).sqrt();
        let q = turned::<S>(q, rotary, scale, shape, &mut scratch.q);
        let k = turned::<S>(k, rotary, 1.0, shape, &mut scratch.k);
        let keys = pack_rows::<S>(k, &mut scratch.keys);
        let values = pack_columns::<S>(v, &mut scratch.values);

        let width = width::<S>();
        let stride = context.next_multiple_of(width.max(LANES));
        let scores = aligned(&mut scratch.scores, M * stride);
        let out_stride = d.next_multiple_of(width);
        let out = aligned(&mut scratch.out, M * out_stride);
        for from in (0..context).step_by(M) {
            let taken = M.min(context - from);
            let to = from + taken;
            let rows: [&[f32]; M] = std::array::from_fn(|i| q.row(from + i.min(taken - 1)));
            for (p, panel) in keys
                .chunks_exact(width * d)
                .take(to.div_ceil(width))
                .enumerate()
            {
                let (panel, _) = S::as_simd_f32s(panel);
                let tile = product::<S, M>(simd, panel, &rows, &[0.0; M]);
                store::<S, M>(&tile, &mut scores[p * width..], stride);
            }
            let mut factors = [0.0f32; M];
            for (i, row) in scores.chunks_exact_mut(stride).take(taken).enumerate() {
                // whole vectors: what the mask takes away inside the last one is nothing to the maximum and the sum
                let seen = from + i + 1;
                let (seen, ahead) = row.split_at_mut(seen.next_multiple_of(LANES));
                seen[from + i + 1..].fill(f32::NEG_INFINITY);
                ahead.fill(0.0);
                let highest = max(seen);
                let total = exp_in_place(seen, highest);
                factors[i] = 1.0 / total;
                lse[from + i] = highest + total.ln();
            }
            let rows: [&[f32]; M] =
                std::array::from_fn(|i| &scores[i.min(taken - 1) * stride..][..to]);
            for (c, panel) in values.chunks_exact(width * context).enumerate() {
                let (panel, _) = S::as_simd_f32s(&panel[..to * width]);
                let tile = product::<S, M>(simd, panel, &rows, &[0.0; M]);
                store::<S, M>(&tile, &mut out[c * width..], out_stride);
            }
            let rows = out.chunks_exact(out_stride).take(taken).zip(&factors);
            for (t, (row, &factor)) in (from..to).zip(rows) {
                // SAFETY: this head of this sequence is this task's alone, and each of its rows is written once.
                let z = unsafe { z.row(b, h, t) };
                for (z, &value) in z.iter_mut().zip(row) {
                    *z = value * factor;
                }
            }
        }
    }
}
