//! Weight gradients of sparse codes, the projection of the decoder's, Adam and the decoder norms, one latent
//! at a time, so that its weights and moments are read and written once. With loss = scale·Σ‖residual‖²
//! and factor = −2·scale, summed over the codes (t, f, slope) of latent i:
//!   dW_dec[i] = factor·Σ f·residual_t, dW_enc[i] = factor·Σ slope·x_t, db_enc[i] = factor·Σ slope,
//!   db_dec = factor·Σ_t residual_t − Σ_i db_enc[i]·W_enc[i], over the terms that the bias is part of; the second sum
//! is there only where the encoder reads its input less that bias.
//! A penalty Σ_i c_i·Σ_s ‖part s of W_dec[i]‖ adds c_i·part/‖part‖ to the decoder's gradient.

use rayon::prelude::*;

use super::codes::{Buckets, Codes};
use super::reconstruct::add_rows;
use crate::elementwise::{Adamw, Rates, column_sums};
use crate::math::dot;
use crate::parallel::{run, vectorised};

/// Latents in one piece of work.
const LATENTS: usize = 16;

/// A trained array with its moments.
pub struct Trained<'a> {
    pub weights: &'a mut [f32],
    pub m: &'a mut [f32],
    pub v: &'a mut [f32],
}

impl<'a> Trained<'a> {
    fn chunks(self, length: usize) -> impl Iterator<Item = Trained<'a>> {
        assert!(self.m.len() == self.weights.len() && self.v.len() == self.weights.len());
        self.weights
            .chunks_mut(length)
            .zip(self.m.chunks_mut(length).zip(self.v.chunks_mut(length)))
            .map(|(weights, (m, v))| Trained { weights, m, v })
    }

    #[inline(always)]
    fn row(&mut self, i: usize, d: usize) -> Trained<'_> {
        let at = i * d..(i + 1) * d;
        Trained {
            weights: &mut self.weights[at.clone()],
            m: &mut self.m[at.clone()],
            v: &mut self.v[at],
        }
    }

    #[inline(always)]
    fn step(&mut self, gradient: &[f32], rates: &Rates) {
        rates.step(self.weights, gradient, self.m, self.v);
    }
}

/// One term of the loss: its codes, and what their reconstruction left.
pub struct Term<'a> {
    pub codes: &'a Codes,
    pub buckets: &'a Buckets,
    pub slope: &'a [f32], // [nnz]; empty where the encoder learns nothing from the term
    pub residual: &'a [f32], // [n, d_out]
    pub scale: f64,
}

/// A penalty on the norms of the parts that decoder rows are made of.
pub struct PartPenalty {
    pub widths: Vec<u32>,       // they add up to d_out
    pub coefficients: Vec<f32>, // [d_sae]
}

/// The arrays of an SAE in training; its encoder is latent-major.
pub struct Weights<'a> {
    pub encoder: Trained<'a>,      // [d_sae, d_in]
    pub encoder_bias: Trained<'a>, // [d_sae]
    pub decoder: Trained<'a>,      // [d_sae, d_out]
    pub decoder_bias: Trained<'a>, // [d_out]
    pub norms: &'a [f32],          // [d_sae]
}

struct Piece<'a> {
    first: usize,
    encoder: Trained<'a>,
    encoder_bias: Trained<'a>,
    decoder: Trained<'a>,
    norms: &'a [f32],
    /// −Σ db_enc·W_enc over this piece.
    through_encoder: &'a mut [f32], // [d_in]
}

/// One Adam step of every array. All terms share their x; the decoder's bias is part of the first `whole` of them and,
/// with `reads_bias`, of x. Rows of the decoder are held at their norms unless those are free.
pub fn update(
    weights: Weights,
    terms: &[Term],
    whole: usize,
    x: &[f32],
    [reads_bias, is_free]: [bool; 2],
    parts: Option<&PartPenalty>,
    numbers: &Adamw,
) {
    let Weights {
        encoder,
        encoder_bias,
        decoder,
        mut decoder_bias,
        norms,
    } = weights;
    let d_out = decoder_bias.weights.len();
    let d_sae = norms.len();
    let d_in = encoder.weights.len() / d_sae;
    assert!(d_in > 0 && encoder.weights.len() == d_sae * d_in);
    assert!(d_out > 0 && decoder.weights.len() == d_sae * d_out);
    assert!(encoder_bias.weights.len() == d_sae);
    assert!(!reads_bias || d_in == d_out);
    for term in terms {
        assert!(term.residual.len() / d_out == x.len() / d_in);
        assert!(term.buckets.start.len() == d_sae + 1);
    }
    if let Some(PartPenalty {
        widths,
        coefficients,
    }) = parts
    {
        let total: usize = widths.iter().map(|&width| width as usize).sum();
        assert!(total == d_out && coefficients.len() == d_sae);
    }
    let rates = Rates::of(numbers);
    let mut through_encoder = vec![0.0f32; d_sae.div_ceil(LATENTS) * d_in];
    let pieces: Vec<Piece> = encoder
        .chunks(LATENTS * d_in)
        .zip(encoder_bias.chunks(LATENTS))
        .zip(decoder.chunks(LATENTS * d_out))
        .zip(norms.chunks(LATENTS))
        .zip(through_encoder.chunks_mut(d_in))
        .enumerate()
        .map(
            |(i, ((((encoder, encoder_bias), decoder), norms), through_encoder))| Piece {
                first: i * LATENTS,
                encoder,
                encoder_bias,
                decoder,
                norms,
                through_encoder,
            },
        )
        .collect();
    let one = |piece: Piece| {
        vectorised(
            #[inline(always)]
            || {
                let flags = [reads_bias, is_free];
                update_piece(piece, terms, x, flags, parts, [d_in, d_out], &rates)
            },
        )
    };
    run(d_sae * d_in > 1 << 14, |parallel| {
        if parallel {
            pieces.into_par_iter().for_each(one);
        } else {
            pieces.into_iter().for_each(one);
        }
    });
    let mut gradient = vec![0.0f32; d_out];
    let mut share = vec![0.0f32; d_out];
    if reads_bias {
        column_sums(&through_encoder, &mut gradient);
    }
    for term in terms[..whole]
        .iter()
        .filter(|term| !term.residual.is_empty())
    {
        column_sums(term.residual, &mut share);
        let factor = (-2.0 * term.scale) as f32;
        for (total, sum) in gradient.iter_mut().zip(&share) {
            *total += factor * sum;
        }
    }
    decoder_bias.step(&gradient, &rates);
}

