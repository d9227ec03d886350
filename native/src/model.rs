//! The addon's interface for language models: norms, activations, attention, losses and the optimizer.

#![allow(
    clippy::too_many_arguments,
    reason = "arrays and sizes cross from JavaScript one by one"
)]

use napi::bindgen_prelude::{Float32ArraySlice, Result};
use napi_derive::napi;

use crate::attention::{self, Operands, Rotary, Shape, apart, joint};
use crate::cross_entropy::Unembedding;
use crate::elementwise::{self, Adamw};
use crate::{cross_entropy, exclusive, rows};

/// Layer norm over rows; keeps mean and rstd.
#[napi(catch_unwind)]
pub fn layer_norm_forward(
    x: &[f32],
    gain: &[f32],
    bias: &[f32],
    eps: f64,
    y: Float32ArraySlice,
    mean: Float32ArraySlice,
    rstd: Float32ArraySlice,
) -> Result<()> {
    let [y, mean, rstd] = exclusive([y, mean, rstd], &[x, gain, bias])?;
    rows::layer_norm_forward(x, gain, bias, eps, y, mean, rstd);
    Ok(())
}

/// Gradients of the layer norm; dx is added to what is there where `adds`.
#[napi(catch_unwind)]
pub fn layer_norm_backward(
    dy: &[f32],
    x: &[f32],
    mean: &[f32],
    rstd: &[f32],
    gain: &[f32],
    dx: Float32ArraySlice,
    dgain: Float32ArraySlice,
    dbias: Float32ArraySlice,
    adds: bool,
) -> Result<()> {
    let [dx, dgain, dbias] = exclusive([dx, dgain, dbias], &[dy, x, mean, rstd, gain])?;
    rows::layer_norm_backward(dy, x, mean, rstd, gain, dx, dgain, dbias, adds);
    Ok(())
}

/// RMS norm over rows; keeps rstd.
#[napi(catch_unwind)]
pub fn rms_norm_forward(
    x: &[f32],
    gain: &[f32],
    eps: f64,
    y: Float32ArraySlice,
    rstd: Float32ArraySlice,
) -> Result<()> {
    let [y, rstd] = exclusive([y, rstd], &[x, gain])?;
    rows::rms_norm_forward(x, gain, eps, y, rstd);
    Ok(())
}

/// Gradients of the RMS norm; dx is added to what is there where `adds`.
#[napi(catch_unwind)]
pub fn rms_norm_backward(
    dy: &[f32],
    x: &[f32],
    rstd: &[f32],
    gain: &[f32],
    dx: Float32ArraySlice,
    dgain: Float32ArraySlice,
    adds: bool,
) -> Result<()> {
    let [dx, dgain] = exclusive([dx, dgain], &[dy, x, rstd, gain])?;
    rows::rms_norm_backward(dy, x, rstd, gain, dx, dgain, adds);
    Ok(())
}

/// GELU, tanh form.
#[napi(catch_unwind)]
pub fn gelu_forward(x: &[f32], y: Float32ArraySlice) -> Result<()> {
    let [y] = exclusive([y], &[x])?;
    elementwise::gelu_forward(x, y);
    Ok(())
}

/// Gradient of GELU, tanh form.
#[napi(catch_unwind)]
pub fn gelu_backward(dy: &[f32], x: &[f32], dx: Float32ArraySlice) -> Result<()> {
    let [dx] = exclusive([dx], &[dy, x])?;
    elementwise::gelu_backward(dy, x, dx);
    Ok(())
}

/// The exact GELU.
#[napi(catch_unwind)]
pub fn gelu_erf_forward(x: &[f32], y: Float32ArraySlice) -> Result<()> {
    let [y] = exclusive([y], &[x])?;
    elementwise::gelu_erf_forward(x, y);
    Ok(())
}

/// Gradient of the exact GELU.
#[napi(catch_unwind)]
pub fn gelu_erf_backward(dy: &[f32], x: &[f32], dx: Float32ArraySlice) -> Result<()> {
    let [dx] = exclusive([dx], &[dy, x])?;
    elementwise::gelu_erf_backward(dy, x, dx);
    Ok(())
}

/// silu(gate)·up.
#[napi(catch_unwind)]
pub fn swiglu_forward(gate: &[f32], up: &[f32], y: Float32ArraySlice) -> Result<()> {
    let [y] = exclusive([y], &[gate, up])?;
    elementwise::swiglu_forward(gate, up, y);
    Ok(())
}

