//! Kernels over rows: layer norm (Ba, Kiros & Hinton 2016), RMS norm (Zhang & Sennrich 2019) and softmax cross-entropy, forward and backward.
//! Sums of a norm are kept in f64.

use rayon::prelude::*;

use crate::math::{exp_in_place, max, sum_exp, sum_pairs};
use crate::parallel::{PIECE, run, vectorised};

/// Rows whose column sums are added up together: fixed, so that no sum depends on the number of threads.
const ROWS: usize = 64;

/// What is read and what is written.
type Pair<'a> = (&'a [f32], &'a mut [f32]);
/// What is only read.
type Read<'a> = (&'a [f32], &'a [f32]);

/// y = gain·(x − mean)/√(var + eps) + bias over rows of d numbers; `mean` and `rstd` are kept for the backward pass.
pub fn layer_norm_forward(
    x: &[f32],
    gain: &[f32],
    bias: &[f32],
    eps: f64,
    y: &mut [f32],
    mean: &mut [f32],
    rstd: &mut [f32],
) {
    let d = gain.len();
    assert!(d > 0 && bias.len() == d && x.len() == rstd.len() * d);
    assert!(y.len() == x.len() && mean.len() == rstd.len());
    let rows = |((x, y), (mean, rstd)): (Pair, (&mut [f32], &mut [f32]))| {
        vectorised(
            #[inline(always)]
            || {
                let kept = mean.iter_mut().zip(rstd.iter_mut());
                for ((x, y), (mean, rstd)) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)).zip(kept)
                {
                    let m = (sum_pairs(x, x, |x, _| f64::from(x)) / d as f64) as f32;
                    let squares = sum_pairs(x, x, |x, _| f64::from(x - m) * f64::from(x - m));
                    let r = (1.0 / (squares / d as f64 + eps).sqrt()) as f32;
                    (*mean, *rstd) = (m, r);
                    for (y, (&x, (&gain, &bias))) in
                        y.iter_mut().zip(x.iter().zip(gain.iter().zip(bias)))
                    {
                        *y = (x - m) * r * gain + bias;
                    }
                }
            },
        );
    };
    let piece = ROWS * d;
    run(x.len() > PIECE, |parallel| {
        if parallel {
            x.par_chunks(piece)
                .zip(y.par_chunks_mut(piece))
                .zip(mean.par_chunks_mut(ROWS).zip(rstd.par_chunks_mut(ROWS)))
                .for_each(rows);
        } else {
            rows(((x, y), (mean, rstd)));
        }
    });
}

/// Gradients of `layer_norm_forward`; dx is added to what is there where `adds`.
#[expect(clippy::too_many_arguments, reason = "three gradients of five arrays")]
pub fn layer_norm_backward(
    dy: &[f32],
    x: &[f32],
    mean: &[f32],
    rstd: &[f32],
    gain: &[f32],
    dx: &mut [f32],
    dgain: &mut [f32],
    dbias: &mut [f32],
    adds: bool,
) {
    let d = gain.len();
    assert!(mean.len() == rstd.len() && dbias.len() == d);
    let mut columns = vec![0.0f32; 2 * d];
    backward::<true>(dy, x, mean, rstd, gain, dx, &mut columns, adds);
    dgain.copy_from_slice(&columns[..d]);
    dbias.copy_from_slice(&columns[d..]);
}

#[inline(always)]
fn layer_norm_row(
    dy: &[f32],
    x: &[f32],
    [m, r]: [f32; 2],
    gain: &[f32],
    slopes: &mut [f32],
    columns: &mut [f32],
) {
    let d = gain.len();
    let (gains, biases) = columns.split_at_mut(d);
    let (dy, x, slopes, biases) = (&dy[..d], &x[..d], &mut slopes[..d], &mut biases[..d]);
    for i in 0..d {
        gains[i] += dy[i] * (x[i] - m) * r;
        biases[i] += dy[i];
        slopes[i] = dy[i] * gain[i];
    }
    let mean_g = (sum_pairs(slopes, x, |g, _| f64::from(g)) / d as f64) as f32;
    let along = sum_pairs(slopes, x, |g, x| f64::from(g) * f64::from((x - m) * r));
    let mean_gx = (along / d as f64) as f32;
    for (slope, &x) in slopes.iter_mut().zip(x) {
        *slope = r * (*slope - mean_g - (x - m) * r * mean_gx);
    }
}

