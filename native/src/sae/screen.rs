//! Screening of pre-activations in bf16, twice as fast as f32 where the processor has a dot product for it
//! (AVX512-BF16), and the bound that makes the selection exact: with ŵ and x̂ rounded,
//!   |w·x − ŵ·x̂| ≤ ‖w‖·‖x − x̂‖ + ‖w − ŵ‖·‖x̂‖ (Cauchy–Schwarz),
//! plus what the sums' rounding can add. Whatever the bound can't exclude is computed again in f32.

use rayon::prelude::*;

use super::encode::Encoder;
use crate::math::sum;
#[cfg(target_arch = "x86_64")]
use crate::parallel::instruction_set;
use crate::parallel::{run, vectorised};

/// Latents taken together by the product.
pub const M: usize = 14;
/// Rows of x taken together: two vectors.
pub const WIDTH: usize = 32;

/// Numbers beyond which products might overflow; nothing is screened then.
const LARGEST: f32 = 1e18;

/// An encoder rounded to bf16, two neighbouring weights in one number, and the norms for its bound.
#[derive(Default)]
pub struct Screen {
    pairs: Vec<u32>,      // [d_sae, ⌈d_in/2⌉]
    norms: Vec<[f32; 2]>, // [d_sae]: ‖w‖, ‖w − ŵ‖/‖w‖
    /// By how much a pre-activation of each row of x can be off.
    pub slack: Vec<f32>, // [n]
    width: usize,
    largest_norm: f32,
    largest_error: f32, // of ‖w − ŵ‖/‖w‖
    largest_bias: f32,
}

impl Screen {
    /// Rounds an encoder and finds the slack of rows x. Answers whether they can be screened: the processor has the
    /// instruction, it is worth it, and nothing is too large or NaN.
    pub fn take(&mut self, encoder: Encoder, x: &[f32]) -> bool {
        let is_big = x.len() >= 64 * encoder.d_in && encoder.d_in >= 32;
        if !has_instruction() || !encoder.is_latent_major || !is_big {
            return false;
        }
        self.round(encoder);
        if !(self.largest_norm < LARGEST && self.largest_bias < LARGEST) {
            return false;
        }
        let mut slack = std::mem::take(&mut self.slack);
        slack.resize(x.len() / encoder.d_in, 0.0);
        let one = |(slack, x): (&mut f32, &[f32])| {
            *slack = vectorised(
                #[inline(always)]
                || self.row_slack(x),
            )
        };
        run(x.len() > 1 << 14, |parallel| {
            if parallel {
                slack
                    .par_iter_mut()
                    .zip(x.par_chunks(encoder.d_in))
                    .with_min_len(16)
                    .for_each(one);
            } else {
                slack.iter_mut().zip(x.chunks(encoder.d_in)).for_each(one);
            }
        });
        self.slack = slack;
        self.slack.iter().all(|slack| slack.is_finite())
    }

    fn round(&mut self, encoder: Encoder) {
        let d_in = encoder.d_in;
        self.width = d_in.div_ceil(2);
        self.pairs.resize(encoder.bias.len() * self.width, 0);
        self.norms.resize(encoder.bias.len(), [0.0; 2]);
        let width = self.width;
        let one = |((pairs, norms), w): ((&mut [u32], &mut [f32; 2]), &[f32])| {
            vectorised(
                #[inline(always)]
                || {
                    for (pair, w) in pairs.iter_mut().zip(w.chunks(2)) {
                        *pair = rounded_pair(w);
                    }
                    let norm = sum(d_in, |k| f64::from(w[k]) * f64::from(w[k])).sqrt();
                    let error = sum(d_in, |k| {
                        let off = w[k] - widened(rounded(w[k]));
                        f64::from(off) * f64::from(off)
                    });
                    let ratio = if norm > 0.0 { error.sqrt() / norm } else { 0.0 };
                    *norms = [norm as f32, ratio as f32];
                },
            );
        };
        run(encoder.weights.len() > 1 << 14, |parallel| {
            if parallel {
                self.pairs
                    .par_chunks_mut(width)
                    .zip(&mut self.norms)
                    .zip(encoder.weights.par_chunks(d_in))
                    .with_min_len(16)
                    .for_each(one);
            } else {
                self.pairs
                    .chunks_mut(width)
                    .zip(&mut self.norms)
                    .zip(encoder.weights.chunks(d_in))
                    .for_each(one);
            }
        });
        // NaN must win over every number
        let largest = |a: f32, b: f32| if b > a || b.is_nan() { b } else { a };
        self.largest_norm = self.norms.iter().fold(0.0, |a, n| largest(a, n[0]));
        self.largest_error = self.norms.iter().fold(0.0, |a, n| largest(a, n[1]));
        self.largest_bias = encoder.bias.iter().fold(0.0, |a, b| largest(a, b.abs()));
    }

    pub fn row(&self, latent: usize) -> &[u32] {
        &self.pairs[latent * self.width..][..self.width]
    }

    /// Infinite for a row that is too large, NaN for one with NaN.
    #[inline(always)]
    fn row_slack(&self, x: &[f32]) -> f32 {
        let norm = sum(x.len(), |k| f64::from(x[k]) * f64::from(x[k])).sqrt() as f32;
        let error = sum(x.len(), |k| {
            let off = x[k] - widened(rounded(x[k]));
            f64::from(off) * f64::from(off)
        })
        .sqrt() as f32;
        if norm > LARGEST {
            return f32::INFINITY;
        }
        let terms = (x.len() + 8) as f32;
        // rounding of two sums of so many terms, each at most ε of what has been added up
        let sums = 2.0 * terms * f32::EPSILON * (self.largest_norm * norm + self.largest_bias);
        // numbers too small for the instruction count as zeros
        let tiny = terms * 1e-37 * (self.largest_norm + norm + 1.0);
        1.01 * (self.largest_norm * (error + self.largest_error * (norm + error)) + sums + tiny)
    }
}

