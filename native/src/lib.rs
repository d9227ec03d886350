//! The addon's interface: every kernel reads and writes typed arrays of the caller in place. An output that
//! overlaps another argument is refused. Sizes are checked by the kernels; a failed check becomes a
//! JavaScript error.

mod attention;
pub mod best_match;
mod elementwise;
mod math;
mod matrix;
mod parallel;
mod rows;
pub mod sae;
pub mod sparse_correlation;
pub mod tensors;

use std::slice;

use napi::bindgen_prelude::{Error, Float32ArraySlice, Result};
use napi_derive::napi;

use attention::Shape;
use elementwise::Adamw;
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
    1
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

/// Layer norm over rows; keeps xhat and rstd.
#[napi(catch_unwind)]
pub fn layer_norm_forward(
    x: &[f32],
    gain: &[f32],
    bias: &[f32],
    eps: f64,
    y: Float32ArraySlice,
    xhat: Float32ArraySlice,
    rstd: Float32ArraySlice,
) -> Result<()> {
    let [y, xhat, rstd] = exclusive([y, xhat, rstd], &[x, gain, bias])?;
    rows::layer_norm_forward(x, gain, bias, eps, y, xhat, rstd);
    Ok(())
}

/// Gradients of the layer norm.
#[napi(catch_unwind)]
pub fn layer_norm_backward(
    dy: &[f32],
    xhat: &[f32],
    rstd: &[f32],
    gain: &[f32],
    dx: Float32ArraySlice,
    dgain: Float32ArraySlice,
    dbias: Float32ArraySlice,
) -> Result<()> {
    let [dx, dgain, dbias] = exclusive([dx, dgain, dbias], &[dy, xhat, rstd, gain])?;
    rows::layer_norm_backward(dy, xhat, rstd, gain, dx, dgain, dbias);
    Ok(())
}

/// GELU; keeps its tanh.
#[napi(catch_unwind)]
pub fn gelu_forward(x: &[f32], y: Float32ArraySlice, t: Float32ArraySlice) -> Result<()> {
    let [y, t] = exclusive([y, t], &[x])?;
    elementwise::gelu_forward(x, y, t);
    Ok(())
}

/// Gradient of GELU.
#[napi(catch_unwind)]
pub fn gelu_backward(dy: &[f32], x: &[f32], t: &[f32], dx: Float32ArraySlice) -> Result<()> {
    let [dx] = exclusive([dx], &[dy, x, t])?;
    elementwise::gelu_backward(dy, x, t, dx);
    Ok(())
}

fn attention_shape(shape: &[u32]) -> Shape {
    let [batch, context, heads, head_dim] = std::array::from_fn(|i| shape[i] as usize);
    Shape {
        batch,
        context,
        heads,
        head_dim,
    }
}

/// Causal attention; shape is [batch, context, heads, head width].
#[napi(catch_unwind)]
pub fn attention_forward(
    qkv: &[f32],
    shape: &[u32],
    z: Float32ArraySlice,
    pattern: Float32ArraySlice,
) -> Result<()> {
    let [z, pattern] = exclusive([z, pattern], &[qkv])?;
    attention::attention_forward(qkv, attention_shape(shape), z, pattern);
    Ok(())
}

/// Gradient of causal attention.
#[napi(catch_unwind)]
pub fn attention_backward(
    dz: &[f32],
    qkv: &[f32],
    pattern: &[f32],
    shape: &[u32],
    dqkv: Float32ArraySlice,
) -> Result<()> {
    let [dqkv] = exclusive([dqkv], &[dz, qkv, pattern])?;
    attention::attention_backward(dz, qkv, pattern, attention_shape(shape), dqkv);
    Ok(())
}

/// Cross-entropy per row; the logits become its gradient times the weight.
#[napi(catch_unwind)]
pub fn softmax_loss_in_place(
    logits: Float32ArraySlice,
    targets: &[i32],
    vocab: u32,
    weight: f64,
    loss: Float32ArraySlice,
) -> Result<()> {
    let [logits, loss] = exclusive([logits, loss], &[])?;
    rows::softmax_loss_in_place(logits, targets, vocab as usize, weight as f32, loss);
    Ok(())
}

/// Cross-entropy per row.
#[napi(catch_unwind)]
pub fn softmax_loss(
    logits: &[f32],
    targets: &[i32],
    vocab: u32,
    loss: Float32ArraySlice,
) -> Result<()> {
    let [loss] = exclusive([loss], &[logits])?;
    rows::softmax_loss(logits, targets, vocab as usize, loss);
    Ok(())
}

/// Gradient of a table lookup.
#[napi(catch_unwind)]
pub fn embedding_backward(dy: &[f32], ids: &[i32], d: u32, out: Float32ArraySlice) -> Result<()> {
    let [out] = exclusive([out], &[dy])?;
    elementwise::embedding_backward(dy, ids, d as usize, out);
    Ok(())
}

/// AdamW in place; numbers are [lr, beta1, beta2, eps, weight decay, step, scale].
#[napi(catch_unwind)]
pub fn adamw(
    next: Float32ArraySlice,
    grad: &[f32],
    m: Float32ArraySlice,
    v: Float32ArraySlice,
    numbers: &[f64],
) -> Result<()> {
    let [next, m, v] = exclusive([next, m, v], &[grad])?;
    let [lr, beta1, beta2, eps, weight_decay, step, scale] = std::array::from_fn(|i| numbers[i]);
    let numbers = Adamw {
        lr,
        beta1,
        beta2,
        eps,
        weight_decay,
        step,
        scale,
    };
    elementwise::adamw(next, grad, m, v, &numbers);
    Ok(())
}