/// y = gain·x/√(mean x² + eps) over rows of d numbers; `rstd` is kept for the backward pass.
pub fn rms_norm_forward(x: &[f32], gain: &[f32], eps: f64, y: &mut [f32], rstd: &mut [f32]) {
    let d = gain.len();
    assert!(d > 0 && x.len() == rstd.len() * d && y.len() == x.len());
    let rows = |((x, y), rstd): (Pair, &mut [f32])| {
        vectorised(
            #[inline(always)]
            || {
                for ((x, y), rstd) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)).zip(rstd) {
                    let squares = sum_pairs(x, x, |x, _| f64::from(x) * f64::from(x));
                    let r = (1.0 / (squares / d as f64 + eps).sqrt()) as f32;
                    *rstd = r;
                    for (y, (&x, &gain)) in y.iter_mut().zip(x.iter().zip(gain)) {
                        *y = x * r * gain;
                    }
                }
            },
        );
    };
    let piece = ROWS * d;
    run(x.len() > PIECE, |parallel| {
        if parallel {
            x.par_chunks(piece)
                .zip(y.par_chunks_mut(piece))
                .zip(rstd.par_chunks_mut(ROWS))
                .for_each(rows);
        } else {
            rows(((x, y), rstd));
        }
    });
}

/// Gradients of `rms_norm_forward`; dx is added to what is there where `adds`.
pub fn rms_norm_backward(
    dy: &[f32],
    x: &[f32],
    rstd: &[f32],
    gain: &[f32],
    dx: &mut [f32],
    dgain: &mut [f32],
    adds: bool,
) {
    assert!(dgain.len() == gain.len());
    backward::<false>(dy, x, &[], rstd, gain, dx, dgain, adds);
}

#[inline(always)]
fn rms_norm_row(
    dy: &[f32],
    x: &[f32],
    r: f32,
    gain: &[f32],
    slopes: &mut [f32],
    gains: &mut [f32],
) {
    let d = gain.len();
    let (dy, x, slopes, gains) = (&dy[..d], &x[..d], &mut slopes[..d], &mut gains[..d]);
    for i in 0..d {
        gains[i] += dy[i] * x[i] * r;
        slopes[i] = dy[i] * gain[i];
    }
    let inner = sum_pairs(slopes, x, |g, x| f64::from(g) * f64::from(x));
    let along = (inner / d as f64) as f32 * r * r;
    for (slope, &x) in slopes.iter_mut().zip(x) {
        *slope = r * (*slope - x * along);
    }
}

/// Both norms' backward pass: writes dx, or adds to it, and adds up the blocks' column sums in `columns`.
#[expect(clippy::too_many_arguments, reason = "two gradients of five arrays")]
fn backward<const CENTRED: bool>(
    dy: &[f32],
    x: &[f32],
    mean: &[f32],
    rstd: &[f32],
    gain: &[f32],
    dx: &mut [f32],
    columns: &mut [f32],
    adds: bool,
) {
    let d = gain.len();
    assert!(d > 0 && dy.len() == rstd.len() * d && x.len() == dy.len() && dx.len() == dy.len());
    let width = columns.len();
    let rows = |(piece, ((dy, x), (rstd, dx))): (usize, (Read, Pair))| {
        vectorised(
            #[inline(always)]
            || {
                let mut columns = vec![0.0f32; width];
                let mut slopes = vec![0.0f32; d];
                for (i, &r) in rstd.iter().enumerate() {
                    let at = i * d..(i + 1) * d;
                    let (dy, x, dx) = (&dy[at.clone()], &x[at.clone()], &mut dx[at]);
                    if CENTRED {
                        let moments = [mean[piece * ROWS + i], r];
                        layer_norm_row(dy, x, moments, gain, &mut slopes, &mut columns);
                    } else {
                        rms_norm_row(dy, x, r, gain, &mut slopes, &mut columns);
                    }
                    if adds {
                        dx.iter_mut()
                            .zip(&slopes)
                            .for_each(|(dx, slope)| *dx += slope);
                    } else {
                        dx.copy_from_slice(&slopes);
                    }
                }
                columns
            },
        )
    };
    let piece = ROWS * d;
    let partial: Vec<Vec<f32>> = run(dy.len() > PIECE, |parallel| {
        if parallel {
            dy.par_chunks(piece)
                .zip(x.par_chunks(piece))
                .zip(rstd.par_chunks(ROWS).zip(dx.par_chunks_mut(piece)))
                .enumerate()
                .map(rows)
                .collect()
        } else {
            dy.chunks(piece)
                .zip(x.chunks(piece))
                .zip(rstd.chunks(ROWS).zip(dx.chunks_mut(piece)))
                .enumerate()
                .map(rows)
                .collect()
        }
    });
    columns.fill(0.0);
    for part in &partial {
        columns
            .iter_mut()
            .zip(part)
            .for_each(|(total, &part)| *total += part);
    }
}

