//! The best matches of each row of one matrix among the rows of another, by dot product, cosine or Pearson
//! correlation. A thread takes a few hundred rows and goes through the other matrix block by block: one product
//! of matrices into a tile, and the selection reads the tile while it is in the cache. Where the processor can,
//! `screen` leaves out most pairs first. Blocks are the same for any number of threads, and so are the results.

use std::borrow::Cow;

use gemm::Parallelism;
use napi::bindgen_prelude::{Error, Float32Array, Int32Array, Result};
use napi_derive::napi;
use rayon::prelude::*;

use crate::math::sum;
use crate::matrix::{View, multiply};
use crate::parallel::{PIECE, for_pieces, run, vectorised};
#[cfg(target_arch = "x86_64")]
use crate::screen;

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
        let screen = Screen::of(&b, width, top, measure);
        run(a.len() * (b.len() / width) > 1 << 17, |parallel| {
            let block = |(rows, (index, value)): (&[f32], (&mut [i32], &mut [f32]))| match &screen {
                Some(screen) => screen.match_rows(rows, &b, width, top, index, value),
                None => match_rows(rows, &b, width, top, index, value),
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

/// What finds the candidates among rows of length 1 without all their products.
#[cfg(target_arch = "x86_64")]
struct Screen(screen::Panels);

#[cfg(target_arch = "x86_64")]
impl Screen {
    fn of(b: &[f32], width: usize, top: usize, measure: Measure) -> Option<Self> {
        (measure != Measure::Dot && screen::can_screen(b.len() / width, width, top))
            .then(|| Screen(screen::Panels::of(b, width)))
    }

    /// The matches of up to ROWS rows; rows with too many candidates go to products of all.
    fn match_rows(
        &self,
        rows: &[f32],
        b: &[f32],
        width: usize,
        top: usize,
        index: &mut [i32],
        value: &mut [f32],
    ) {
        let mut found = screen::candidates(rows, &self.0, width, top);
        let crowded: Vec<usize> = (0..found.len()).filter(|&i| found[i].crowded).collect();
        if !crowded.is_empty() {
            let rows: Vec<f32> = crowded
                .iter()
                .flat_map(|&i| &rows[i * width..][..width])
                .copied()
                .collect();
            let mut indices = vec![-1; crowded.len() * top];
            let mut values = vec![f32::NAN; crowded.len() * top];
            match_rows(&rows, b, width, top, &mut indices, &mut values);
            for (c, &i) in crowded.iter().enumerate() {
                index[i * top..][..top].copy_from_slice(&indices[c * top..][..top]);
                value[i * top..][..top].copy_from_slice(&values[c * top..][..top]);
            }
        }
        for (i, row) in rows.chunks_exact(width).enumerate() {
            if found[i].crowded {
                continue;
            }
            let of_row = i * top..(i + 1) * top;
            let (index, value) = (&mut index[of_row.clone()], &mut value[of_row]);
            let mut best = Best {
                index,
                value,
                held: 0,
            };
            // the likeliest first: what they reach leaves most of the others out
            let candidates = &mut found[i].candidates;
            candidates.sort_unstable_by(|(i, x), (j, y)| y.total_cmp(x).then(i.cmp(j)));
            vectorised(
                #[inline(always)]
                || {
                    for &(other, upper) in candidates.iter() {
                        if best.held == top && upper < best.value[top - 1] {
                            break;
                        }
                        let y = &b[other as usize * width..][..width];
                        let product = sum(width, |s| f64::from(row[s]) * f64::from(y[s]));
                        best.offer(other as i32, product as f32);
                    }
                },
            );
        }
    }
}

/// Elsewhere nothing does.
#[cfg(not(target_arch = "x86_64"))]
enum Screen {}

#[cfg(not(target_arch = "x86_64"))]
impl Screen {
    fn of(_: &[f32], _: usize, _: usize, _: Measure) -> Option<Self> {
        None
    }

    fn match_rows(&self, _: &[f32], _: &[f32], _: usize, _: usize, _: &mut [i32], _: &mut [f32]) {
        match *self {}
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

    /// Puts a score in its place, of equal ones the lower row first.
    fn offer(&mut self, row: i32, score: f32) {
        let last = self.value.len() - 1;
        if score.is_nan() || (self.held > last && !self.precedes(row, score, last)) {
            return;
        }
        let mut slot = self.held.min(last);
        while slot > 0 && self.precedes(row, score, slot - 1) {
            self.value[slot] = self.value[slot - 1];
            self.index[slot] = self.index[slot - 1];
            slot -= 1;
        }
        self.value[slot] = score;
        self.index[slot] = row;
        self.held = (self.held + 1).min(self.value.len());
    }

    fn precedes(&self, row: i32, score: f32, slot: usize) -> bool {
        score > self.value[slot] || (score == self.value[slot] && row < self.index[slot])
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

    /// Wide enough, and among enough others, to be screened where the processor can.
    #[test]
    fn screened_matches_are_those_of_all_products() {
        let (n, others, width, top) = (19, 1000, 67, 3);
        let mut state = 7u32;
        let mut random = |count: usize| -> Vec<f32> {
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state as f32 / 2f32.powi(31) - 1.0
            };
            (0..count * width).map(|_| next() + next()).collect()
        };
        let (mut a, mut b) = (random(n), random(others));
        // copies and near copies at other scales, one twice; zeros and NaN on either side
        for (to, from) in [(990, 2), (40, 2), (41, 5)] {
            for s in 0..width {
                b[to * width + s] = 1e3 * a[from * width + s];
            }
        }
        b[41 * width] += 1.0;
        a[7 * width..8 * width].fill(0.0);
        b[7 * width..8 * width].fill(0.0);
        a[8 * width + 66] = NAN;
        b[9 * width + 3] = NAN;
        for measure in [Measure::Cosine, Measure::Correlation] {
            let (index, value) = matches(&a, &b, width, top, measure);
            let (x, y) = (units(&a, width, measure), units(&b, width, measure));
            for i in 0..n {
                let mut all: Vec<(usize, f32)> = (0..others)
                    .map(|j| {
                        let dot: f64 = (0..width)
                            .map(|s| f64::from(x[i * width + s]) * f64::from(y[j * width + s]))
                            .sum();
                        (j, dot as f32)
                    })
                    .filter(|(_, r)| !r.is_nan())
                    .collect();
                all.sort_by(|(i, r), (j, s)| s.total_cmp(r).then(i.cmp(j)));
                for t in 0..top {
                    let got = (index[i * top + t], value[i * top + t]);
                    match all.get(t) {
                        None => assert!(got.0 == -1 && got.1.is_nan()),
                        Some(&(j, r)) => {
                            assert_eq!(got.0, j as i32, "row {i}, match {t}");
                            assert!((got.1 - r).abs() < 1e-6);
                        }
                    }
                }
            }
            assert_eq!(index[2 * top..][..2], [40, 990]);
            assert_eq!(index[7 * top..9 * top], [-1; 6]);
        }
    }

    #[test]
    fn a_row_that_everything_resembles_is_found_all_the_same() {
        let width = 64;
        let row: Vec<f32> = (0..width).map(|s| (s % 7) as f32 - 3.0).collect();
        let others = row.repeat(5000);
        let (index, value) = matches(&row, &others, width, 4, Measure::Cosine);
        assert_eq!(index, [0, 1, 2, 3]);
        assert!(value.iter().all(|r| (r - 1.0).abs() < 1e-5));
    }
}
