//! What a screen kept, made exact: pre-activations that may be among the largest are computed again in f32, and
//! the others dropped.

use rayon::prelude::*;

use super::candidates::{sortable, unsorted};
use super::encode::{BlockCodes, Encoder};
use crate::parallel::{run, vectorised};

/// A pre-activation in f32, in 64 chains.
#[inline(always)]
pub fn exact(x: &[f32], encoder: Encoder, row: usize, latent: u32) -> f32 {
    let d_in = encoder.d_in;
    let x = &x[row * d_in..][..d_in];
    let w = &encoder.weights[latent as usize * d_in..][..d_in];
    let (x_chunks, x_rest) = x.as_chunks::<64>();
    let (w_chunks, w_rest) = w.as_chunks::<64>();
    let mut lanes = [0.0f32; 64];
    for (x, w) in x_chunks.iter().zip(w_chunks) {
        for (total, (x, w)) in lanes.iter_mut().zip(x.iter().zip(w)) {
            *total += x * w;
        }
    }
    for (total, (x, w)) in lanes.iter_mut().zip(x_rest.iter().zip(w_rest)) {
        *total += x * w;
    }
    for half in [32, 16, 8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
    }
    encoder.bias[latent as usize] + lanes[0]
}

/// Makes the values of screened blocks exact, of those that can lie above `floor` and be among the `total`
/// largest; the others are dropped.
pub fn refine(
    x: &[f32],
    encoder: Encoder,
    floor: f32,
    total: usize,
    blocks: &mut [BlockCodes],
    scratch: &mut Vec<u32>,
) {
    let count: usize = blocks.iter().map(|block| block.value.len()).sum();
    let mut bound = floor;
    if total > 0 && count >= total {
        // so many are at least as large as they are for certain
        scratch.clear();
        for block in blocks.iter() {
            let mut at = 0;
            for (&count, &slack) in block.count.iter().zip(&block.slack) {
                let values = &block.value[at..at + count as usize];
                scratch.extend(values.iter().map(|value| sortable(value - slack)));
                at += count as usize;
            }
        }
        let (_, &mut least, _) = scratch.select_nth_unstable_by(total - 1, |a, b| b.cmp(a));
        bound = bound.max(unsorted(least));
    }
    let mut first = 0;
    let pieces: Vec<(usize, &mut BlockCodes)> = blocks
        .iter_mut()
        .map(|block| {
            let from = first;
            first += block.count.len();
            (from, block)
        })
        .collect();
    let one = |(first, block): (usize, &mut BlockCodes)| {
        vectorised(
            #[inline(always)]
            || {
                let (mut from, mut kept) = (0, 0);
                for (i, row_count) in block.count.iter_mut().enumerate() {
                    let to = from + *row_count as usize;
                    let start = kept;
                    for p in from..to {
                        if block.value[p] + block.slack[i] < bound {
                            continue;
                        }
                        let value = exact(x, encoder, first + i, block.latent[p]);
                        if value > floor {
                            block.latent[kept] = block.latent[p];
                            block.value[kept] = value;
                            kept += 1;
                        }
                    }
                    *row_count = (kept - start) as u32;
                    from = to;
                }
                block.latent.truncate(kept);
                block.value.truncate(kept);
                block.slack.clear();
            },
        );
    };
    run(count > 256, |parallel| {
        if parallel {
            pieces.into_par_iter().for_each(one);
        } else {
            pieces.into_iter().for_each(one);
        }
    });
}