/// loss = −log softmax(logits)[target] per row of `vocab` logits, which become weight·(softmax − onehot).
pub fn softmax_loss_in_place(
    logits: &mut [f32],
    targets: &[i32],
    vocab: usize,
    weight: f32,
    loss: &mut [f32],
) {
    let mut totals = vec![0.0f32; targets.len()];
    softmax_rows(
        logits,
        targets,
        vocab,
        loss,
        &mut totals,
        |logits, total| {
            let factor = weight / total;
            logits.iter_mut().for_each(|value| *value *= factor);
        },
    );
}

/// The same losses; the logits become total·(softmax − onehot), for a caller that divides by each row's total elsewhere.
pub fn softmax_slopes(
    logits: &mut [f32],
    targets: &[i32],
    vocab: usize,
    loss: &mut [f32],
    totals: &mut [f32],
) {
    softmax_rows(logits, targets, vocab, loss, totals, |_, _| {});
}

/// Losses, and totals Σ e^(logit − highest), of rows whose logits become what `finish` makes of total·(softmax − onehot).
fn softmax_rows(
    logits: &mut [f32],
    targets: &[i32],
    vocab: usize,
    loss: &mut [f32],
    totals: &mut [f32],
    finish: impl Fn(&mut [f32], f32) + Sync,
) {
    assert!(vocab > 0 && logits.len() == targets.len() * vocab && loss.len() == targets.len());
    assert!(totals.len() == loss.len());
    type Kept<'a> = (&'a i32, (&'a mut f32, &'a mut f32));
    let row = |(logits, (&target, (loss, kept))): (&mut [f32], Kept)| {
        vectorised(
            #[inline(always)]
            || {
                let highest = max(logits);
                let wanted = logits[target as usize];
                let total = exp_in_place(logits, highest);
                *loss = (f64::from(total).ln() + f64::from(highest) - f64::from(wanted)) as f32;
                *kept = total;
                logits[target as usize] -= total;
                finish(logits, total);
            },
        );
    };
    run(logits.len() > PIECE, |parallel| {
        if parallel {
            let kept = loss.par_iter_mut().zip(totals.par_iter_mut());
            logits
                .par_chunks_mut(vocab)
                .zip(targets.par_iter().zip(kept))
                .with_min_len(8)
                .for_each(row);
        } else {
            logits
                .chunks_mut(vocab)
                .zip(targets.iter().zip(loss.iter_mut().zip(totals)))
                .for_each(row);
        }
    });
}

