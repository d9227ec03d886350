//! TensorFlow.js's plain kernels: functions of one number, of two broadcast against each other, reductions over
//! the last axes, softmax. NaN goes through every one of them, maxima included, as it does in JavaScript.

use napi::bindgen_prelude::{Error, Float32ArraySlice, Result};
use napi_derive::napi;

use crate::exclusive;
use crate::math::{exp, exp_in_place, max, sum};
use crate::parallel::{PIECE, for_pieces, for_pieces_of, vectorised};

/// out = f(x) for every number. Names are TensorFlow.js's.
#[napi(catch_unwind)]
pub fn unary(name: String, x: &[f32], out: Float32ArraySlice) -> Result<()> {
    let [out] = exclusive([out], &[x])?;
    match name.as_str() {
        "Abs" => map(x, out, f32::abs),
        "Exp" => map(x, out, full_exp),
        "Log" => map(x, out, f32::ln),
        "Neg" => map(x, out, |x| -x),
        "Reciprocal" => map(x, out, |x| 1.0 / x),
        "Relu" => map(x, out, |x| if x < 0.0 { 0.0 } else { x }),
        "Rsqrt" => map(x, out, |x| 1.0 / x.sqrt()),
        "Sigmoid" => map(x, out, |x| 1.0 / (1.0 + full_exp(-x))),
        "Sqrt" => map(x, out, f32::sqrt),
        "Square" => map(x, out, |x| x * x),
        "Tanh" => map(x, out, f32::tanh),
        _ => return Err(unknown(&name)),
    }
    Ok(())
}

/// out = a ∘ b, or b ∘ a when `reversed`. b is as long as a, one number or a row of it; or, when `inner` isn't
/// zero, a column: each of its numbers meets `inner` neighbours of a. Names are TensorFlow.js's.
#[napi(catch_unwind)]
pub fn binary(
    name: String,
    a: &[f32],
    b: &[f32],
    inner: u32,
    reversed: bool,
    out: Float32ArraySlice,
) -> Result<()> {
    let [out] = exclusive([out], &[a, b])?;
    let inner = inner as usize;
    assert_eq!(out.len(), a.len());
    if a.is_empty() {
        return Ok(());
    }
    if inner == 0 {
        assert!(!b.is_empty() && a.len().is_multiple_of(b.len()));
    } else {
        assert_eq!(a.len(), b.len() * inner);
    }
    match (name.as_str(), reversed) {
        ("Add", _) => zip(a, b, inner, out, |x, y| x + y),
        ("Multiply", _) => zip(a, b, inner, out, |x, y| x * y),
        ("Maximum", _) => zip(a, b, inner, out, larger),
        ("Minimum", _) => zip(a, b, inner, out, |x, y| -larger(-x, -y)),
        ("SquaredDifference", _) => zip(a, b, inner, out, |x, y| (x - y) * (x - y)),
        ("Sub", false) => zip(a, b, inner, out, |x, y| x - y),
        ("Sub", true) => zip(a, b, inner, out, |x, y| y - x),
        ("RealDiv", false) => zip(a, b, inner, out, |x, y| x / y),
        ("RealDiv", true) => zip(a, b, inner, out, |x, y| y / x),
        _ => return Err(unknown(&name)),
    }
    Ok(())
}

/// out [n] = the sum, mean, largest or smallest of each of the n rows of x. Names are TensorFlow.js's.
#[napi(catch_unwind)]
pub fn reduce_rows(name: String, x: &[f32], out: Float32ArraySlice) -> Result<()> {
    let [out] = exclusive([out], &[x])?;
    let d = x.len() / out.len().max(1);
    assert!(d > 0 && x.len() == d * out.len());
    match name.as_str() {
        "Sum" => rows(x, d, out, |row| total(row) as f32),
        "Mean" => rows(x, d, out, |row| (total(row) / row.len() as f64) as f32),
        "Max" => rows(x, d, out, |row| extreme(row, max(row))),
        "Min" => rows(x, d, out, |row| {
            extreme(row, row.iter().copied().fold(f32::INFINITY, f32::min))
        }),
        _ => return Err(unknown(&name)),
    }
    Ok(())
}

/// out = softmax over rows of d numbers.
#[napi(catch_unwind)]
pub fn softmax_rows(x: &[f32], d: u32, out: Float32ArraySlice) -> Result<()> {
    let [out] = exclusive([out], &[x])?;
    let d = d as usize;
    assert!(d > 0 && x.len() == out.len() && x.len().is_multiple_of(d));
    let length = d * (PIECE / d).max(1);
    for_pieces(out, length, |i, out| {
        out.copy_from_slice(&x[i * length..][..out.len()]);
        vectorised(
            #[inline(always)]
            || {
                for row in out.chunks_exact_mut(d) {
                    let shift = extreme(row, max(row));
                    let scale = 1.0 / exp_in_place(row, shift);
                    row.iter_mut().for_each(|p| *p *= scale);
                }
            },
        );
    });
    Ok(())
}

fn unknown(name: &str) -> Error {
    Error::from_reason(format!("there is no kernel {name}"))
}

/// e^x over the whole range of f32: the square of e^(x/2), since `exp` saturates early.
#[inline(always)]
fn full_exp(x: f32) -> f32 {
    let half = exp(0.5 * x);
    half * half
}

/// The larger of two numbers, NaN if either is.
#[inline(always)]
fn larger(x: f32, y: f32) -> f32 {
    if x > y || x.is_nan() { x } else { y }
}

#[inline(always)]
fn total(row: &[f32]) -> f64 {
    sum(row.len(), |i| f64::from(row[i]))
}

