//! The encoder of a sparse autoencoder with the selection fused into its product. Rows of x lie in the lanes
//! of the vectors, latents are taken a few at a time straight from their rows of weights, and a tile of
//! pre-activations is compared with its rows' thresholds while it is in registers: only candidates are ever
//! stored. Every pre-activation is one chain of multiply-adds from its bias on, whatever the blocking and the
//! number of threads. Where a screen is given, tiles are first computed in bf16, and only what may be kept is
//! computed in f32.

use std::cell::RefCell;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::candidates::Candidates;
#[cfg(target_arch = "x86_64")]
use super::refine;
use super::screen::{self, Screen, Screened};
use crate::math::dot;
use crate::parallel::{dispatch, run};
use crate::tile::{Rows, pack_rows, product, width};

/// An encoder's weights, `[d_sae, d_in]` where `is_latent_major`, else `[d_in, d_sae]`.
#[derive(Clone, Copy)]
pub struct Encoder<'a> {
    pub weights: &'a [f32],
    pub bias: &'a [f32],
    pub d_in: usize,
    pub is_latent_major: bool,
}

impl Encoder<'_> {
    pub fn check(&self) {
        assert!(
            self.d_in > 0 && self.weights.len() == self.bias.len() * self.d_in,
            "the encoder's weights and biases don't belong together"
        );
    }
}

/// What is kept of a row of pre-activations; never what isn't positive.
#[derive(Clone, Copy)]
pub enum Keep<'a> {
    /// The k largest of those above so many times the norm of their row; of equal ones, those of the lower latents.
    Top(usize, f32),
    /// All above one floor.
    AboveFloor(f32),
    /// All above their latent's threshold.
    AboveEach(&'a [f32]),
}

/// The codes kept of a block of rows, row by row with ascending latents.
#[derive(Default)]
pub struct BlockCodes {
    pub count: Vec<u32>, // [rows of the block]
    pub latent: Vec<u32>,
    pub value: Vec<f32>,
    /// By how much a row's values may be off; empty where they are exact.
    pub slack: Vec<f32>,
    /// The norms of the rows; empty where nothing depends on them.
    pub norm: Vec<f32>,
}

impl BlockCodes {
    /// The latents and values of one row after another.
    pub fn rows(&self) -> impl Iterator<Item = (&[u32], &[f32])> {
        let mut at = 0;
        self.count.iter().map(move |&count| {
            let codes = at..at + count as usize;
            at = codes.end;
            (&self.latent[codes.clone()], &self.value[codes])
        })
    }
}

/// Buffers of one thread, kept from call to call.
#[derive(Default)]
struct Scratch {
    panels: Vec<f32>,
    pairs: Vec<u32>,
    latents: Vec<f32>,
    candidates: Candidates,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Rows in one block: a block of x stays in the second-level cache while the encoder streams past it.
pub fn block_rows(d_in: usize) -> usize {
    ((160 << 10) / d_in).clamp(64, 512) / 64 * 64
}

/// Encodes rows x [n, d_in] (centred already) and keeps what `keep` says, among `latents` where they are
/// given (ascending), else among all; `out` gets one entry for every block of rows. With a screen and the rows'
/// slack, the values kept above one floor aren't exact yet: `refine` makes them so.
pub fn encode(
    x: &[f32],
    encoder: Encoder,
    latents: Option<&[u32]>,
    keep: Keep,
    screen: Option<(&Screen, &[f32])>,
    out: &mut Vec<BlockCodes>,
) {
    encoder.check();
    let d_in = encoder.d_in;
    assert!(x.len().is_multiple_of(d_in));
    if let Some(list) = latents {
        assert!(list.iter().all(|&i| (i as usize) < encoder.bias.len()));
    }
    if let Keep::AboveEach(thresholds) = keep {
        assert!(thresholds.len() == encoder.bias.len());
    }
    let n = x.len() / d_in;
    run(x.len() * encoder.bias.len() > 1 << 17, |parallel| {
        let threads = if parallel {
            rayon::current_num_threads()
        } else {
            1
        };
        // as many blocks for one thread as for the other
        let blocks = n.div_ceil(block_rows(d_in)).next_multiple_of(threads);
        let rows = n.div_ceil(blocks.max(1)).next_multiple_of(32).max(32);
        out.resize_with(n.div_ceil(rows), BlockCodes::default);
        let one = |(i, (out, x)): (usize, (&mut BlockCodes, &[f32]))| {
            let screen =
                screen.map(|(screen, slack)| (screen, &slack[i * rows..][..x.len() / d_in]));
            SCRATCH.with_borrow_mut(|scratch| {
                dispatch(Block {
                    x,
                    encoder,
                    latents,
                    keep,
                    screen,
                    scratch,
                    out,
                });
            });
        };
        if parallel {
            out.par_iter_mut()
                .zip(x.par_chunks(rows * d_in))
                .enumerate()
                .for_each(one);
        } else {
            out.iter_mut()
                .zip(x.chunks(rows * d_in))
                .enumerate()
                .for_each(one);
        }
    });
}

struct Block<'a> {
    x: &'a [f32],
    encoder: Encoder<'a>,
    latents: Option<&'a [u32]>,
    keep: Keep<'a>,
    /// What screens the encoder, and the rows' slack.
    screen: Option<(&'a Screen, &'a [f32])>,
    scratch: &'a mut Scratch,
    out: &'a mut BlockCodes,
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        #[cfg(target_arch = "x86_64")]
        if S::F32_LANES * 2 == screen::WIDTH && self.screen.is_some() {
            self.work_screened();
            return;
        }
        // accumulators, two vectors of x and a broadcast weight fill the registers
        if S::REGISTER_COUNT >= 32 {
            self.work::<S, 14>(simd);
        } else {
            self.work::<S, 6>(simd);
        }
    }
}

