//! Sparse decoding and what follows from it per row: the residual, and the slope of every code (its product
//! with the latent's decoder row). Four latents at a time, so that a row of the residual is read and
//! written once for four.

use rayon::prelude::*;

use super::codes::Codes;
use crate::elementwise::column_sums;
use crate::math::{dot, sum};
use crate::parallel::{run, vectorised};

/// Rows in one piece of work.
const ROWS: usize = 16;

/// residual = target − Σ f·W_dec for every row and slope_p = residual·W_dec[latent_p] for every code; returns
/// Σ‖residual‖².
pub fn residual_and_slopes(
    codes: &Codes,
    decoder: &[f32], // [d_sae, d_out]
    d_out: usize,
    target: &[f32],       // [n, d_out]
    residual: &mut [f32], // [n, d_out]
    slope: &mut [f32],    // [nnz]
) -> f64 {
    let n = codes.row_start.len() - 1;
    assert!(target.len() == n * d_out && residual.len() == target.len());
    assert!(slope.len() == codes.latent.len());
    let mut pieces = Vec::with_capacity(n.div_ceil(ROWS));
    let mut slopes = slope;
    for (i, residual) in residual.chunks_mut(ROWS * d_out).enumerate() {
        let (from, to) = (i * ROWS, n.min((i + 1) * ROWS));
        let length = (codes.row_start[to] - codes.row_start[from]) as usize;
        let (own, rest) = slopes.split_at_mut(length);
        slopes = rest;
        pieces.push((from, residual, own));
    }
    let one = |(from, residual, slope): (usize, &mut [f32], &mut [f32])| {
        vectorised(
            #[inline(always)]
            || {
                let mut squares = 0.0;
                let mut slopes = slope;
                for (i, out) in residual.chunks_exact_mut(d_out).enumerate() {
                    let t = from + i;
                    let (start, end) =
                        (codes.row_start[t] as usize, codes.row_start[t + 1] as usize);
                    let (latents, values) = (&codes.latent[start..end], &codes.value[start..end]);
                    out.copy_from_slice(&target[t * d_out..][..d_out]);
                    subtract_decoded(latents, values, decoder, out);
                    squares += sum(d_out, |j| f64::from(out[j]) * f64::from(out[j]));
                    let (own, rest) = slopes.split_at_mut(end - start);
                    slopes = rest;
                    row_slopes(latents, decoder, out, own);
                }
                squares
            },
        )
    };
    let squares: Vec<f64> = run(target.len() > 1 << 14, |parallel| {
        if parallel {
            pieces.into_par_iter().map(one).collect()
        } else {
            pieces.into_iter().map(one).collect()
        }
    });
    squares.iter().sum()
}

/// out = Σ f·W_dec + b_dec for every row, summed in f64: a row without a limit on its codes may have hundreds.
pub fn decode(
    row_start: &[i32],
    latent: &[u32],
    value: &[f32],
    decoder: &[f32], // [d_sae, d_out]
    bias: &[f32],    // [d_out]
    out: &mut [f32], // [n, d_out]
) {
    let d_out = bias.len();
    assert!(d_out > 0 && out.len() == (row_start.len() - 1) * d_out);
    let one = |(piece, out): (usize, &mut [f32])| {
        vectorised(
            #[inline(always)]
            || {
                let mut total = vec![0.0f64; d_out];
                for (i, out) in out.chunks_exact_mut(d_out).enumerate() {
                    let t = piece * ROWS + i;
                    let codes = row_start[t] as usize..row_start[t + 1] as usize;
                    for (total, &b) in total.iter_mut().zip(bias) {
                        *total = f64::from(b);
                    }
                    for (&latent, &f) in latent[codes.clone()].iter().zip(&value[codes]) {
                        let row = &decoder[latent as usize * d_out..][..d_out];
                        for (total, &w) in total.iter_mut().zip(row) {
                            *total += f64::from(f) * f64::from(w);
                        }
                    }
                    for (out, &total) in out.iter_mut().zip(&total) {
                        *out = total as f32;
                    }
                }
            },
        );
    };
    run(out.len() > 1 << 14, |parallel| {
        if parallel {
            out.par_chunks_mut(ROWS * d_out).enumerate().for_each(one);
        } else {
            out.chunks_mut(ROWS * d_out).enumerate().for_each(one);
        }
    });
}

/// Σ‖x − mean‖² over rows x [n, d].
pub fn total_variance(x: &[f32], d: usize) -> f64 {
    assert!(d > 0 && x.len().is_multiple_of(d));
    let n = x.len() / d;
    if n == 0 {
        return 0.0;
    }
    let mut mean = vec![0.0; d];
    column_sums(x, &mut mean);
    mean.iter_mut().for_each(|total| *total /= n as f32);
    let piece = |x: &[f32]| {
        vectorised(
            #[inline(always)]
            || {
                let squares = |row: &[f32]| {
                    sum(d, |j| {
                        let off = row[j] - mean[j];
                        f64::from(off) * f64::from(off)
                    })
                };
                x.chunks_exact(d).map(squares).sum::<f64>()
            },
        )
    };
    let partial: Vec<f64> = run(x.len() > 1 << 16, |parallel| {
        if parallel {
            x.par_chunks(ROWS * d).map(piece).collect()
        } else {
            x.chunks(ROWS * d).map(piece).collect()
        }
    });
    partial.iter().sum()
}

/// out −= Σ f·W_dec[latent].
#[inline(always)]
fn subtract_decoded(latents: &[u32], values: &[f32], decoder: &[f32], out: &mut [f32]) {
    let d = out.len();
    let row = |latent: u32| &decoder[latent as usize * d..][..d];
    let (fours, rest) = latents.as_chunks::<4>();
    let (four_values, rest_values) = values.as_chunks::<4>();
    for (ids, f) in fours.iter().zip(four_values) {
        add_rows(ids.map(row), f.map(|f| -f), out);
    }
    for (&id, &f) in rest.iter().zip(rest_values) {
        add_rows([row(id)], [-f], out);
    }
}

/// out += Σ f·row.
#[inline(always)]
pub fn add_rows<const N: usize>(rows: [&[f32]; N], f: [f32; N], out: &mut [f32]) {
    let rows = rows.map(|row| &row[..out.len()]);
    for j in 0..out.len() {
        let mut total = out[j];
        for i in 0..N {
            total += f[i] * rows[i][j];
        }
        out[j] = total;
    }
}

#[inline(always)]
fn row_slopes(latents: &[u32], decoder: &[f32], residual: &[f32], slope: &mut [f32]) {
    let d = residual.len();
    for (&latent, slope) in latents.iter().zip(slope) {
        *slope = dot(residual, &decoder[latent as usize * d..][..d]);
    }
}
