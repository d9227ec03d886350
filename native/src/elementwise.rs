//! Element-wise kernels: GELU (Hendrycks & Gimpel 2016, tanh and exact form), SwiGLU (Shazeer 2020), AdamW (Loshchilov
//! & Hutter 2019), the gradient of a table lookup, column sums and the sum of squares.

use rayon::prelude::*;

use crate::math::{exp, sum_pairs};
use crate::parallel::{PIECE, for_pieces, run, vectorised};

const ROOT_2_OVER_PI: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;
const DENSITY_AT_ZERO: f32 = 0.398_942_3; // 1/√(2π)

/// Two arrays that are written.
type Pair<'a> = (&'a mut [f32], &'a mut [f32]);
/// Three that are read.
type Triple<'a> = (&'a [f32], (&'a [f32], &'a [f32]));

#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    1.0 - 2.0 / (1.0 + exp(2.0 * ROOT_2_OVER_PI * (x + CUBIC * x * x * x)))
}

/// y = x/2·(1 + tanh(√(2/π)(x + 0.044715x³))).
pub fn gelu_forward(x: &[f32], y: &mut [f32]) {
    map(x, y, |x| 0.5 * x * (1.0 + gelu_tanh(x)));
}

/// dx = dy · dGELU/dx.
pub fn gelu_backward(dy: &[f32], x: &[f32], dx: &mut [f32]) {
    assert!(x.len() == dy.len() && dx.len() == dy.len());
    zip(dy, x, dx, |dy, x| {
        let t = gelu_tanh(x);
        let inner = ROOT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x);
        dy * 0.5 * (1.0 + t + x * (1.0 - t * t) * inner)
    });
}

/// Φ(x) of the normal distribution, by the two polynomials of src/engine/host/gelu-erf.ts.
#[inline(always)]
#[expect(clippy::excessive_precision, reason = "the digits of the plain loops")]
fn normal_cdf(x: f32) -> f32 {
    let t = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let s = t * t;
    let high = 0.005_189_087_42 + s * (-8.016_864_29e-4 + s * 7.875_875_08e-5);
    let series = std::f32::consts::FRAC_2_SQRT_PI
        + s * (-0.376_126_267 + s * (0.112_835_947 + s * (-0.026_854_212 + s * high)));
    let high =
        -0.022_043_685 + t * (0.003_285_388_65 + t * (-2.962_636_23e-4 + t * 1.206_428_79e-5));
    let low = 0.001_066_730_92
        + t * (1.124_818_62 + t * (0.640_721_417 + t * (0.102_041_782 + t * high)));
    let tail = 0.5 * exp(-low);
    let far = if x < 0.0 { tail } else { 1.0 - tail };
    let near = 0.5 + 0.5 * x * std::f32::consts::FRAC_1_SQRT_2 * series;
    if t < 1.0 { near } else { far }
}

/// y = x·Φ(x).
pub fn gelu_erf_forward(x: &[f32], y: &mut [f32]) {
    map(x, y, |x| x * normal_cdf(x));
}

/// dx = dy·(Φ(x) + x·φ(x)).
pub fn gelu_erf_backward(dy: &[f32], x: &[f32], dx: &mut [f32]) {
    assert!(x.len() == dy.len() && dx.len() == dy.len());
    zip(dy, x, dx, |dy, x| {
        dy * (normal_cdf(x) + x * DENSITY_AT_ZERO * exp(-0.5 * x * x))
    });
}

/// y = silu(gate)·up.
pub fn swiglu_forward(gate: &[f32], up: &[f32], y: &mut [f32]) {
    assert!(gate.len() == up.len() && y.len() == up.len());
    zip(gate, up, y, |gate, up| gate / (1.0 + exp(-gate)) * up);
}

