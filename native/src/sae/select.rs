//! Which pre-activations of a batch become codes: the largest of each row, those above their latents' thresholds, the
//! largest of the whole batch, or the largest among latents that are given.

use napi_derive::napi;

use super::SaeWork;
use super::encode::{Encoder, Keep, block_rows, encode};
use super::refine::refine;
use super::top::top;

#[napi]
impl SaeWork {
    /// The k largest pre-activations of every row. `guess`, if positive, times a row's norm is a value hoped to
    /// be below them, which saves time. Returns how many codes there are and a guess for rows like these.
    #[napi(catch_unwind)]
    pub fn select_top(
        &mut self,
        weights: &[f32],
        bias: &[f32],
        is_latent_major: bool,
        k: u32,
        guess: f64,
    ) -> Vec<f64> {
        let encoder = self.encoder(weights, bias, is_latent_major);
        let can_screen = self.screen.take(encoder, &self.x);
        let screen = can_screen.then_some((&self.screen, self.screen.slack.as_slice()));
        let blocks = &mut self.blocks;
        let guess = top(
            &self.x,
            encoder,
            None,
            k as usize,
            guess as f32,
            screen,
            blocks,
        );
        self.main.codes.gather(&self.blocks);
        vec![self.main.codes.latent.len() as f64, f64::from(guess)]
    }

    /// The pre-activations above their latents' thresholds; returns how many codes there are.
    #[napi(catch_unwind)]
    pub fn select_above(
        &mut self,
        weights: &[f32],
        bias: &[f32],
        is_latent_major: bool,
        threshold: &[f32],
    ) -> u32 {
        let encoder = self.encoder(weights, bias, is_latent_major);
        encode(
            &self.x,
            encoder,
            None,
            Keep::AboveEach(threshold),
            None,
            &mut self.blocks,
        );
        self.main.codes.gather(&self.blocks);
        self.main.codes.latent.len() as u32
    }

    /// The `total` largest pre-activations of the batch. `guess`, if positive, is a value hoped to be below
    /// them, which saves time. Returns how many codes there are and the smallest of them, 0 of none.
    #[napi(catch_unwind)]
    pub fn select_largest(
        &mut self,
        weights: &[f32],
        bias: &[f32],
        is_latent_major: bool,
        total: u32,
        guess: f64,
    ) -> Vec<f64> {
        let encoder = self.encoder(weights, bias, is_latent_major);
        let total = total as usize;
        let can_screen = self.screen.take(encoder, &self.x);
        let mut floor = if guess > 0.0 {
            guess as f32
        } else {
            0.8 * self.sampled_floor(encoder, total)
        };
        let least = loop {
            encode(
                &self.x,
                encoder,
                None,
                Keep::AboveFloor(floor),
                can_screen.then_some((&self.screen, self.screen.slack.as_slice())),
                &mut self.blocks,
            );
            if can_screen {
                refine(
                    &self.x,
                    encoder,
                    floor,
                    total,
                    &mut self.blocks,
                    &mut self.scratch,
                );
            }
            let count: usize = self.blocks.iter().map(|block| block.value.len()).sum();
            if count >= total || floor == 0.0 {
                break self
                    .main
                    .codes
                    .gather_largest(&self.blocks, total, &mut self.scratch);
            }
            // once more with half the floor, then with none
            floor = if floor == guess as f32 {
                0.5 * floor
            } else {
                0.0
            };
        };
        vec![self.main.codes.latent.len() as f64, f64::from(least)]
    }

    /// The k largest pre-activations of every row among the given latents (ascending), as the codes of the
    /// second term; returns how many there are. The encoder is latent-major.
    #[napi(catch_unwind)]
    pub fn select_aux(&mut self, weights: &[f32], bias: &[f32], latents: &[i32], k: u32) -> u32 {
        let encoder = self.encoder(weights, bias, true);
        let latents: Vec<u32> = latents.iter().map(|&i| i as u32).collect();
        encode(
            &self.x,
            encoder,
            Some(&latents),
            Keep::Top(k as usize, 0.0),
            None,
            &mut self.blocks,
        );
        self.aux.codes.gather(&self.blocks);
        self.has_aux = true;
        self.aux.codes.latent.len() as u32
    }
}

impl SaeWork {
    fn encoder<'a>(
        &self,
        weights: &'a [f32],
        bias: &'a [f32],
        is_latent_major: bool,
    ) -> Encoder<'a> {
        Encoder {
            weights,
            bias,
            d_in: self.d_in,
            is_latent_major,
        }
    }

    /// The value above which the first block of rows has its share of `total`; 0 where it has fewer.
    fn sampled_floor(&mut self, encoder: Encoder, total: usize) -> f32 {
        let n = self.x.len() / self.d_in;
        let rows = n.min(block_rows(self.d_in));
        let share = (total * rows).div_ceil(n.max(1));
        let x = &self.x[..rows * self.d_in];
        encode(
            x,
            encoder,
            None,
            Keep::AboveFloor(0.0),
            None,
            &mut self.blocks,
        );
        let Self {
            main,
            blocks,
            scratch,
            ..
        } = self;
        let count: usize = blocks.iter().map(|block| block.value.len()).sum();
        if count < share {
            return 0.0;
        }
        main.codes.gather_largest(blocks, share, scratch)
    }
}