/// `found` among the numbers of the row, NaN if there is one.
#[inline(always)]
fn extreme(row: &[f32], found: f32) -> f32 {
    if row.iter().any(|x| x.is_nan()) {
        f32::NAN
    } else {
        found
    }
}

fn map(x: &[f32], out: &mut [f32], f: impl Fn(f32) -> f32 + Sync) {
    assert_eq!(x.len(), out.len());
    for_pieces(out, PIECE, |i, out| {
        let x = &x[i * PIECE..][..out.len()];
        vectorised(
            #[inline(always)]
            || out.iter_mut().zip(x).for_each(|(out, &x)| *out = f(x)),
        );
    });
}

/// How the second operand meets the first.
enum Reach {
    Same,
    One,
    /// It repeats after this many numbers.
    Row(usize),
    /// Each of its numbers meets this many neighbours.
    Column(usize),
}

fn zip(a: &[f32], b: &[f32], inner: usize, out: &mut [f32], f: impl Fn(f32, f32) -> f32 + Sync) {
    let reach = match (inner, b.len()) {
        (0, 1) => Reach::One,
        (0, length) if length < a.len() => Reach::Row(length),
        (0, _) => Reach::Same,
        _ => Reach::Column(inner),
    };
    // a piece holds whole runs
    let run = match reach {
        Reach::Same | Reach::One => 1,
        Reach::Row(run) | Reach::Column(run) => run,
    };
    let length = run * (PIECE / run).max(1);
    for_pieces(out, length, |i, out| {
        let a = &a[i * length..][..out.len()];
        vectorised(
            #[inline(always)]
            || match reach {
                Reach::Same => many(a, &b[i * length..][..out.len()], out, &f),
                Reach::One => one(a, b[0], out, &f),
                Reach::Row(run) => {
                    for (out, a) in out.chunks_exact_mut(run).zip(a.chunks_exact(run)) {
                        many(a, b, out, &f);
                    }
                }
                Reach::Column(run) => {
                    let runs = out.chunks_exact_mut(run).zip(a.chunks_exact(run));
                    for ((out, a), &y) in runs.zip(&b[i * length / run..]) {
                        one(a, y, out, &f);
                    }
                }
            },
        );
    });
}

#[inline(always)]
fn one(a: &[f32], y: f32, out: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    out.iter_mut().zip(a).for_each(|(out, &x)| *out = f(x, y));
}

#[inline(always)]
fn many(a: &[f32], b: &[f32], out: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    out.iter_mut()
        .zip(a.iter().zip(b))
        .for_each(|(out, (&x, &y))| *out = f(x, y));
}

fn rows(x: &[f32], d: usize, out: &mut [f32], f: impl Fn(&[f32]) -> f32 + Sync) {
    // small enough that a long matrix makes several pieces, whatever the width of its rows
    let length = (PIECE / d).max(1);
    for_pieces_of(x.len(), out, length, |i, out| {
        let x = &x[i * length * d..][..out.len() * d];
        vectorised(
            #[inline(always)]
            || {
                for (out, row) in out.iter_mut().zip(x.chunks_exact(d)) {
                    *out = f(row);
                }
            },
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn combine(a: &[f32], b: &[f32], inner: usize, f: impl Fn(f32, f32) -> f32 + Sync) -> Vec<f32> {
        let mut out = vec![0.0; a.len()];
        zip(a, b, inner, &mut out, f);
        out
    }

    #[test]
    fn broadcasting_by_hand() {
        let a = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(combine(&a, &a, 0, |x, y| x + y), [2.0, 4.0, 6.0, 8.0]);
        assert_eq!(combine(&a, &[3.0], 0, |x, y| x * y), [3.0, 6.0, 9.0, 12.0]);
        assert_eq!(
            combine(&a, &[1.0, 2.0], 0, |x, y| x - y),
            [0.0, 0.0, 2.0, 2.0]
        );
        assert_eq!(
            combine(&a, &[1.0, 2.0], 2, |x, y| x - y),
            [0.0, 1.0, 1.0, 2.0]
        );
    }

    #[test]
    fn pieces_meet_the_right_numbers() {
        let n = 3 * PIECE + 6;
        let a: Vec<f32> = (0..n).map(|i| i as f32).collect();
        let run = 3;
        let column: Vec<f32> = (0..n / run).map(|i| i as f32).collect();
        let got = combine(&a, &column, run, |x, y| x - run as f32 * y);
        assert!(got.iter().enumerate().all(|(i, &x)| x == (i % run) as f32));
        let got = combine(&a, &[0.0, 1.0, 2.0], 0, |x, y| x - y);
        assert!(
            got.iter()
                .enumerate()
                .all(|(i, &x)| x == (i - i % run) as f32)
        );
        assert!(combine(&a, &a, 0, |x, y| x - y).iter().all(|&x| x == 0.0));
    }

    #[test]
    fn exp_covers_the_range_and_nan_goes_through() {
        for x in [-100.0f32, -87.5, -1.0, 0.0, 1.0, 88.3, 88.7] {
            let want = f64::from(x).exp();
            assert!(
                (f64::from(full_exp(x)) - want).abs() <= 1e-6 * want + 1e-44,
                "e^{x}"
            );
        }
        assert_eq!(full_exp(89.0), f32::INFINITY);
        assert!(larger(f32::NAN, 1.0).is_nan() && larger(1.0, f32::NAN).is_nan());
        assert!(extreme(&[1.0, f32::NAN], 1.0).is_nan());
    }
}