/// Gradients of `swiglu_forward`.
pub fn swiglu_backward(dy: &[f32], gate: &[f32], up: &[f32], d_gate: &mut [f32], d_up: &mut [f32]) {
    assert!(gate.len() == dy.len() && up.len() == dy.len());
    assert!(d_gate.len() == dy.len() && d_up.len() == dy.len());
    let piece = |((dy, (gate, up)), (d_gate, d_up)): (Triple, Pair)| {
        vectorised(
            #[inline(always)]
            || {
                let inputs = dy.iter().zip(gate.iter().zip(up));
                for ((&dy, (&gate, &up)), (d_gate, d_up)) in
                    inputs.zip(d_gate.iter_mut().zip(d_up.iter_mut()))
                {
                    let sigmoid = 1.0 / (1.0 + exp(-gate));
                    *d_up = dy * gate * sigmoid;
                    *d_gate = dy * up * sigmoid * (1.0 + gate * (1.0 - sigmoid));
                }
            },
        );
    };
    run(dy.len() > PIECE, |parallel| {
        if parallel {
            dy.par_chunks(PIECE)
                .zip(gate.par_chunks(PIECE).zip(up.par_chunks(PIECE)))
                .zip(d_gate.par_chunks_mut(PIECE).zip(d_up.par_chunks_mut(PIECE)))
                .for_each(piece);
        } else {
            piece(((dy, (gate, up)), (d_gate, d_up)));
        }
    });
}

fn map(x: &[f32], y: &mut [f32], f: impl Fn(f32) -> f32 + Sync) {
    assert!(x.len() == y.len());
    for_pieces(y, PIECE, |i, y| {
        let x = &x[i * PIECE..][..y.len()];
        vectorised(
            #[inline(always)]
            || y.iter_mut().zip(x).for_each(|(y, &x)| *y = f(x)),
        );
    });
}

fn zip(a: &[f32], b: &[f32], y: &mut [f32], f: impl Fn(f32, f32) -> f32 + Sync) {
    assert!(a.len() == y.len() && b.len() == y.len());
    for_pieces(y, PIECE, |i, y| {
        let at = i * PIECE..i * PIECE + y.len();
        let pairs = a[at.clone()].iter().zip(&b[at]);
        vectorised(
            #[inline(always)]
            || {
                y.iter_mut()
                    .zip(pairs)
                    .for_each(|(y, (&a, &b))| *y = f(a, b));
            },
        );
    });
}

/// Numbers of one AdamW step. `scale` multiplies the gradient first.
pub struct Adamw {
    pub lr: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    pub weight_decay: f64,
    pub step: f64,
    pub scale: f64,
}

/// The numbers of a step as its loop takes them.
pub struct Rates {
    beta1: f32,
    beta2: f32,
    rest1: f32,
    rest2: f32,
    rate: f32,
    correct2: f32,
    decay: f32,
    eps: f32,
    scale: f32,
}

impl Rates {
    pub fn of(numbers: &Adamw) -> Self {
        Rates {
            beta1: numbers.beta1 as f32,
            beta2: numbers.beta2 as f32,
            rest1: (1.0 - numbers.beta1) as f32,
            rest2: (1.0 - numbers.beta2) as f32,
            rate: (numbers.lr / (1.0 - numbers.beta1.powf(numbers.step))) as f32,
            correct2: (1.0 / (1.0 - numbers.beta2.powf(numbers.step))) as f32,
            decay: (1.0 - numbers.lr * numbers.weight_decay) as f32,
            eps: numbers.eps as f32,
            scale: numbers.scale as f32,
        }
    }

    /// next = next − lr·(m̂/(√v̂ + eps) + weightDecay·next); the moments are updated in place.
    #[inline(always)]
    pub fn step(&self, next: &mut [f32], grad: &[f32], m: &mut [f32], v: &mut [f32]) {
        for ((p, &g), (m, v)) in next
            .iter_mut()
            .zip(grad)
            .zip(m.iter_mut().zip(v.iter_mut()))
        {
            let g = g * self.scale;
            *m = self.beta1 * *m + self.rest1 * g;
            *v = self.beta2 * *v + self.rest2 * g * g;
            *p = *p * self.decay - self.rate * *m / ((*v * self.correct2).sqrt() + self.eps);
        }
    }
}

