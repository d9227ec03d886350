//! Sparse autoencoders: encoding with fused selection, sparse decoding, and training steps. An `SaeWork` keeps a
//! batch's centred rows, codes, residuals and slopes between the parts of a step, and its buffers between steps.

mod candidates;
mod codes;
mod encode;
mod reconstruct;
mod refine;
mod screen;
mod select;
mod top;
mod update;

use napi::bindgen_prelude::{Error, Float32ArraySlice, Int32ArraySlice, Result};
use napi_derive::napi;

use crate::elementwise::Adamw;
use crate::exclusive;
use codes::{Buckets, Codes};
use encode::BlockCodes;
use reconstruct::residual_and_slopes;
use screen::Screen;
use update::{PartPenalty, Term, Trained, Weights, update};

/// One term of the loss.
#[derive(Default)]
struct Part {
    codes: Codes,
    buckets: Buckets,
    residual: Vec<f32>, // [n, d_out]
    slope: Vec<f32>,    // [nnz]
}

/// A batch between the parts of a step.
#[napi]
#[derive(Default)]
pub struct SaeWork {
    x: Vec<f32>, // [n, d_in], centred
    d_in: usize,
    /// What the codes are to make up, where that is not x.
    goal: Option<Vec<f32>>, // [n, d_out]
    main: Part,
    aux: Part,
    has_aux: bool,
    /// Reconstructions from the first latents only; the first `n_prefixes` are this batch's.
    prefixes: Vec<Part>,
    n_prefixes: usize,
    /// The main codes' support with other values, which train the decoder too where they are a term of the loss.
    other: Part,
    has_other: bool,
    /// Of the next update.
    parts: Option<PartPenalty>,
    blocks: Vec<BlockCodes>,
    scratch: Vec<u32>,
    screen: Screen,
}

#[napi]
impl SaeWork {
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes rows [n, d_in] less the decoder's bias as the batch.
    #[napi(catch_unwind)]
    pub fn center(&mut self, rows: &[f32], bias: &[f32]) {
        let d_in = bias.len();
        assert!(
            d_in > 0 && rows.len().is_multiple_of(d_in),
            "the rows and the bias differ in width"
        );
        self.d_in = d_in;
        self.has_aux = false;
        self.has_other = false;
        self.n_prefixes = 0;
        self.goal = None;
        self.x.clear();
        self.x.reserve(rows.len());
        for row in rows.chunks_exact(d_in) {
            self.x.extend(row.iter().zip(bias).map(|(x, b)| x - b));
        }
    }

    /// Has the codes make up `goal` [n, d_out] in place of the centred rows, until the next batch.
    #[napi(catch_unwind)]
    pub fn aim(&mut self, goal: &[f32]) {
        let n = self.x.len() / self.d_in;
        assert!(
            n > 0 && goal.len().is_multiple_of(n),
            "the goal has other rows than the batch"
        );
        self.goal = Some(goal.to_vec());
    }

    /// Copies the codes of the first term, or of the second.
    #[napi(catch_unwind)]
    pub fn copy_codes(
        &self,
        aux: bool,
        row_start: Int32ArraySlice,
        latent: Int32ArraySlice,
        value: Float32ArraySlice,
    ) -> Result<()> {
        let codes = if aux {
            &self.aux.codes
        } else {
            &self.main.codes
        };
        let [value] = exclusive([value], &[])?;
        copy_whole(&codes.row_start, row_start)?;
        copy_whole(&codes.latent, latent)?;
        value
            .get_mut(..codes.value.len())
            .ok_or_else(|| Error::from_reason("an output is shorter than the codes"))?
            .copy_from_slice(&codes.value);
        Ok(())
    }

    /// Takes other values for the codes of the first term.
    #[napi(catch_unwind)]
    pub fn set_values(&mut self, values: &[f32]) {
        self.main.codes.value.copy_from_slice(values);
    }

