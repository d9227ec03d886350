//! Kernels over rows: layer norm (Ba, Kiros & Hinton 2016) and softmax cross-entropy, forward and backward.
//! Sums of a layer norm are kept in f64.

use rayon::prelude::*;

use crate::math::{exp_in_place, max, sum, sum_exp};
use crate::parallel::{PIECE, run, vectorised};

/// Rows whose column sums are added up together: fixed, so that no sum depends on the number of threads.
const ROWS: usize = 64;

/// What is read and what is written.
type Pair<'a> = (&'a [f32], &'a mut [f32]);

/// y = gain·(x − mean)/√(var + eps) + bias over rows of d numbers; `xhat` and `rstd` are kept for the backward pass.
pub fn layer_norm_forward(
    x: &[f32],
    gain: &[f32],
    bias: &[f32],
    eps: f64,
    y: &mut [f32],
    xhat: &mut [f32],
    rstd: &mut [f32],
) {
    let d = gain.len();
    assert!(d > 0 && bias.len() == d && x.len() == rstd.len() * d);
    assert!(y.len() == x.len() && xhat.len() == x.len());
    let rows = |((x, y), (xhat, rstd)): (Pair, (&mut [f32], &mut [f32]))| {
        vectorised(|| {
            for (i, r) in rstd.iter_mut().enumerate() {
                let at = i * d..(i + 1) * d;
                normalise(
                    &x[at.clone()],
                    gain,
                    bias,
                    eps,
                    &mut y[at.clone()],
                    &mut xhat[at],
                    r,
                );
            }
        });
    };
    let piece = ROWS * d;
    run(x.len() > PIECE, |parallel| {
        if parallel {
            x.par_chunks(piece)
                .zip(y.par_chunks_mut(piece))
                .zip(xhat.par_chunks_mut(piece).zip(rstd.par_chunks_mut(ROWS)))
                .for_each(rows);
        } else {
            rows(((x, y), (xhat, rstd)));
        }
    });
}

#[inline(always)]
fn normalise(
    x: &[f32],
    gain: &[f32],
    bias: &[f32],
    eps: f64,
    y: &mut [f32],
    xhat: &mut [f32],
    rstd: &mut f32,
) {
    let d = x.len();
    let mean = sum(d, |i| f64::from(x[i])) / d as f64;
    let squares = sum(d, |i| {
        let off = f64::from(x[i]) - mean;
        off * off
    });
    let r = 1.0 / (squares / d as f64 + eps).sqrt();
    *rstd = r as f32;
    for i in 0..d {
        let normal = ((f64::from(x[i]) - mean) * r) as f32;
        xhat[i] = normal;
        y[i] = normal * gain[i] + bias[i];
    }
}

/// Gradients of `layer_norm_forward`.
pub fn layer_norm_backward(
    dy: &[f32],
    xhat: &[f32],
    rstd: &[f32],
    gain: &[f32],
    dx: &mut [f32],
    dgain: &mut [f32],
    dbias: &mut [f32],
) {
    let d = gain.len();
    assert!(d > 0 && dy.len() == rstd.len() * d && xhat.len() == dy.len() && dx.len() == dy.len());
    assert!(dgain.len() == d && dbias.len() == d);
    let rows = |((dy, xhat), (rstd, dx)): ((&[f32], &[f32]), Pair)| {
        vectorised(|| {
            let mut columns = vec![0.0f32; 2 * d];
            let (gains, biases) = columns.split_at_mut(d);
            for (i, &r) in rstd.iter().enumerate() {
                let at = i * d..(i + 1) * d;
                denormalise(
                    &dy[at.clone()],
                    &xhat[at.clone()],
                    r,
                    gain,
                    &mut dx[at],
                    gains,
                    biases,
                );
            }
            columns
        })
    };
    let piece = ROWS * d;
    let partial: Vec<Vec<f32>> = run(dy.len() > PIECE, |parallel| {
        if parallel {
            dy.par_chunks(piece)
                .zip(xhat.par_chunks(piece))
                .zip(rstd.par_chunks(ROWS).zip(dx.par_chunks_mut(piece)))
                .map(rows)
                .collect()
        } else {
            dy.chunks(piece)
                .zip(xhat.chunks(piece))
                .zip(rstd.chunks(ROWS).zip(dx.chunks_mut(piece)))
                .map(rows)
                .collect()
        }
    });
    dgain.fill(0.0);
    dbias.fill(0.0);
    for columns in &partial {
        let (gains, biases) = columns.split_at(d);
        dgain
            .iter_mut()
            .zip(gains)
            .for_each(|(total, &part)| *total += part);
        dbias
            .iter_mut()
            .zip(biases)
            .for_each(|(total, &part)| *total += part);
    }
}

