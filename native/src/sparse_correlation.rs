//! Pearson correlation between the columns of two sparse matrices on the same rows: the latents of two
//! dictionaries on the same tokens. A column of the first walks its rows and adds into one sum for each
//! column of the second: the memory is a few vectors a thread, never a matrix of all pairs. Products of two
//! f32 are exact in f64 and rows are walked in order, so the sums are those of the plain loop, bit by bit.

use napi::bindgen_prelude::{Float32Array, Float64Array, Int32Array, Uint8Array};
use napi_derive::napi;
use rayon::prelude::*;

use crate::parallel::run;

/// Columns of a sparse matrix: which rows each has, with their sums over all rows.
#[napi(object)]
pub struct SparseColumns {
    pub rows: u32,
    /// [n + 1]
    pub start: Int32Array,
    pub row: Int32Array,
    pub value: Float32Array,
    /// [n]
    pub mean: Float64Array,
    /// √Σ(x − mean)²; 0 for a column that has no correlation. [n]
    pub norm: Float64Array,
}

/// Rows of a sparse matrix, with the sums of its columns.
#[napi(object)]
pub struct SparseRows {
    /// [rows + 1]
    pub start: Int32Array,
    pub column: Int32Array,
    pub value: Float32Array,
    /// [m]
    pub mean: Float64Array,
    /// [m]
    pub norm: Float64Array,
}

/// The best partners on either side: −1 and NaN for a column that shares no row with any.
#[napi(object)]
pub struct SparseMatches {
    /// [n, top]
    pub child: Int32Array,
    /// [n, top]
    pub correlation: Float64Array,
    /// For each column of the second the best of the first. [m]
    pub relative: Int32Array,
    /// [m]
    pub relative_correlation: Float64Array,
    /// The same among the candidates. [m]
    pub claimant: Int32Array,
}

/// The best `top` partners of every column of `a` in `b`, and the best in `a` of every column of `b`, there
/// also among those with candidates[i] = 1 alone (none given: all). Of equal ones the first wins.
#[napi(catch_unwind)]
pub fn sparse_matches(
    a: SparseColumns,
    b: SparseRows,
    top: u32,
    candidates: Option<Uint8Array>,
) -> SparseMatches {
    let (a, b) = (Columns::of(&a), Rows::of(&b));
    let candidates: Option<&[u8]> = candidates.as_deref();
    let found = matches(&a, &b, top as usize, candidates);
    SparseMatches {
        child: Int32Array::new(found.child),
        correlation: Float64Array::new(found.correlation),
        relative: Int32Array::new(found.relative.index),
        relative_correlation: Float64Array::new(found.relative.value),
        claimant: Int32Array::new(found.claimant.index),
    }
}

/// For each of `columns` of `a`, moved on by its shift in `shifts` rows (circularly), the highest
/// correlation with any column of `b`; 0 where none is positive.
#[napi(catch_unwind)]
pub fn shifted_maxima(
    a: SparseColumns,
    b: SparseRows,
    columns: &[i32],
    shifts: &[i32],
) -> Float64Array {
    let (a, b) = (Columns::of(&a), Rows::of(&b));
    Float64Array::new(maxima(&a, &b, columns, shifts))
}

struct Columns<'a> {
    rows: usize,
    start: &'a [i32],
    row: &'a [i32],
    value: &'a [f32],
    mean: &'a [f64],
    norm: &'a [f64],
}

impl<'a> Columns<'a> {
    fn of(columns: &'a SparseColumns) -> Self {
        Columns {
            rows: columns.rows as usize,
            start: &columns.start,
            row: &columns.row,
            value: &columns.value,
            mean: &columns.mean,
            norm: &columns.norm,
        }
    }

    /// How much there is to do for one row of the second matrix: what makes threads worth waking.
    fn work(&self, b: &Rows) -> usize {
        self.value.len() * (1 + b.value.len() / self.rows.max(1)) + self.norm.len() * b.norm.len()
    }

