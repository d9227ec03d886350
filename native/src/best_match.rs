//! The best matches of each row of one matrix among the rows of another, by dot product, cosine or Pearson
//! correlation. A thread takes a few hundred rows and goes through the other matrix block by block: one product
//! of matrices into a tile, and the selection reads the tile while it is in the cache. Blocks are the same for
//! any number of threads, and so are the results.

use std::borrow::Cow;

use gemm::Parallelism;
use napi::bindgen_prelude::{Error, Float32Array, Int32Array, Result};
use napi_derive::napi;
use rayon::prelude::*;

use crate::math::sum;
use crate::matrix::{View, multiply};
use crate::parallel::{PIECE, for_pieces, run, vectorised};

/// Rows of either matrix in one tile: 1 MiB of scores.
const ROWS: usize = 512;
const OTHERS: usize = 512;

/// Of Σx², what is left after taking out the mean is rounding error below this share.
const CONSTANT_BELOW: f64 = 1e-12;

/// What two rows are compared by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    Dot,
    Cosine,
    Correlation,
}

impl Measure {
    fn named(name: &str) -> Option<Self> {
        match name {
            "dot" => Some(Measure::Dot),
            "cosine" => Some(Measure::Cosine),
            "correlation" => Some(Measure::Correlation),
            _ => None,
        }
    }
}

/// The best matches of every row, best first: −1 and NaN where there are fewer than `top`.
#[napi(object)]
pub struct BestMatches {
    /// [n, top]
    pub index: Int32Array,
    /// [n, top]
    pub value: Float32Array,
}

/// For each row of a [n, width] the `top` rows of b [others, width] of the highest measure. Of equal ones the
/// first wins; one that is not a number (a row of zeros has no cosine, a constant one no correlation) is none.
#[napi(catch_unwind)]
pub fn best_matches(
    a: &[f32],
    b: &[f32],
    width: u32,
    top: u32,
    measure: String,
) -> Result<BestMatches> {
    let measure = Measure::named(&measure)
        .ok_or_else(|| Error::from_reason(format!("{measure} is no measure")))?;
    let (index, value) = matches(a, b, width as usize, top as usize, measure);
    Ok(BestMatches {
        index: Int32Array::new(index),
        value: Float32Array::new(value),
    })
}

/// The indices and the values, [n, top] each.
pub fn matches(
    a: &[f32],
    b: &[f32],
    width: usize,
    top: usize,
    measure: Measure,
) -> (Vec<i32>, Vec<f32>) {
    assert!(
        width > 0 && a.len().is_multiple_of(width) && b.len().is_multiple_of(width),
        "the matrices are not rows of that width"
    );
    let n = a.len() / width;
    let mut index = vec![-1; n * top];
    let mut value = vec![f32::NAN; n * top];
    if top > 0 && !b.is_empty() {
        let (a, b) = (units(a, width, measure), units(b, width, measure));
        run(a.len() * (b.len() / width) > 1 << 17, |parallel| {
            let block = |(rows, (index, value)): (&[f32], (&mut [i32], &mut [f32]))| {
                match_rows(rows, &b, width, top, index, value);
            };
            if parallel {
                a.par_chunks(ROWS * width)
                    .zip(
                        index
                            .par_chunks_mut(ROWS * top)
                            .zip(value.par_chunks_mut(ROWS * top)),
                    )
                    .for_each(block);
            } else {
                a.chunks(ROWS * width)
                    .zip(
                        index
                            .chunks_mut(ROWS * top)
                            .zip(value.chunks_mut(ROWS * top)),
                    )
                    .for_each(block);
            }
        });
    }
    (index, value)
}

/// Rows whose dot products are the measure; one that has none is NaN throughout.
fn units(x: &[f32], width: usize, measure: Measure) -> Cow<'_, [f32]> {
    if measure == Measure::Dot {
        return Cow::Borrowed(x);
    }
    let mut out = vec![0.0; x.len()];
    let rows = (PIECE / width).max(1);
    for_pieces(&mut out, rows * width, |piece, out| {
        let x = &x[piece * rows * width..][..out.len()];
        vectorised(
            #[inline(always)]
            || {
                for (out, row) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                    unit(row, measure, out);
                }
            },
        );
    });
    Cow::Owned(out)
}

#[inline(always)]
fn unit(row: &[f32], measure: Measure, out: &mut [f32]) {
    let n = row.len();
    let mean = match measure {
        Measure::Correlation => sum(n, |i| f64::from(row[i])) / n as f64,
        _ => 0.0,
    };
    let squares = sum(n, |i| f64::from(row[i]).powi(2));
    let centred = sum(n, |i| (f64::from(row[i]) - mean).powi(2));
    let scale = if centred.is_finite() && centred > CONSTANT_BELOW * squares {
        1.0 / centred.sqrt()
    } else {
        f64::NAN
    };
    for (unit, &x) in out.iter_mut().zip(row) {
        *unit = ((f64::from(x) - mean) * scale) as f32;
    }
}

