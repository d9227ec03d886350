//! Sums over a matrix that growth needs, in f64 and bit for bit those of the plain loops in src/engine/host: its
//! weighted squares, and the means of its columns. They depend on no number of threads.

use napi::bindgen_prelude::{Error, Float64Array, Result};
use napi_derive::napi;

use crate::math::sum;
use crate::parallel::{PIECE, run, vectorised};

/// Σ rowMass[i]·columnMass[j]·x[i, j]²: a row's sum by lanes, rows in order.
#[napi(catch_unwind)]
pub fn weighted_squares(x: &[f32], row_mass: &[f64], column_mass: &[f64]) -> Result<f64> {
    use rayon::prelude::*;
    let width = column_mass.len();
    if x.len() != width * row_mass.len() {
        return Err(Error::from_reason("a matrix and its masses disagree"));
    }
    let of_row = |row: usize| {
        let line = &x[row * width..][..width];
        let square = |i: usize| column_mass[i] * (f64::from(line[i]) * f64::from(line[i]));
        if row_mass[row] == 0.0 {
            0.0
        } else {
            row_mass[row]
                * vectorised(
                    #[inline(always)]
                    || sum(width, square),
                )
        }
    };
    let sums: Vec<f64> = run(x.len() > 2 * PIECE, |parallel| {
        if parallel {
            (0..row_mass.len())
                .into_par_iter()
                .with_min_len(64)
                .map(of_row)
                .collect()
        } else {
            (0..row_mass.len()).map(of_row).collect()
        }
    });
    // from +0, as the plain loops do
    Ok(sums.into_iter().fold(0.0, |total, part| total + part))
}

/// The mean of each column of x [n, n_columns], added up row by row.
#[napi(catch_unwind)]
pub fn column_means(x: &[f32], n_columns: u32) -> Result<Float64Array> {
    use rayon::prelude::*;
    let width = n_columns as usize;
    if width == 0 || !x.len().is_multiple_of(width) {
        return Err(Error::from_reason("numbers that are no whole rows"));
    }
    let mut means = vec![0.0f64; width];
    let n_rows = (x.len() / width) as f64;
    let piece = |(i, means): (usize, &mut [f64])| {
        vectorised(
            #[inline(always)]
            || {
                for line in x.chunks_exact(width) {
                    for (mean, &x) in means.iter_mut().zip(&line[i * 256..]) {
                        *mean += f64::from(x);
                    }
                }
                for mean in means.iter_mut() {
                    *mean /= n_rows;
                }
            },
        );
    };
    run(x.len() > 2 * PIECE, |parallel| {
        if parallel {
            means.par_chunks_mut(256).enumerate().for_each(piece);
        } else {
            means.chunks_mut(256).enumerate().for_each(piece);
        }
    });
    Ok(Float64Array::new(means))
}