/// Gradients of silu(gate)·up.
#[napi(catch_unwind)]
pub fn swiglu_backward(
    dy: &[f32],
    gate: &[f32],
    up: &[f32],
    d_gate: Float32ArraySlice,
    d_up: Float32ArraySlice,
) -> Result<()> {
    let [d_gate, d_up] = exclusive([d_gate, d_up], &[dy, gate, up])?;
    elementwise::swiglu_backward(dy, gate, up, d_gate, d_up);
    Ok(())
}

fn attention_shape(sizes: &[u32]) -> Shape {
    let [batch, context, heads, kv_heads, head_dim] = std::array::from_fn(|i| sizes[i] as usize);
    Shape {
        batch,
        context,
        heads,
        kv_heads,
        head_dim,
    }
}

/// q, k and v in an array each, or, where k is empty, side by side in the first.
fn operands<'a>(q: &'a [f32], k: &'a [f32], v: &'a [f32], shape: &Shape) -> Operands<'a> {
    if k.is_empty() {
        return Operands {
            data: [q; 3],
            layouts: joint(shape),
        };
    }
    Operands {
        data: [q, k, v],
        layouts: apart(shape),
    }
}

/// Causal attention; sizes are [batch, context, heads, key heads, head width], cos and sin the rotary table.
#[napi(catch_unwind)]
pub fn attention_forward(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    sizes: &[u32],
    cos: &[f32],
    sin: &[f32],
    z: Float32ArraySlice,
    lse: Float32ArraySlice,
) -> Result<()> {
    let [z, lse] = exclusive([z, lse], &[q, k, v, cos, sin])?;
    let shape = attention_shape(sizes);
    let operands = operands(q, k, v, &shape);
    attention::attention_forward(operands, Rotary { cos, sin }, &shape, z, lse);
    Ok(())
}

/// Gradients of causal attention; dk and dv are empty where k and v are.
#[napi(catch_unwind)]
pub fn attention_backward(
    dz: &[f32],
    z: &[f32],
    q: &[f32],
    k: &[f32],
    v: &[f32],
    lse: &[f32],
    sizes: &[u32],
    cos: &[f32],
    sin: &[f32],
    dq: Float32ArraySlice,
    dk: Float32ArraySlice,
    dv: Float32ArraySlice,
) -> Result<()> {
    let outputs = exclusive([dq, dk, dv], &[dz, z, q, k, v, lse, cos, sin])?;
    let shape = attention_shape(sizes);
    let operands = operands(q, k, v, &shape);
    attention::attention_backward(dz, z, operands, Rotary { cos, sin }, lse, &shape, outputs);
    Ok(())
}

/// Cross-entropy of an unembedding with its gradients, in chunks of as many rows as `logits` holds.
#[napi(catch_unwind)]
pub fn cross_entropy(
    hidden: &[f32],
    table: &[f32],
    targets: &[i32],
    vocab: u32,
    weight: f64,
    logits: Float32ArraySlice,
    loss: Float32ArraySlice,
    d_hidden: Float32ArraySlice,
    d_table: Float32ArraySlice,
) -> Result<()> {
    let [logits, loss, d_hidden, d_table] =
        exclusive([logits, loss, d_hidden, d_table], &[hidden, table])?;
    let of = Unembedding {
        hidden,
        table,
        targets,
        vocab: vocab as usize,
    };
    cross_entropy::cross_entropy(&of, weight as f32, logits, loss, d_hidden, d_table);
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

/// Rows of a table.
#[napi(catch_unwind)]
pub fn embedding_forward(table: &[f32], ids: &[i32], d: u32, out: Float32ArraySlice) -> Result<()> {
    let [out] = exclusive([out], &[table])?;
    elementwise::embedding_forward(table, ids, d as usize, out);
    Ok(())
}

/// Gradient of a table lookup, added to what is there where `adds`.
#[napi(catch_unwind)]
pub fn embedding_backward(
    dy: &[f32],
    ids: &[i32],
    d: u32,
    sum: Float32ArraySlice,
    adds: bool,
) -> Result<()> {
    let [sum] = exclusive([sum], &[dy])?;
    elementwise::embedding_backward(dy, ids, d as usize, sum, adds);
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