/// The matches of up to ROWS rows.
fn match_rows(
    rows: &[f32],
    b: &[f32],
    width: usize,
    top: usize,
    index: &mut [i32],
    value: &mut [f32],
) {
    let n = rows.len() / width;
    let mut tile = vec![0.0f32; n * OTHERS.min(b.len() / width)];
    let mut held = vec![0; n];
    for (block, others) in b.chunks(OTHERS * width).enumerate() {
        let count = others.len() / width;
        multiply(
            View::rows(rows, width),
            View::transposed(others, width),
            &mut tile,
            count,
            [n, width, count],
            1.0,
            false,
            Parallelism::None,
        );
        vectorised(
            #[inline(always)]
            || {
                for (i, held) in held.iter_mut().enumerate() {
                    let of_row = i * top..(i + 1) * top;
                    let mut best = Best {
                        index: &mut index[of_row.clone()],
                        value: &mut value[of_row],
                        held: *held,
                    };
                    best.scan(&tile[i * count..(i + 1) * count], block * OTHERS);
                    *held = best.held;
                }
            },
        );
    }
}

/// The best of one row so far, best first.
struct Best<'a> {
    index: &'a mut [i32],
    value: &'a mut [f32],
    held: usize,
}

impl Best<'_> {
    /// Takes in scores, the first of which is of row `first`.
    #[inline(always)]
    fn scan(&mut self, scores: &[f32], first: usize) {
        const CHUNK: usize = 64;
        let last = self.value.len() - 1;
        for (c, chunk) in scores.chunks(CHUNK).enumerate() {
            if self.held > last {
                let least = self.value[last];
                let better = chunk
                    .iter()
                    .fold(false, |found, &score| found | (score > least));
                if !better {
                    continue;
                }
            }
            for (s, &score) in chunk.iter().enumerate() {
                if self.held <= last || score > self.value[last] {
                    self.offer((first + c * CHUNK + s) as i32, score);
                }
            }
        }
    }

    /// Puts a score in its place; rows come in ascending order, so an equal one stays behind.
    fn offer(&mut self, row: i32, score: f32) {
        if score.is_nan() {
            return;
        }
        let mut slot = self.held.min(self.value.len() - 1);
        while slot > 0 && score > self.value[slot - 1] {
            self.value[slot] = self.value[slot - 1];
            self.index[slot] = self.index[slot - 1];
            slot -= 1;
        }
        self.value[slot] = score;
        self.index[slot] = row;
        self.held = (self.held + 1).min(self.value.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f32 = f32::NAN;

    fn same(a: &[f32], b: &[f32]) {
        assert_eq!(
            a.iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
            b.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        );
    }

    #[test]
    fn matches_by_hand() {
        let a = [3.0, 4.0, 0.0, 0.0];
        let b = [0.0, 2.0, 6.0, 8.0, -3.0, -4.0, NAN, 1.0];
        let (index, value) = matches(&a, &b, 2, 2, Measure::Dot);
        assert_eq!(index, [1, 0, 0, 1]);
        same(&value, &[50.0, 8.0, 0.0, 0.0]);
        let (index, value) = matches(&a, &b, 2, 4, Measure::Cosine);
        assert_eq!(index, [1, 0, 2, -1, -1, -1, -1, -1]);
        assert!((value[0] - 1.0).abs() < 1e-6 && (value[1] - 0.8).abs() < 1e-6);
        assert!((value[2] + 1.0).abs() < 1e-6 && value[3..].iter().all(|x| x.is_nan()));
    }

    #[test]
    fn correlation_is_the_cosine_of_what_differs_from_the_mean() {
        let a = [1.0, 2.0, 3.0, 5.0, 5.0, 5.0];
        let b = [9.0, 8.0, 7.0, 10.0, 20.0, 30.0];
        let (index, value) = matches(&a, &b, 3, 1, Measure::Correlation);
        assert_eq!(index, [1, -1]);
        assert!((value[0] - 1.0).abs() < 1e-6 && value[1].is_nan());
    }

    #[test]
    fn of_equal_rows_the_first_wins_across_blocks() {
        let others = OTHERS + 70;
        let b: Vec<f32> = (0..others).flat_map(|_| [0.1, 0.7, -0.3]).collect();
        let (index, _) = matches(&[1.0, 2.0, 3.0], &b, 3, 5, Measure::Cosine);
        assert_eq!(index, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn no_rows_no_matches() {
        assert_eq!(matches(&[], &[1.0], 1, 1, Measure::Dot).0, []);
        assert_eq!(matches(&[1.0], &[], 1, 1, Measure::Dot).0, [-1]);
    }
}
