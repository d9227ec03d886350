//! The backward pass. A block of queries at a time computes its probabilities again from the kept log-sum-exps;
//! they and their slopes stay in the second-level cache, where they meet the upstream gradient and the queries.

use std::cell::RefCell;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{Operands, Rotary, Shape, Shared, check, output, rows_of, turned};
use crate::math::{LANES, dot, exp};
use crate::parallel::{dispatch, run};
use crate::tile::{
    add, aligned, pack_columns, pack_rows, product, product_of_columns, store, width,
};

/// Strips of queries in a block: the gradients of keys and values are gone through once a block.
const STRIPS: usize = 8;

/// Buffers of one thread, kept from call to call.
#[derive(Default)]
struct Scratch {
    q: Vec<f32>,
    k: Vec<f32>,
    /// Rows of k and of v, columns of k, of q and of dz.
    panels: [Vec<f32>; 5],
    patterns: Vec<f32>,
    slopes: Vec<f32>,
    out: Vec<f32>,
    dk: Vec<f32>,
    dv: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
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
    let [wide, narrow] = [heads, kv_heads].map(|heads| batch * context * heads * head_dim);
    let [dq, dk, dv] = outputs;
    let layouts = operands.layouts;
    let outputs = if dk.is_empty() {
        assert!(dq.len() == wide + 2 * narrow);
        let joint = Shared::of(dq, layouts[0], shape);
        layouts.map(|layout| Shared { layout, ..joint })
    } else {
        assert!(dq.len() == wide && [dk.len(), dv.len()] == [narrow; 2]);
        [
            Shared::of(dq, layouts[0], shape),
            Shared::of(dk, layouts[1], shape),
            Shared::of(dv, layouts[2], shape),
        ]
    };
    let group = |index: usize| {
        SCRATCH.with_borrow_mut(|scratch| {
            dispatch(Group {
                dz,
                z,
                operands,
                rotary,
                lse,
                shape,
                at: (index / kv_heads, index % kv_heads),
                scratch,
                outputs,
            });
        });
    };
    run(shape.is_big(), |parallel| {
        if parallel {
            (0..batch * kv_heads).into_par_iter().for_each(group);
        } else {
            (0..batch * kv_heads).for_each(group);
        }
    });
}

/// One head of keys and values of one sequence, and the query heads that read it.
struct Group<'a> {
    dz: &'a [f32],
    z: &'a [f32],
    operands: Operands<'a>,
    rotary: Rotary<'a>,
    lse: &'a [f32],
    shape: &'a Shape,
    at: (usize, usize),
    scratch: &'a mut Scratch,
    outputs: [Shared<'a>; 3],
}

impl WithSimd for Group<'_> {
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