/// loss = −log softmax(logits)[target] per row; the logits stay as they are.
pub fn softmax_loss(logits: &[f32], targets: &[i32], vocab: usize, loss: &mut [f32]) {
    assert!(vocab > 0 && logits.len() == targets.len() * vocab && loss.len() == targets.len());
    let row = |(logits, (&target, loss)): (&[f32], (&i32, &mut f32))| {
        vectorised(
            #[inline(always)]
            || {
                let highest = max(logits);
                let total = sum_exp(logits, highest);
                *loss = (f64::from(total).ln() + f64::from(highest)
                    - f64::from(logits[target as usize])) as f32;
            },
        );
    };
    run(logits.len() > PIECE, |parallel| {
        if parallel {
            logits
                .par_chunks(vocab)
                .zip(targets.par_iter().zip(loss.par_iter_mut()))
                .with_min_len(8)
                .for_each(row);
        } else {
            logits
                .chunks(vocab)
                .zip(targets.iter().zip(loss))
                .for_each(row);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer_norm_by_hand() {
        let x = [1.0, 3.0];
        let (mut y, mut mean, mut rstd) = ([0.0; 2], [0.0; 1], [0.0; 1]);
        layer_norm_forward(
            &x,
            &[2.0, 2.0],
            &[0.0, 1.0],
            0.0,
            &mut y,
            &mut mean,
            &mut rstd,
        );
        assert_eq!((y, mean, rstd), ([-2.0, 3.0], [2.0], [1.0]));
        // one row of two numbers is ±1 whatever they are, so nothing flows back to them
        let (mut dx, mut dgain, mut dbias) = ([9.0; 2], [9.0; 2], [9.0; 2]);
        let gain = [2.0, 2.0];
        let dy = [5.0, 7.0];
        layer_norm_backward(
            &dy, &x, &mean, &rstd, &gain, &mut dx, &mut dgain, &mut dbias, false,
        );
        assert_eq!((dx, dgain, dbias), ([0.0, 0.0], [-5.0, 7.0], [5.0, 7.0]));
        dx = [3.0, 4.0];
        layer_norm_backward(
            &dy, &x, &mean, &rstd, &gain, &mut dx, &mut dgain, &mut dbias, true,
        );
        assert_eq!((dx, dgain, dbias), ([3.0, 4.0], [-5.0, 7.0], [5.0, 7.0]));
    }

    #[test]
    fn rms_norm_by_hand() {
        let x = [1.0, 7.0]; // root mean square 5
        let (mut y, mut rstd) = ([0.0; 2], [0.0; 1]);
        rms_norm_forward(&x, &[5.0, 10.0], 0.0, &mut y, &mut rstd);
        assert!((y[0] - 1.0).abs() < 1e-6 && (y[1] - 14.0).abs() < 1e-6);
        // along its own direction a row's norm doesn't change
        let (mut dx, mut dgain) = ([9.0; 2], [9.0; 2]);
        let (dy, gain) = ([1.0, 7.0], [1.0, 1.0]);
        rms_norm_backward(&dy, &x, &rstd, &gain, &mut dx, &mut dgain, false);
        assert!(dx.iter().all(|slope| slope.abs() < 1e-6));
        dx = [3.0; 2];
        rms_norm_backward(&dy, &x, &rstd, &gain, &mut dx, &mut dgain, true);
        assert!(dx.iter().all(|sum| (sum - 3.0).abs() < 1e-6));
        assert!((dgain[0] - 0.2).abs() < 1e-6 && (dgain[1] - 9.8).abs() < 1e-5);
    }

    #[test]
    fn softmax_loss_by_hand() {
        let mut logits = [0.0, 0.0, 0.0, 0.0];
        let mut loss = [0.0; 2];
        softmax_loss(&logits, &[0, 1], 2, &mut loss);
        assert!(
            loss.iter()
                .all(|value| (value - std::f32::consts::LN_2).abs() < 1e-6)
        );
        softmax_loss_in_place(&mut logits, &[0, 1], 2, 2.0, &mut loss);
        assert!(
            loss.iter()
                .all(|value| (value - std::f32::consts::LN_2).abs() < 1e-6)
        );
        assert_eq!(logits, [-1.0, 1.0, 1.0, -1.0]);
        // the total 2 times the slopes 1/2 − 1 and 1/2
        let (mut logits, mut totals) = ([5.0, 5.0], [0.0]);
        softmax_slopes(&mut logits, &[0], 2, &mut loss[..1], &mut totals);
        assert_eq!((logits, totals), ([-1.0, 1.0], [2.0]));
    }
}