#[inline(always)]
fn update_piece(
    mut piece: Piece,
    terms: &[Term],
    x: &[f32],
    [reads_bias, is_free]: [bool; 2],
    parts: Option<&PartPenalty>,
    [d_in, d_out]: [usize; 2],
    rates: &Rates,
) {
    let mut decoder_gradient = vec![0.0f32; d_out];
    let mut encoder_gradient = vec![0.0f32; d_in];
    for (i, &norm) in piece.norms.iter().enumerate() {
        decoder_gradient.fill(0.0);
        encoder_gradient.fill(0.0);
        let mut bias_gradient = 0.0;
        for term in terms {
            bias_gradient += add_term(
                term,
                piece.first + i,
                x,
                &mut decoder_gradient,
                &mut encoder_gradient,
            );
        }
        let mut encoder = piece.encoder.row(i, d_in);
        if reads_bias && bias_gradient != 0.0 {
            add_rows([&*encoder.weights], [-bias_gradient], piece.through_encoder);
        }
        encoder.step(&encoder_gradient, rates);
        piece.encoder_bias.row(i, 1).step(&[bias_gradient], rates);

        let mut decoder = piece.decoder.row(i, d_out);
        if let Some(parts) = parts {
            add_part_penalty(
                parts,
                piece.first + i,
                decoder.weights,
                &mut decoder_gradient,
            );
        }
        let squares = dot(decoder.weights, decoder.weights);
        if squares != 0.0 && !is_free {
            // what would change the row's norm is taken out
            let along = dot(&decoder_gradient, decoder.weights) / squares;
            add_rows([&*decoder.weights], [-along], &mut decoder_gradient);
        }
        decoder.step(&decoder_gradient, rates);
        let squares = dot(decoder.weights, decoder.weights);
        if squares != 0.0 && !is_free {
            let factor = norm / squares.sqrt();
            decoder.weights.iter_mut().for_each(|w| *w *= factor);
        }
    }
}

/// Adds a latent's gradient of the penalty on the norms of its decoder row's parts; a part of zeros has none.
#[inline(always)]
fn add_part_penalty(parts: &PartPenalty, latent: usize, weights: &[f32], gradient: &mut [f32]) {
    let coefficient = parts.coefficients[latent];
    if coefficient == 0.0 {
        return;
    }
    let mut from = 0;
    for &width in &parts.widths {
        let part = from..from + width as usize;
        from = part.end;
        let squares = dot(&weights[part.clone()], &weights[part.clone()]);
        if squares != 0.0 {
            let factor = coefficient / squares.sqrt();
            add_rows([&weights[part.clone()]], [factor], &mut gradient[part]);
        }
    }
}

/// Adds a latent's gradients of one term and returns that of its bias.
#[inline(always)]
fn add_term(
    term: &Term,
    latent: usize,
    x: &[f32],
    decoder: &mut [f32],
    encoder: &mut [f32],
) -> f32 {
    let (d_in, d_out) = (encoder.len(), decoder.len());
    let is_encoders = !term.slope.is_empty();
    let bucket = term.buckets.start[latent] as usize..term.buckets.start[latent + 1] as usize;
    let factor = (-2.0 * term.scale) as f32;
    let (rows, rest_rows) = term.buckets.row[bucket.clone()].as_chunks::<4>();
    let (positions, rest_positions) = term.buckets.position[bucket].as_chunks::<4>();
    let mut bias = 0.0;
    let value = |p: u32| factor * term.codes.value[p as usize];
    let slope = |p: u32| factor * term.slope[p as usize];
    let residual = |t: u32| &term.residual[t as usize * d_out..][..d_out];
    let input = |t: u32| &x[t as usize * d_in..][..d_in];
    for (&t, &p) in rows.iter().zip(positions) {
        add_rows(t.map(residual), p.map(value), decoder);
        if is_encoders {
            let slopes = p.map(slope);
            add_rows(t.map(input), slopes, encoder);
            bias += slopes[0] + slopes[1] + slopes[2] + slopes[3];
        }
    }
    for (&t, &p) in rest_rows.iter().zip(rest_positions) {
        add_rows([residual(t)], [value(p)], decoder);
        if is_encoders {
            add_rows([input(t)], [slope(p)], encoder);
            bias += slope(p);
        }
    }
    bias
}
