//! The k largest pre-activations of every row, from a guessed floor on: so few lie above it that hardly a list
//! is ever cut. A row with fewer than k above its floor is done again from zero, so that the guess has no say
//! in what is kept.

use super::encode::{BlockCodes, Encoder, Keep, encode};
use super::screen::Screen;

/// The share of rows that a guess may be too high for.
const TOO_HIGH: usize = 128;

/// Encodes as `encode` does and keeps the k largest of every row. `guess` is a share of the rows' norms; returned
/// is the one that would have suited these rows, 0 where none would.
pub fn top(
    x: &[f32],
    encoder: Encoder,
    latents: Option<&[u32]>,
    k: usize,
    guess: f32,
    screen: Option<(&Screen, &[f32])>,
    blocks: &mut Vec<BlockCodes>,
) -> f32 {
    // NaN, too, guesses nothing
    let guess = if guess > 0.0 { guess } else { 0.0 };
    encode(x, encoder, latents, Keep::Top(k, guess), screen, blocks);
    if guess > 0.0 {
        let d_in = encoder.d_in;
        let counts = blocks.iter().flat_map(|block| &block.count);
        let short: Vec<usize> = counts
            .enumerate()
            .filter(|&(_, &count)| (count as usize) < k)
            .map(|(row, _)| row)
            .collect();
        let rows: Vec<f32> = short
            .iter()
            .flat_map(|&row| &x[row * d_in..][..d_in])
            .copied()
            .collect();
        let slack: Option<Vec<f32>> =
            screen.map(|(_, slack)| short.iter().map(|&row| slack[row]).collect());
        let screen = screen
            .zip(slack.as_deref())
            .map(|((screen, _), slack)| (screen, slack));
        let mut again = Vec::new();
        encode(
            &rows,
            encoder,
            latents,
            Keep::Top(k, 0.0),
            screen,
            &mut again,
        );
        replace_rows(blocks, &short, &again);
    }
    suited(blocks, k)
}

/// Puts the codes of `rows` (ascending) in the place of what the blocks have for them.
fn replace_rows(blocks: &mut [BlockCodes], rows: &[usize], by: &[BlockCodes]) {
    let mut new = by.iter().flat_map(BlockCodes::rows);
    let mut rows = rows.iter().copied().peekable();
    let mut first = 0;
    for block in blocks {
        let end = first + block.count.len();
        if rows.peek().is_some_and(|&row| row < end) {
            let (mut count, mut latent, mut value) = (Vec::new(), Vec::new(), Vec::new());
            for (i, old) in block.rows().enumerate() {
                let (latents, values) = match rows.next_if_eq(&(first + i)) {
                    Some(_) => new.next().unwrap_or(old),
                    None => old,
                };
                count.push(latents.len() as u32);
                latent.extend_from_slice(latents);
                value.extend_from_slice(values);
            }
            block.count = count;
            block.latent = latent;
            block.value = value;
        }
        first = end;
    }
}

/// A little less than what all but a few rows' k-th largest is in shares of their norms.
fn suited(blocks: &[BlockCodes], k: usize) -> f32 {
    let share = |((_, values), &norm): ((&[u32], &[f32]), &f32)| {
        let least = values.iter().fold(f32::INFINITY, |a, &b| a.min(b));
        let share = least / norm;
        if values.len() == k && share.is_finite() {
            share
        } else {
            0.0
        }
    };
    let mut shares: Vec<f32> = blocks
        .iter()
        .flat_map(|block| block.rows().zip(&block.norm).map(share))
        .collect();
    if shares.is_empty() {
        return 0.0;
    }
    let at = shares.len() / TOO_HIGH;
    0.97 * *shares.select_nth_unstable_by(at, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::super::codes::Codes;
    use super::super::encode::tests::whole;
    use super::*;

    #[test]
    fn no_guess_changes_what_is_kept() {
        let (n, d_in, d_sae) = (301, 33, 250);
        let mut x = whole(n * d_in, 1);
        // rows of zeros, of NaN, and some much smaller than the others
        x[3 * d_in..4 * d_in].fill(0.0);
        x[70 * d_in + 5] = f32::NAN;
        x[100 * d_in..110 * d_in]
            .iter_mut()
            .for_each(|x| *x = x.signum());
        let mut weights = whole(d_sae * d_in, 2);
        weights.copy_within(0..60 * d_in, 100 * d_in);
        let bias = whole(d_sae, 3);
        let encoder = Encoder {
            weights: &weights,
            bias: &bias,
            d_in,
            is_latent_major: true,
        };
        let finite: Vec<f32> = x
            .iter()
            .map(|x| if x.is_nan() { 0.0 } else { *x })
            .collect();
        for x in [&x, &finite] {
            let mut screen = Screen::default();
            let can_screen = screen.take(encoder, x);
            let screen = can_screen.then_some((&screen, screen.slack.as_slice()));
            let odd: Vec<u32> = (0..d_sae as u32).filter(|i| i % 2 == 1).collect();
            for latents in [None, Some(odd.as_slice())] {
                for k in [1, 7, 60, 125] {
                    let select = |guess: f32| {
                        let (mut blocks, mut codes) = (Vec::new(), Codes::default());
                        let next = top(x, encoder, latents, k, guess, screen, &mut blocks);
                        codes.gather(&blocks);
                        (next, codes.row_start, codes.latent, codes.value)
                    };
                    let plain = select(0.0);
                    let next = plain.0;
                    for guess in [
                        next,
                        0.5 * next,
                        3.0 * next,
                        1e9,
                        1e-9,
                        f32::INFINITY,
                        f32::NAN,
                    ] {
                        assert_eq!(select(guess), plain);
                    }
                }
            }
        }
    }

    #[test]
    fn a_guess_suits_all_rows_but_a_few() {
        let block = BlockCodes {
            count: vec![2; 128],
            latent: [0, 1].repeat(128),
            value: (0..128).flat_map(|i| [9.0, i as f32 + 1.0]).collect(),
            norm: vec![2.0; 128],
            ..BlockCodes::default()
        };
        assert_eq!(suited(std::slice::from_ref(&block), 2), 0.97 * 1.0);
        // rows with fewer than k leave nothing to guess from
        assert_eq!(suited(&[block], 3), 0.0);
        assert_eq!(suited(&[], 3), 0.0);
    }
}