impl Block<'_> {
    #[inline(always)]
    fn work<S: Simd, const M: usize>(self, simd: S) {
        let Block {
            x,
            encoder,
            latents,
            keep,
            scratch,
            out,
            ..
        } = self;
        let d_in = encoder.d_in;
        let n = x.len() / d_in;
        let width = width::<S>();
        let count = latents.map_or(encoder.bias.len(), <[u32]>::len);
        let candidates = &mut scratch.candidates;
        row_norms(x, d_in, keep, &mut out.norm);
        candidates.reset(n, n.next_multiple_of(width), count, keep, &[], &out.norm);

        let panels = pack_rows::<S>(Rows::of(x, d_in), &mut scratch.panels);
        let latent_at = |i: usize| latents.map_or(i, |list| list[i] as usize);
        let mut first = 0;
        while first < count {
            let taken = M.min(count - first);
            let ids: [usize; M] = std::array::from_fn(|i| latent_at(first + i.min(taken - 1)));
            let rows: [&[f32]; M] = if encoder.is_latent_major {
                ids.map(|i| &encoder.weights[i * d_in..][..d_in])
            } else {
                gather(&encoder, &ids, &mut scratch.latents);
                std::array::from_fn(|i| &scratch.latents[i * d_in..][..d_in])
            };
            let bias = ids.map(|i| encoder.bias[i]);
            let floors = match keep {
                // a threshold below zero keeps what is above zero, NaN keeps nothing
                Keep::AboveEach(each) => {
                    Some(ids.map(|i| if each[i] < 0.0 { 0.0 } else { each[i] }))
                }
                _ => None,
            };
            for (p, panel) in panels.chunks_exact(width * d_in).enumerate() {
                let (panel, _) = S::as_simd_f32s(panel);
                let tile = product::<S, M>(simd, panel, &rows, &bias);
                let at = p * width;
                candidates.offer::<S, M>(simd, &tile, taken, at, &ids, floors.as_ref());
            }
            first += taken;
        }
        candidates.finish(out, None::<fn(usize, u32) -> f32>);
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn work_screened(self) {
        const M: usize = screen::M;
        let Block {
            x,
            encoder,
            latents,
            keep,
            screen,
            scratch,
            out,
        } = self;
        let Some((screen, slack)) = screen else {
            return;
        };
        let d_in = encoder.d_in;
        let n = x.len() / d_in;
        let count = latents.map_or(encoder.bias.len(), <[u32]>::len);
        let candidates = &mut scratch.candidates;
        let padded = n.next_multiple_of(screen::WIDTH);
        row_norms(x, d_in, keep, &mut out.norm);
        candidates.reset(n, padded, count, keep, slack, &out.norm);

        let panels = screen::pack_pairs(x, d_in, &mut scratch.pairs);
        let latent_at = |i: usize| latents.map_or(i, |list| list[i] as usize);
        let mut tile = Screened::new();
        let mut first = 0;
        while first < count {
            let taken = M.min(count - first);
            let ids: [usize; M] = std::array::from_fn(|i| latent_at(first + i.min(taken - 1)));
            let rows = ids.map(|i| screen.row(i));
            let bias = ids.map(|i| encoder.bias[i]);
            for (p, panel) in panels
                .chunks_exact(screen::WIDTH * d_in.div_ceil(2))
                .enumerate()
            {
                let at = p * screen::WIDTH;
                let threshold = candidates.thresholds(at);
                // SAFETY: a `Screen` is made only where the processor has these instructions.
                let above =
                    unsafe { screen::product_of_pairs(panel, &rows, &bias, threshold, &mut tile) };
                candidates.offer_screened(&tile, above, taken, at, &ids);
            }
            first += taken;
        }
        let exact = |row: usize, latent: u32| refine::exact(x, encoder, row, latent);
        candidates.finish(out, Some(exact));
    }
}