    /// Residuals and slopes: of the first term, of its codes below each width by themselves, and of the second
    /// term, which reconstructs the first's residual. Returns the sums of squares of the first, the second and
    /// all the narrower ones.
    #[napi(catch_unwind)]
    pub fn residual(&mut self, decoder: &[f32], widths: &[u32]) -> Vec<f64> {
        let d_out = self.d_out();
        let Self {
            x,
            goal,
            main,
            aux,
            has_aux,
            prefixes,
            n_prefixes,
            ..
        } = self;
        let goal: &[f32] = goal.as_deref().unwrap_or(x);
        *n_prefixes = widths.len();
        if prefixes.len() < widths.len() {
            prefixes.resize_with(widths.len(), Part::default);
        }
        let mut narrower = 0.0;
        for (part, &width) in prefixes.iter_mut().zip(widths) {
            part.codes.take_prefix(&main.codes, width);
            narrower += part.reconstruct(decoder, d_out, goal);
        }
        let squares = main.reconstruct(decoder, d_out, goal);
        let left = if *has_aux {
            aux.reconstruct(decoder, d_out, &main.residual)
        } else {
            0.0
        };
        vec![squares, left, narrower]
    }

    /// Copies the first term's slopes into the beginning of an array.
    #[napi(catch_unwind)]
    pub fn copy_slopes(&self, out: Float32ArraySlice) -> Result<()> {
        let [out] = exclusive([out], &[])?;
        out.get_mut(..self.main.slope.len())
            .ok_or_else(|| Error::from_reason("the output is shorter than the codes"))?
            .copy_from_slice(&self.main.slope);
        Ok(())
    }

    /// Copies the sum of the residuals of the first term, of the narrower ones and of other values that train, [n, d_out].
    #[napi(catch_unwind)]
    pub fn copy_residual(&self, out: Float32ArraySlice) -> Result<()> {
        let [out] = exclusive([out], &[])?;
        if out.len() != self.main.residual.len() {
            return Err(Error::from_reason("the output has not the residual's size"));
        }
        out.copy_from_slice(&self.main.residual);
        let other = self.has_other.then_some(&self.other);
        for part in self.prefixes[..self.n_prefixes].iter().chain(other) {
            for (total, r) in out.iter_mut().zip(&part.residual) {
                *total += r;
            }
        }
        Ok(())
    }

    /// Takes other slopes for the first term.
    #[napi(catch_unwind)]
    pub fn set_slopes(&mut self, slopes: &[f32]) {
        self.main.slope.copy_from_slice(slopes);
    }

    /// What the first term's codes leave with other values: writes the slopes, returns the sum of squares. Where
    /// they train, the next update's decoder and its bias learn from them as from the first term.
    #[napi(catch_unwind)]
    pub fn evaluate(
        &mut self,
        decoder: &[f32],
        values: &[f32],
        train: bool,
        slopes: Float32ArraySlice,
    ) -> Result<f64> {
        let [slopes] = exclusive([slopes], &[decoder, values])?;
        self.has_other = train;
        self.other.codes.take_prefix(&self.main.codes, u32::MAX);
        self.other.codes.value.copy_from_slice(values);
        let d_out = self.d_out();
        let goal = self.goal.as_deref().unwrap_or(&self.x);
        let squares = self.other.reconstruct(decoder, d_out, goal);
        slopes
            .get_mut(..self.other.slope.len())
            .ok_or_else(|| Error::from_reason("the output is shorter than the codes"))?
            .copy_from_slice(&self.other.slope);
        Ok(squares)
    }

    /// A penalty on the norms of the parts that decoder rows are made of, for the next update: the parts' widths,
    /// which add up to d_out, and a coefficient a latent.
    #[napi(catch_unwind)]
    pub fn penalise_parts(&mut self, widths: &[u32], coefficients: &[f32]) {
        self.parts = Some(PartPenalty {
            widths: widths.to_vec(),
            coefficients: coefficients.to_vec(),
        });
    }

