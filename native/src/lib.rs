//! The addon's interface: every kernel reads and writes typed arrays of the caller in place. An output that
//! overlaps another argument is refused. Sizes are checked by the kernels; a failed check becomes a
//! JavaScript error.

mod attention;
pub mod best_match;
mod cross_entropy;
mod elementwise;
pub mod grow;
mod huge_pages;
mod math;
mod matrix;
pub mod matrix_sums;
pub mod model;
mod normal;
mod parallel;
mod rows;
pub mod sae;
#[cfg(target_arch = "x86_64")]
mod screen;
pub mod sparse_correlation;
pub mod tensors;
mod tile;

use std::slice;

use napi::bindgen_prelude::{Error, Float32ArraySlice, Result};
use napi_derive::napi;

use matrix::Product;

/// The outputs as slices to write into. Errors: one that overlaps another output or an input.
fn exclusive<'a, const N: usize>(
    outputs: [Float32ArraySlice<'a>; N],
    inputs: &[&[f32]],
) -> Result<[&'a mut [f32]; N]> {
    let mut taken: Vec<_> = inputs.iter().map(|input| input.as_ptr_range()).collect();
    for output in &outputs {
        let range = output.as_ptr_range();
        if taken
            .iter()
            .any(|other| range.start < other.end && other.start < range.end)
        {
            return Err(Error::from_reason("an output overlaps another argument"));
        }
        taken.push(range);
    }
    Ok(outputs.map(|output| match output.len() {
        0 => &mut [] as &mut [f32],
        // SAFETY: napi hands out a pointer to that many numbers of an array that lives as long as the call's
        // arguments; the ranges were just found to be disjoint, and JavaScript waits for the call to return.
        length => unsafe { slice::from_raw_parts_mut(output.as_ptr().cast_mut(), length) },
    }))
}

/// The interface's number, which src/engine/native/load.ts asks for: it goes up when what was released can't be
/// called as before.
#[napi]
pub fn interface_version() -> u32 {
    7
}

/// The instruction set that kernels are run with: avx512, avx2, neon or scalar.
#[napi]
pub fn instruction_set() -> &'static str {
    parallel::instruction_set()
}

/// Sets the number of threads (0 for one each core) and returns it.
#[napi]
pub fn set_threads(threads: u32) -> Result<u32> {
    parallel::set_threads(threads as usize)
        .map(|count| count as u32)
        .map_err(Error::from_reason)
}

/// out [batch, m, n] = a·b (+ bias [n]); sizes are [m, k, n, batch of out, of a, of b].
#[napi(catch_unwind)]
pub fn gemm(
    a: &[f32],
    b: &[f32],
    bias: &[f32],
    out: Float32ArraySlice,
    sizes: &[u32],
    transpose_a: bool,
    transpose_b: bool,
) -> Result<()> {
    let [out] = exclusive([out], &[a, b, bias])?;
    let [m, k, n, batch, a_batch, b_batch] = std::array::from_fn(|i| sizes[i] as usize);
    let product = Product {
        m,
        k,
        n,
        batch,
        a_batch,
        b_batch,
        transpose_a,
        transpose_b,
    };
    matrix::product(a, b, bias, out, &product);
    Ok(())
}

/// out [cols, rows] = xᵀ.
#[napi(catch_unwind)]
pub fn transpose(x: &[f32], rows: u32, cols: u32, out: Float32ArraySlice) -> Result<()> {
    let [out] = exclusive([out], &[x])?;
    matrix::transpose(x, rows as usize, cols as usize, out);
    Ok(())
}

/// out [d] = Σ over the rows of x [n, d].
#[napi(catch_unwind)]
pub fn column_sums(x: &[f32], out: Float32ArraySlice) -> Result<()> {
    let [out] = exclusive([out], &[x])?;
    elementwise::column_sums(x, out);
    Ok(())
}

/// Σx².
#[napi(catch_unwind)]
pub fn sum_of_squares(x: &[f32]) -> f64 {
    elementwise::sum_of_squares(x)
}