/// One AdamW step of an array in place.
pub fn adamw(next: &mut [f32], grad: &[f32], m: &mut [f32], v: &mut [f32], numbers: &Adamw) {
    assert!(grad.len() == next.len() && m.len() == next.len() && v.len() == next.len());
    let rates = Rates::of(numbers);
    let piece = |((next, grad), (m, v)): ((&mut [f32], &[f32]), Pair)| {
        vectorised(
            #[inline(always)]
            || rates.step(next, grad, m, v),
        );
    };
    run(next.len() > PIECE, |parallel| {
        if parallel {
            next.par_chunks_mut(PIECE)
                .zip(grad.par_chunks(PIECE))
                .zip(m.par_chunks_mut(PIECE).zip(v.par_chunks_mut(PIECE)))
                .for_each(piece);
        } else {
            piece(((next, grad), (m, v)));
        }
    });
}

/// out [d] = Σ over the rows of x [n, d].
pub fn column_sums(x: &[f32], out: &mut [f32]) {
    const ROWS: usize = 64;
    let d = out.len();
    assert!(d > 0 && x.len().is_multiple_of(d));
    let rows = |x: &[f32]| {
        vectorised(
            #[inline(always)]
            || {
                let mut totals = vec![0.0f32; d];
                for row in x.chunks_exact(d) {
                    totals
                        .iter_mut()
                        .zip(row)
                        .for_each(|(total, &value)| *total += value);
                }
                totals
            },
        )
    };
    let partial: Vec<Vec<f32>> = run(x.len() > 4 * PIECE, |parallel| {
        if parallel {
            x.par_chunks(ROWS * d).map(rows).collect()
        } else {
            x.chunks(ROWS * d).map(rows).collect()
        }
    });
    out.fill(0.0);
    for totals in &partial {
        out.iter_mut()
            .zip(totals)
            .for_each(|(total, &part)| *total += part);
    }
}

/// Σx² in f64, in pieces that don't depend on the number of threads.
pub fn sum_of_squares(x: &[f32]) -> f64 {
    let piece = |x: &[f32]| {
        vectorised(
            #[inline(always)]
            || sum_pairs(x, x, |x, _| f64::from(x) * f64::from(x)),
        )
    };
    let partial: Vec<f64> = run(x.len() > 4 * PIECE, |parallel| {
        if parallel {
            x.par_chunks(PIECE).map(piece).collect()
        } else {
            x.chunks(PIECE).map(piece).collect()
        }
    });
    partial.iter().sum()
}

/// out [n, d]: the rows of the table [V, d] that the ids name.
pub fn embedding_forward(table: &[f32], ids: &[i32], d: usize, out: &mut [f32]) {
    assert!(d > 0 && out.len() == ids.len() * d && table.len().is_multiple_of(d));
    let rows = (PIECE / d).max(1);
    for_pieces(out, rows * d, |piece, out| {
        for (to, &id) in out.chunks_exact_mut(d).zip(&ids[piece * rows..]) {
            to.copy_from_slice(&table[id as usize * d..][..d]);
        }
    });
}