/// The norms of the rows of x, where what is kept depends on them.
#[inline(always)]
fn row_norms(x: &[f32], d_in: usize, keep: Keep, out: &mut Vec<f32>) {
    out.clear();
    if let Keep::Top(..) = keep {
        let norm = |row: &[f32]| dot(row, row).sqrt();
        out.extend(x.chunks_exact(d_in).map(norm));
    }
}

/// The weights of a few latents of an encoder `[d_in, d_sae]`, one latent after another.
#[inline(always)]
fn gather<const M: usize>(encoder: &Encoder, ids: &[usize; M], out: &mut Vec<f32>) {
    let d_in = encoder.d_in;
    out.resize(M * d_in, 0.0);
    for (k, row) in encoder.weights.chunks_exact(encoder.bias.len()).enumerate() {
        for (i, &id) in ids.iter().enumerate() {
            out[i * d_in + k] = row[id];
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::codes::Codes;
    use super::super::refine::refine;
    use super::*;

    /// Whole numbers too large for bf16 whose products' sums are exact in f32: both forms must agree to the bit,
    /// with many ties.
    pub fn whole(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) % 601) as f32 - 300.0
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn what_a_screen_leaves_is_what_f32_selects() {
        let (n, d_in, d_sae, k) = (101, 33, 250, 7);
        let x = whole(n * d_in, 1);
        let mut weights = whole(d_sae * d_in, 2);
        // equal latents tie in every row
        weights.copy_within(0..60 * d_in, 100 * d_in);
        let bias = whole(d_sae, 3);
        let encoder = Encoder {
            weights: &weights,
            bias: &bias,
            d_in,
            is_latent_major: true,
        };
        let mut screen = Screen::default();
        if !screen.take(encoder, &x) {
            return;
        }
        let run = |keep, screen: Option<&Screen>, total: usize| {
            let (mut blocks, mut codes, mut scratch) = (Vec::new(), Codes::default(), Vec::new());
            let slack = screen.map(|screen| (screen, screen.slack.as_slice()));
            encode(&x, encoder, None, keep, slack, &mut blocks);
            if let (Keep::AboveFloor(floor), Some(_)) = (keep, screen) {
                refine(&x, encoder, floor, total, &mut blocks, &mut scratch);
            }
            codes.gather_largest(&blocks, total, &mut scratch);
            (codes.row_start, codes.latent, codes.value)
        };
        for k in [1, k, d_sae] {
            let plain = run(Keep::Top(k, 0.0), None, usize::MAX);
            assert_eq!(run(Keep::Top(k, 0.0), Some(&screen), usize::MAX), plain);
        }
        for (floor, total) in [(0.0, 300), (0.0, n * d_sae), (2e5, 500), (9e9, 5)] {
            let plain = run(Keep::AboveFloor(floor), None, total);
            assert_eq!(run(Keep::AboveFloor(floor), Some(&screen), total), plain);
        }
    }

    #[test]
    fn what_cannot_be_bounded_is_not_screened() {
        let (d_in, d_sae) = (32, 3);
        let bias = [0.0; 3];
        for bad in [f32::NAN, f32::INFINITY, 1e30] {
            let (good_x, good_weights) = (vec![1.0; 64 * d_in], vec![1.0; d_sae * d_in]);
            let (mut bad_x, mut bad_weights) = (good_x.clone(), good_weights.clone());
            bad_x[70] = bad;
            bad_weights[40] = bad;
            for (weights, x) in [(&good_weights, &bad_x), (&bad_weights, &good_x)] {
                let encoder = Encoder {
                    weights,
                    bias: &bias,
                    d_in,
                    is_latent_major: true,
                };
                assert!(!Screen::default().take(encoder, x));
            }
        }
    }
}