    /// Σ over the rows of column i, `shift` further on, times every column of b.
    fn coactivations(&self, i: usize, b: &Rows, shift: usize, into: &mut [f64]) {
        into.fill(0.0);
        let entries = self.start[i] as usize..self.start[i + 1] as usize;
        for (&row, &x) in self.row[entries.clone()].iter().zip(&self.value[entries]) {
            let mut row = row as usize + shift;
            if row >= self.rows {
                row -= self.rows;
            }
            let x = f64::from(x);
            let others = b.start[row] as usize..b.start[row + 1] as usize;
            for (&column, &y) in b.column[others.clone()].iter().zip(&b.value[others]) {
                into[column as usize] += x * f64::from(y);
            }
        }
    }

    /// Calls `found(j, r)` with the correlation of column i with every column of b that it meets.
    fn correlations(&self, i: usize, b: &Rows, sums: &[f64], mut found: impl FnMut(usize, f64)) {
        const CHUNK: usize = 32;
        let expected = self.rows as f64 * self.mean[i];
        for (c, chunk) in sums.chunks(CHUNK).enumerate() {
            if chunk.iter().all(|&sum| sum == 0.0) {
                continue;
            }
            for (s, &sum) in chunk.iter().enumerate() {
                let j = c * CHUNK + s;
                if sum != 0.0 && b.norm[j] != 0.0 {
                    found(j, (sum - expected * b.mean[j]) / (self.norm[i] * b.norm[j]));
                }
            }
        }
    }
}

struct Rows<'a> {
    start: &'a [i32],
    column: &'a [i32],
    value: &'a [f32],
    mean: &'a [f64],
    norm: &'a [f64],
}

impl<'a> Rows<'a> {
    fn of(rows: &'a SparseRows) -> Self {
        Rows {
            start: &rows.start,
            column: &rows.column,
            value: &rows.value,
            mean: &rows.mean,
            norm: &rows.norm,
        }
    }
}

/// The best of the first matrix for each column of the second.
struct Partners {
    index: Vec<i32>,
    value: Vec<f64>,
}

impl Partners {
    fn none(columns: usize) -> Self {
        Partners {
            index: vec![-1; columns],
            value: vec![f64::NAN; columns],
        }
    }

    fn offer(&mut self, j: usize, i: i32, r: f64) {
        if r > self.value[j] || self.value[j].is_nan() {
            self.value[j] = r;
            self.index[j] = i;
        }
    }

    /// Takes in what was found among later columns.
    fn join(&mut self, later: &Partners) {
        for (j, (&i, &r)) in later.index.iter().zip(&later.value).enumerate() {
            if i >= 0 {
                self.offer(j, i, r);
            }
        }
    }
}

struct Found {
    child: Vec<i32>,
    correlation: Vec<f64>,
    relative: Partners,
    claimant: Partners,
}

fn matches(a: &Columns, b: &Rows, top: usize, candidates: Option<&[u8]>) -> Found {
    let (n, m) = (a.norm.len(), b.norm.len());
    let mut child = vec![-1; n * top];
    let mut correlation = vec![f64::NAN; n * top];
    let mut relative = Partners::none(m);
    let mut claimant = Partners::none(m);
    if n == 0 || top == 0 {
        return Found {
            child,
            correlation,
            relative,
            claimant,
        };
    }
    run(a.work(b) > 1 << 16, |parallel| {
        let pieces = if parallel {
            8 * rayon::current_num_threads()
        } else {
            1
        };
        let length = n.div_ceil(pieces);
        let piece = |(p, (child, correlation)): (usize, (&mut [i32], &mut [f64]))| {
            let mut sums = vec![0.0; m];
            let (mut relative, mut claimant) = (Partners::none(m), Partners::none(m));
            for (s, (child, correlation)) in child
                .chunks_mut(top)
                .zip(correlation.chunks_mut(top))
                .enumerate()
            {
                let i = p * length + s;
                if a.norm[i] == 0.0 {
                    continue;
                }
                a.coactivations(i, b, 0, &mut sums);
                let may_claim = candidates.is_none_or(|candidates| candidates[i] == 1);
                a.correlations(i, b, &sums, |j, r| {
                    relative.offer(j, i as i32, r);
                    if may_claim {
                        claimant.offer(j, i as i32, r);
                    }
                    insert(child, correlation, j as i32, r);
                });
            }
            (relative, claimant)
        };
        let found: Vec<(Partners, Partners)> = if parallel {
            child
                .par_chunks_mut(length * top)
                .zip(correlation.par_chunks_mut(length * top))
                .enumerate()
                .map(piece)
                .collect()
        } else {
            child
                .chunks_mut(length * top)
                .zip(correlation.chunks_mut(length * top))
                .enumerate()
                .map(piece)
                .collect()
        };
        for (later, claims) in &found {
            relative.join(later);
            claimant.join(claims);
        }
    });
    Found {
        child,
        correlation,
        relative,
        claimant,
    }
}