/// sum [V, d]: each row of dy [n, d] is added to the row that its id names, in their order; where `adds` is false,
/// to zeros.
pub fn embedding_backward(dy: &[f32], ids: &[i32], d: usize, sum: &mut [f32], adds: bool) {
    assert!(d > 0 && dy.len() == ids.len() * d && sum.len().is_multiple_of(d));
    let rows = (sum.len() / d).div_ceil(64).max(1);
    for_pieces(sum, rows * d, |piece, out| {
        if !adds {
            out.fill(0.0);
        }
        let first = piece * rows;
        let held = first..first + out.len() / d;
        for (row, &id) in dy.chunks_exact(d).zip(ids) {
            if held.contains(&(id as usize)) {
                let to = &mut out[(id as usize - first) * d..][..d];
                to.iter_mut()
                    .zip(row)
                    .for_each(|(total, &value)| *total += value);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gelu_by_hand() {
        let x = [0.0, 1.0, 100.0, -100.0, f32::NAN];
        let (mut y, mut dx) = ([0.0; 5], [0.0; 5]);
        gelu_forward(&x, &mut y);
        assert!((y[1] - 0.841_192).abs() < 1e-6 && y[4].is_nan());
        assert_eq!((y[0], y[2], y[3].abs()), (0.0, 100.0, 0.0));
        gelu_backward(&[1.0, 1.0, 2.0, 1.0, 1.0], &x, &mut dx);
        assert!((dx[1] - 1.082_964).abs() < 1e-5 && dx[4].is_nan());
        assert_eq!((dx[0], dx[2], dx[3]), (0.5, 2.0, 0.0));
    }

    #[test]
    fn exact_gelu_by_hand() {
        let x = [0.0, 1.0, -1.0, 100.0, -100.0, f32::NAN];
        let (mut y, mut dx) = ([0.0; 6], [0.0; 6]);
        gelu_erf_forward(&x, &mut y);
        assert!((y[1] - 0.841_344_7).abs() < 1e-6 && (y[2] + 0.158_655_3).abs() < 1e-6);
        assert_eq!((y[0], y[3], y[4].abs()), (0.0, 100.0, 0.0));
        gelu_erf_backward(&[1.0; 6], &x, &mut dx);
        assert!((dx[1] - 1.083_315_5).abs() < 1e-6 && (dx[0] - 0.5).abs() < 1e-6);
        assert!(y[5].is_nan() && dx[5].is_nan());
    }

    #[test]
    fn swiglu_by_hand() {
        let (gate, up) = ([0.0, 1000.0, -1000.0], [4.0, 2.0, 2.0]);
        let mut y = [9.0; 3];
        swiglu_forward(&gate, &up, &mut y);
        assert_eq!((y[0], y[1], y[2].abs()), (0.0, 2000.0, 0.0));
        let (mut d_gate, mut d_up) = ([9.0; 3], [9.0; 3]);
        swiglu_backward(&[1.0; 3], &gate, &up, &mut d_gate, &mut d_up);
        assert_eq!(
            (d_gate[0], d_up[0], d_gate[1], d_up[1]),
            (2.0, 0.0, 2.0, 1000.0)
        );
        assert_eq!((d_gate[2].abs(), d_up[2].abs()), (0.0, 0.0));
    }

    #[test]
    fn the_first_adamw_step_moves_by_the_learning_rate() {
        let numbers = Adamw {
            lr: 0.1,
            beta1: 0.9,
            beta2: 0.95,
            eps: 0.0,
            weight_decay: 0.5,
            step: 1.0,
            scale: 0.5,
        };
        let (mut p, mut m, mut v) = ([2.0, 2.0], [0.0; 2], [0.0; 2]);
        adamw(&mut p, &[4.0, -4.0], &mut m, &mut v, &numbers);
        assert!((p[0] - 1.8).abs() < 1e-6 && (p[1] - 2.0).abs() < 1e-6);
        assert!((m[0] - 0.2).abs() < 1e-6 && (v[0] - 0.2).abs() < 1e-6);
    }

    #[test]
    fn sums_and_embedding_gradients_by_hand() {
        let mut out = [9.0; 2];
        column_sums(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &mut out);
        assert_eq!(out, [9.0, 12.0]);
        assert_eq!(sum_of_squares(&[3.0, 4.0]), 25.0);
        let mut table = [9.0; 6];
        let (dy, ids) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 0, 2]);
        embedding_backward(&dy, &ids, 2, &mut table, false);
        assert_eq!(table, [3.0, 4.0, 0.0, 0.0, 6.0, 8.0]);
        embedding_backward(&dy, &ids, 2, &mut table, true);
        assert_eq!(table, [6.0, 8.0, 0.0, 0.0, 12.0, 16.0]);
        let mut rows = [9.0; 6];
        embedding_forward(&table, &ids, 2, &mut rows);
        assert_eq!(rows, [12.0, 16.0, 6.0, 8.0, 12.0, 16.0]);
    }
}