/// Whether the processor has the dot product of bf16 pairs, and kernels aren't held to less.
#[cfg(target_arch = "x86_64")]
fn has_instruction() -> bool {
    instruction_set() == "avx512"
        && is_x86_feature_detected!("avx512bf16")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512cd")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_instruction() -> bool {
    false
}

/// The nearest bf16, ties to even; for finite numbers.
#[inline(always)]
fn rounded(x: f32) -> u32 {
    let bits = x.to_bits();
    (bits.wrapping_add(0x7fff + ((bits >> 16) & 1))) >> 16
}

#[inline(always)]
fn widened(bits: u32) -> f32 {
    f32::from_bits(bits << 16)
}

#[inline(always)]
fn rounded_pair(x: &[f32]) -> u32 {
    rounded(x[0]) | (x.get(1).map_or(0, |&x| rounded(x)) << 16)
}

/// The rows of x in panels `[⌈d_in/2⌉][WIDTH]` of pairs, filled up with zeros; aligned to cache lines.
#[inline(always)]
pub fn pack_pairs<'a>(x: &[f32], d_in: usize, buffer: &'a mut Vec<u32>) -> &'a [u32] {
    let pairs = d_in.div_ceil(2);
    let n = x.len() / d_in;
    let length = n.next_multiple_of(WIDTH) * pairs;
    if buffer.len() < length + 16 {
        buffer.resize(length + 16, 0);
    }
    let skip = buffer.as_ptr().align_offset(64).min(16);
    let panels = &mut buffer[skip..][..length];
    for (panel, x) in panels
        .chunks_exact_mut(WIDTH * pairs)
        .zip(x.chunks(WIDTH * d_in))
    {
        if x.len() < WIDTH * d_in {
            panel.fill(0);
        }
        for (lane, row) in x.chunks_exact(d_in).enumerate() {
            for (k, pair) in row.chunks(2).enumerate() {
                panel[k * WIDTH + lane] = rounded_pair(pair);
            }
        }
    }
    panels
}

/// A tile of pre-activations, and which of them lie above their rows' thresholds.
pub struct Screened {
    pub sums: [[f32; WIDTH]; M], // [latent][row]
    /// latent·WIDTH + row, ascending; as many as `product_of_pairs` says.
    pub above: [u32; M * WIDTH + WIDTH / 2],
}

impl Screened {
    pub fn new() -> Self {
        Self {
            sums: [[0.0; WIDTH]; M],
            above: [0; M * WIDTH + WIDTH / 2],
        }
    }
}

/// bias + ŵ·x̂ for M latents and a panel of rows; returns how many lie above their rows' thresholds.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16,popcnt")]
pub fn product_of_pairs(
    panel: &[u32],
    rows: &[&[u32]; M],
    bias: &[f32; M],
    threshold: &[f32; WIDTH],
    out: &mut Screened,
) -> usize {
    use std::arch::x86_64::{
        __m512, __m512bh, __m512i, _CMP_LT_OQ, _mm512_add_epi32, _mm512_cmp_ps_mask,
        _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_maskz_compress_epi32,
        _mm512_set1_epi32, _mm512_set1_ps, _mm512_setr_epi32, _mm512_storeu_ps,
        _mm512_storeu_si512,
    };
    const HALF: usize = WIDTH / 2;
    let (lines, _) = panel.as_chunks::<WIDTH>();
    for row in rows {
        assert!(row.len() == lines.len());
    }
    // SAFETY: both are 512 bits in which every pattern is a value.
    let pairs = |x: __m512i| unsafe { std::mem::transmute::<__m512i, __m512bh>(x) };
    let mut sums: [[__m512; 2]; M] = bias.map(|b| [_mm512_set1_ps(b); 2]);
    for (k, line) in lines.iter().enumerate() {
        // SAFETY: a line is as long as two vectors.
        let (low, high) = unsafe {
            (
                pairs(_mm512_loadu_si512(line.as_ptr().cast())),
                pairs(_mm512_loadu_si512(line.as_ptr().add(HALF).cast())),
            )
        };
        for (row, sums) in rows.iter().zip(&mut sums) {
            // SAFETY: every row is as long as there are lines, as was just asserted.
            let w = pairs(_mm512_set1_epi32(unsafe { *row.get_unchecked(k) } as i32));
            sums[0] = _mm512_dpbf16_ps(sums[0], w, low);
            sums[1] = _mm512_dpbf16_ps(sums[1], w, high);
        }
    }
    // SAFETY: there are as many thresholds as two vectors have lanes.
    let floors = unsafe {
        [
            _mm512_loadu_ps(threshold.as_ptr()),
            _mm512_loadu_ps(threshold.as_ptr().add(HALF)),
        ]
    };
    // without a branch: where few lie above, which do can't be predicted
    let mut count = 0;
    let mut index = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (sums, stored) in sums.iter().zip(&mut out.sums) {
        for half in 0..2 {
            let above = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(floors[half], sums[half]);
            // SAFETY: `stored` is as long as two vectors, and `count` is at most the number of sums that came
            // before, so that a vector more fits.
            unsafe {
                _mm512_storeu_ps(stored.as_mut_ptr().add(half * HALF), sums[half]);
                _mm512_storeu_si512(
                    out.above.as_mut_ptr().add(count).cast(),
                    _mm512_maskz_compress_epi32(above, index),
                );
            }
            count += above.count_ones() as usize;
            index = _mm512_add_epi32(index, _mm512_set1_epi32(HALF as i32));
        }
    }
    count
}