    /// One Adam step. The arrays are [W_enc, b_enc, W_dec, b_dec], their first moments and their second
    /// moments; numbers are [lr, beta1, beta2, eps, step, scale of the first term, of the second, 1 where the encoder
    /// reads its input less b_dec and 0 where it doesn't, 1 where the decoder's norms are free and
    /// 0 where they are held at `norms`].
    #[napi(catch_unwind)]
    pub fn update(
        &mut self,
        arrays: Vec<Float32ArraySlice>,
        norms: &[f32],
        numbers: &[f64],
    ) -> Result<()> {
        let arrays = <[Float32ArraySlice; 12]>::try_from(arrays)
            .map_err(|_| Error::from_reason("expected four arrays with two moments each"))?;
        let [w0, w1, w2, w3, m0, m1, m2, m3, v0, v1, v2, v3] = exclusive(arrays, &[norms])?;
        let penalty = self.parts.take();
        let trained = |weights, m, v| Trained { weights, m, v };
        let [
            lr,
            beta1,
            beta2,
            eps,
            step,
            scale,
            aux_scale,
            reads_bias,
            is_free,
        ] = std::array::from_fn(|i| numbers[i]);
        let weights = Weights {
            encoder: trained(w0, m0, v0),
            encoder_bias: trained(w1, m1, v1),
            decoder: trained(w2, m2, v2),
            decoder_bias: trained(w3, m3, v3),
            norms,
        };
        let numbers = Adamw {
            lr,
            beta1,
            beta2,
            eps,
            weight_decay: 0.0,
            step,
            scale: 1.0,
        };
        let prefixes = &mut self.prefixes[..self.n_prefixes];
        for part in std::iter::once(&mut self.main).chain(&mut *prefixes) {
            part.buckets.fill(&part.codes, norms.len());
        }
        let mut terms = vec![self.main.term(scale)];
        terms.extend(prefixes.iter().map(|part| part.term(scale)));
        if self.has_other {
            terms.push(Term {
                codes: &self.other.codes,
                residual: &self.other.residual,
                slope: &[], // the caller added them to the first term's
                ..terms[0]
            });
        }
        let whole = terms.len();
        if self.has_aux {
            self.aux.buckets.fill(&self.aux.codes, norms.len());
            terms.push(self.aux.term(aux_scale));
        }
        let flags = [reads_bias != 0.0, is_free != 0.0];
        update(
            weights,
            &terms,
            whole,
            &self.x,
            flags,
            penalty.as_ref(),
            &numbers,
        );
        Ok(())
    }
}

impl SaeWork {
    fn d_out(&self) -> usize {
        self.goal
            .as_ref()
            .map_or(self.d_in, |goal| goal.len() / (self.x.len() / self.d_in))
    }
}

impl Part {
    fn reconstruct(&mut self, decoder: &[f32], d_out: usize, target: &[f32]) -> f64 {
        self.residual.resize(target.len(), 0.0);
        self.slope.resize(self.codes.latent.len(), 0.0);
        residual_and_slopes(
            &self.codes,
            decoder,
            d_out,
            target,
            &mut self.residual,
            &mut self.slope,
        )
    }

    fn term(&self, scale: f64) -> Term<'_> {
        Term {
            codes: &self.codes,
            buckets: &self.buckets,
            slope: &self.slope,
            residual: &self.residual,
            scale,
        }
    }
}

/// Copies indices into the beginning of an array of the caller.
fn copy_whole(from: &[u32], to: Int32ArraySlice) -> Result<()> {
    if to.len() < from.len() {
        return Err(Error::from_reason("an output is shorter than the codes"));
    }
    if !from.is_empty() {
        // SAFETY: napi hands out a pointer to at least this many numbers of an array that lives as long as the
        // call's arguments; no Rust reference to it is used while they are written, and an i32 is as wide as a u32.
        unsafe {
            to.as_ptr()
                .cast_mut()
                .copy_from(from.as_ptr().cast(), from.len())
        };
    }
    Ok(())
}

/// Σ‖x − mean‖² over rows x [n, d].
#[napi(catch_unwind)]
pub fn total_variance(x: &[f32], d: u32) -> f64 {
    reconstruct::total_variance(x, d as usize)
}

/// out = Σ f·W_dec + b_dec for every row of codes.
#[napi(catch_unwind)]
pub fn sae_decode(
    row_start: &[i32],
    latent: &[i32],
    value: &[f32],
    decoder: &[f32],
    bias: &[f32],
    out: Float32ArraySlice,
) -> Result<()> {
    let [out] = exclusive([out], &[value, decoder, bias])?;
    let latent: Vec<u32> = latent.iter().map(|&i| i as u32).collect();
    reconstruct::decode(row_start, &latent, value, decoder, bias, out);
    Ok(())
}