impl Group<'_> {
    #[inline(always)]
    fn work<S: Simd, const M: usize>(self, simd: S) {
        let Group {
            dz,
            z,
            operands,
            rotary,
            lse,
            shape,
            at: (b, kv),
            scratch,
            outputs,
        } = self;
        let &Shape {
            context,
            heads,
            head_dim: d,
            ..
        } = shape;
        let operand =
            |i: usize, head: usize| rows_of(operands.data[i], operands.layouts[i], shape, b, head);
        let [key_rows, value_rows, key_columns, query_columns, dz_columns] = &mut scratch.panels;
        let k = turned::<S>(operand(1, kv), rotary, 1.0, shape, &mut scratch.k);
        let key_rows = pack_rows::<S>(k, key_rows);
        let key_columns = pack_columns::<S>(k, key_columns);
        let value_rows = pack_rows::<S>(operand(2, kv), value_rows);

        let scale = 1.0 / (d as f32).sqrt();
        let width = width::<S>();
        let padded = context.next_multiple_of(M);
        let stride = padded.next_multiple_of(width.max(LANES));
        let out_stride = d.next_multiple_of(width);
        let block = STRIPS * M;
        let patterns = aligned(&mut scratch.patterns, block * stride);
        let slopes = aligned(&mut scratch.slopes, block * stride);
        let out = aligned(&mut scratch.out, M * out_stride);
        let dk = aligned(&mut scratch.dk, padded * out_stride);
        let dv = aligned(&mut scratch.dv, padded * out_stride);
        dk.fill(0.0);
        dv.fill(0.0);
        let group = shape.group();
        for h in kv * group..(kv + 1) * group {
            let q = turned::<S>(operand(0, h), rotary, scale, shape, &mut scratch.q);
            let [dz, z] = [dz, z].map(|data| rows_of(data, output(shape), shape, b, h));
            let query_columns = pack_columns::<S>(q, query_columns);
            let dz_columns = pack_columns::<S>(dz, dz_columns);
            let lse = &lse[(b * heads + h) * context..][..context];
            for from in (0..context).step_by(block) {
                let to = context.min(from + block);
                for first in (from..to).step_by(M) {
                    let taken = M.min(to - first);
                    let end = first + taken;
                    let at = (first - from) * stride;
                    let (patterns, slopes) = (&mut patterns[at..], &mut slopes[at..]);
                    let row = |i: usize| first + i.min(taken - 1);
                    let queries: [&[f32]; M] = std::array::from_fn(|i| q.row(row(i)));
                    let upstream: [&[f32]; M] = std::array::from_fn(|i| dz.row(row(i)));
                    let panels = key_rows
                        .chunks_exact(width * d)
                        .zip(value_rows.chunks_exact(width * d));
                    for (p, (keys, values)) in panels.take(end.div_ceil(width)).enumerate() {
                        let (keys, values) = (S::as_simd_f32s(keys).0, S::as_simd_f32s(values).0);
                        let tile = product::<S, M>(simd, keys, &queries, &[0.0; M]);
                        store::<S, M>(&tile, &mut patterns[p * width..], stride);
                        let tile = product::<S, M>(simd, values, &upstream, &[0.0; M]);
                        store::<S, M>(&tile, &mut slopes[p * width..], stride);
                    }
                    for (t, (pattern, slopes)) in (first..end).zip(
                        patterns
                            .chunks_exact_mut(stride)
                            .zip(slopes.chunks_exact_mut(stride)),
                    ) {
                        let inner = dot(dz.row(t), z.row(t)); // Σ_s p_s dp_s
                        // whole vectors: what the mask takes away inside the last one is zero afterwards
                        let whole = (t + 1).next_multiple_of(LANES);
                        pattern[t + 1..whole].fill(f32::NEG_INFINITY);
                        let vectors = pattern[..whole].as_chunks_mut::<LANES>().0;
                        for (p, slope) in vectors.iter_mut().zip(slopes.as_chunks_mut::<LANES>().0)
                        {
                            for (p, slope) in p.iter_mut().zip(slope) {
                                *p = exp(*p - lse[t]);
                                *slope = *p * (*slope - inner);
                            }
                        }
                        pattern[whole..].fill(0.0);
                        slopes[t + 1..].fill(0.0);
                    }
                    let rows: [&[f32]; M] =
                        std::array::from_fn(|i| &slopes[i.min(taken - 1) * stride..][..end]);
                    for (c, panel) in key_columns.chunks_exact(width * context).enumerate() {
                        let (panel, _) = S::as_simd_f32s(&panel[..end * width]);
                        let tile = product::<S, M>(simd, panel, &rows, &[0.0; M]);
                        store::<S, M>(&tile, &mut out[c * width..], out_stride);
                    }
                    let rows = out.chunks_exact(out_stride).take(taken);
                    for (t, row) in (first..end).zip(rows) {
                        // SAFETY: the heads of this group are this task's alone; no row is held any longer.
                        let dq = unsafe { outputs[0].row(b, h, t) };
                        put_back(row, scale, rotary, t, shape, dq);
                    }
                }
                for key in (0..to).step_by(M) {
                    // queries before these keys don't see them
                    let first = from.max(key);
                    let at = (first - from) * stride + key;
                    let gradient = key * out_stride..(key + M) * out_stride;
                    for (kept, columns, sums) in [
                        (&*patterns, dz_columns, &mut dv[gradient.clone()]),
                        (&*slopes, query_columns, &mut dk[gradient]),
                    ] {
                        for (c, panel) in columns.chunks_exact(width * context).enumerate() {
                            let (panel, _) = S::as_simd_f32s(&panel[first * width..to * width]);
                            let tile = product_of_columns::<S, M>(simd, panel, &kept[at..], stride);
                            add::<S, M>(simd, &tile, &mut sums[c * width..], out_stride);
                        }
                    }
                }
            }
        }
        for t in 0..context {
            let row = t * out_stride..t * out_stride + d;
            // SAFETY: as above.
            let (key, value) = unsafe { (outputs[1].row(b, kv, t), outputs[2].row(b, kv, t)) };
            put_back(&dk[row.clone()], 1.0, rotary, t, shape, key);
            value.copy_from_slice(&dv[row]);
        }
    }
}

/// A gradient's row, multiplied by `scale` and turned back, in its place.
#[inline(always)]
fn put_back(row: &[f32], scale: f32, rotary: Rotary, t: usize, shape: &Shape, out: &mut [f32]) {
    for (out, &value) in out.iter_mut().zip(row) {
        *out = scale * value;
    }
    rotary.turn(out, t, shape, true);
}