#[inline(always)]
fn denormalise(
    dy: &[f32],
    xhat: &[f32],
    rstd: f32,
    gain: &[f32],
    dx: &mut [f32],
    dgain: &mut [f32],
    dbias: &mut [f32],
) {
    let d = dy.len();
    let (xhat, gain) = (&xhat[..d], &gain[..d]);
    let mean_g = (sum(d, |i| f64::from(dy[i] * gain[i])) / d as f64) as f32;
    let mean_gx = (sum(d, |i| f64::from(dy[i] * gain[i]) * f64::from(xhat[i])) / d as f64) as f32;
    for i in 0..d {
        dgain[i] += dy[i] * xhat[i];
        dbias[i] += dy[i];
        dx[i] = rstd * (dy[i] * gain[i] - mean_g - xhat[i] * mean_gx);
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
    assert!(vocab > 0 && logits.len() == targets.len() * vocab && loss.len() == targets.len());
    let row = |(logits, (&target, loss)): (&mut [f32], (&i32, &mut f32))| {
        vectorised(|| {
            let highest = max(logits);
            let wanted = logits[target as usize];
            let total = exp_in_place(logits, highest);
            *loss = (f64::from(total).ln() + f64::from(highest) - f64::from(wanted)) as f32;
            let factor = weight / total;
            logits.iter_mut().for_each(|value| *value *= factor);
            logits[target as usize] -= weight;
        });
    };
    run(logits.len() > PIECE, |parallel| {
        if parallel {
            logits
                .par_chunks_mut(vocab)
                .zip(targets.par_iter().zip(loss.par_iter_mut()))
                .with_min_len(8)
                .for_each(row);
        } else {
            logits
                .chunks_mut(vocab)
                .zip(targets.iter().zip(loss))
                .for_each(row);
        }
    });
}

/// loss = −log softmax(logits)[target] per row; the logits stay as they are.
pub fn softmax_loss(logits: &[f32], targets: &[i32], vocab: usize, loss: &mut [f32]) {
    assert!(vocab > 0 && logits.len() == targets.len() * vocab && loss.len() == targets.len());
    let row = |(logits, (&target, loss)): (&[f32], (&i32, &mut f32))| {
        vectorised(|| {
            let highest = max(logits);
            let total = sum_exp(logits, highest);
            *loss = (f64::from(total).ln() + f64::from(highest)
                - f64::from(logits[target as usize])) as f32;
        });
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
        let (mut y, mut xhat, mut rstd) = ([0.0; 2], [0.0; 2], [0.0; 1]);
        layer_norm_forward(
            &[1.0, 3.0],
            &[2.0, 2.0],
            &[0.0, 1.0],
            0.0,
            &mut y,
            &mut xhat,
            &mut rstd,
        );
        assert_eq!((y, xhat, rstd), ([-2.0, 3.0], [-1.0, 1.0], [1.0]));
        // one row of two numbers is ±1 whatever they are, so nothing flows back to them
        let (mut dx, mut dgain, mut dbias) = ([9.0; 2], [9.0; 2], [9.0; 2]);
        layer_norm_backward(
            &[5.0, 7.0],
            &xhat,
            &rstd,
            &[2.0, 2.0],
            &mut dx,
            &mut dgain,
            &mut dbias,
        );
        assert_eq!((dx, dgain, dbias), ([0.0, 0.0], [-5.0, 7.0], [5.0, 7.0]));
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
    }
}