/// Keeps a list in descending order; NaN is an empty place.
fn insert(ids: &mut [i32], values: &mut [f64], id: i32, r: f64) {
    let mut slot = ids.len() - 1;
    if r <= values[slot] {
        return;
    }
    while slot > 0 && (r > values[slot - 1] || values[slot - 1].is_nan()) {
        values[slot] = values[slot - 1];
        ids[slot] = ids[slot - 1];
        slot -= 1;
    }
    values[slot] = r;
    ids[slot] = id;
}

fn maxima(a: &Columns, b: &Rows, columns: &[i32], shifts: &[i32]) -> Vec<f64> {
    assert_eq!(columns.len(), shifts.len(), "each column has its shift");
    let one = |sums: &mut Vec<f64>, (&i, &shift): (&i32, &i32)| {
        sums.resize(b.norm.len(), 0.0);
        let mut best = 0.0;
        if a.norm[i as usize] != 0.0 {
            a.coactivations(i as usize, b, shift as usize, sums);
            a.correlations(i as usize, b, sums, |_, r| {
                if r > best {
                    best = r;
                }
            });
        }
        best
    };
    run(columns.len() > 8, |parallel| {
        if parallel {
            columns
                .par_iter()
                .zip(shifts)
                .map_init(Vec::new, one)
                .collect()
        } else {
            let mut sums = Vec::new();
            columns
                .iter()
                .zip(shifts)
                .map(|pair| one(&mut sums, pair))
                .collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // x = (1, 0, 3, 0) and (0, 1, 0, 0); y = (2, 0, 4, 2) and (0, 5, 0, 0): the norms are √6, √¾, √8, √18¾.
    const START: [i32; 3] = [0, 2, 3];
    const ROW: [i32; 3] = [0, 2, 1];
    const X: [f32; 3] = [1.0, 3.0, 1.0];
    const OTHER_START: [i32; 5] = [0, 1, 2, 3, 4];
    const COLUMN: [i32; 4] = [0, 1, 0, 0];
    const Y: [f32; 4] = [2.0, 5.0, 4.0, 2.0];

    fn by_hand(body: impl Fn(&Columns, &Rows)) {
        let norm = [6f64.sqrt(), 0.75f64.sqrt()];
        let other_norm = [8f64.sqrt(), 18.75f64.sqrt()];
        let a = Columns {
            rows: 4,
            start: &START,
            row: &ROW,
            value: &X,
            mean: &[1.0, 0.25],
            norm: &norm,
        };
        let b = Rows {
            start: &OTHER_START,
            column: &COLUMN,
            value: &Y,
            mean: &[2.0, 1.25],
            norm: &other_norm,
        };
        body(&a, &b);
    }

    #[test]
    fn correlations_by_hand() {
        by_hand(|a, b| {
            let found = matches(a, b, 2, Some(&[0, 1]));
            assert_eq!(found.child, [0, -1, 1, -1]);
            assert!((found.correlation[0] - 6.0 / 48f64.sqrt()).abs() < 1e-12);
            assert!((found.correlation[2] - 1.0).abs() < 1e-12);
            assert_eq!(found.relative.index, [0, 1]);
            assert_eq!(found.claimant.index, [-1, 1]);
        });
    }

    #[test]
    fn a_shift_moves_the_rows_round() {
        // the first column one on is (0, 1, 0, 3): Σ with y₁ is 6, less 4·1·2
        by_hand(|a, b| {
            let best = maxima(a, b, &[0, 1], &[1, 3]);
            // with y₂: (5 − 4·1·1.25)/… = 0; the second column three on is (1, 0, 0, 0): 2 − 4·¼·2 = 0
            assert_eq!(best, [0.0, 0.0]);
            let aligned = maxima(a, b, &[0], &[0]);
            assert!((aligned[0] - 6.0 / 48f64.sqrt()).abs() < 1e-12);
        });
    }
}
