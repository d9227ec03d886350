//! Softmax cross-entropy of an unembedding with its gradients, over chunks of rows: only a chunk's logits ever exist,
//! and each chunk's are used while they are there.

use rayon::prelude::*;

use crate::matrix::{View, multiply_everywhere};
use crate::parallel::{run, vectorised};
use crate::rows::softmax_slopes;

/// A row of each of two arrays that are written.
type Pair<'a> = (&'a mut [f32], &'a mut [f32]);

/// The rows' vectors, the table that gives their logits, and what each row should have said.
pub struct Unembedding<'a> {
    pub hidden: &'a [f32],
    pub table: &'a [f32],
    pub targets: &'a [i32],
    pub vocab: usize,
}

/// loss [n] = −log softmax(hidden·tableᵀ)[target], and the gradients of weight·Σ loss. `logits` is room for as many
/// rows of a chunk as it holds.
pub fn cross_entropy(
    of: &Unembedding,
    weight: f32,
    logits: &mut [f32],
    loss: &mut [f32],
    d_hidden: &mut [f32],
    d_table: &mut [f32],
) {
    let &Unembedding {
        hidden,
        table,
        targets,
        vocab,
    } = of;
    assert!(vocab > 0 && table.len().is_multiple_of(vocab) && table.len() == d_table.len());
    let d = table.len() / vocab;
    let rows = logits.len() / vocab;
    assert!(d > 0 && rows > 0 && hidden.len() == targets.len() * d);
    assert!(d_hidden.len() == hidden.len() && loss.len() == targets.len());
    if targets.is_empty() {
        d_table.fill(0.0);
    }
    // a row's weight over its total scales d numbers of the hidden state and of its gradient, not the row's logits
    let mut factors = vec![0.0f32; rows.min(targets.len())];
    let mut scaled = vec![0.0f32; factors.len() * d];
    let is_big = hidden.len() * vocab > 1 << 17;
    run(is_big, |parallel| {
        let inputs = hidden.chunks(rows * d).zip(targets.chunks(rows));
        let outputs = d_hidden.chunks_mut(rows * d).zip(loss.chunks_mut(rows));
        for (chunk, ((hidden, targets), (d_hidden, loss))) in inputs.zip(outputs).enumerate() {
            let n = targets.len();
            let logits = &mut logits[..n * vocab];
            let hidden = View::rows(hidden, d);
            multiply_everywhere(
                hidden,
                View::transposed(table, d),
                logits,
                [n, d, vocab],
                false,
            );
            let (factors, scaled) = (&mut factors[..n], &mut scaled[..n * d]);
            softmax_slopes(logits, targets, vocab, loss, factors);
            factors
                .iter_mut()
                .for_each(|total| *total = weight / *total);
            let slopes = View::rows(logits, vocab);
            multiply_everywhere(slopes, View::rows(table, d), d_hidden, [n, vocab, d], false);
            let row = |((to, scaled), (from, &factor)): (Pair, (&[f32], &f32))| {
                vectorised(
                    #[inline(always)]
                    || {
                        for (to, (scaled, from)) in to.iter_mut().zip(scaled.iter_mut().zip(from)) {
                            *to *= factor;
                            *scaled = *from * factor;
                        }
                    },
                );
            };
            if parallel {
                d_hidden
                    .par_chunks_exact_mut(d)
                    .zip(scaled.par_chunks_exact_mut(d))
                    .zip(hidden.data.par_chunks_exact(d).zip(&*factors))
                    .with_min_len(64)
                    .for_each(row);
            } else {
                d_hidden
                    .chunks_exact_mut(d)
                    .zip(scaled.chunks_exact_mut(d))
                    .zip(hidden.data.chunks_exact(d).zip(&*factors))
                    .for_each(row);
            }
            let slopes = View::transposed(logits, vocab);
            let scaled = View::rows(scaled, d);
            multiply_everywhere(slopes, scaled, d_table, [vocab, n, d], chunk > 0);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_of_any_size_give_the_same() {
        let value = |i: usize| ((i * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0;
        let (n, d, vocab) = (7, 3, 5);
        let hidden: Vec<f32> = (0..n * d).map(value).collect();
        let table: Vec<f32> = (0..vocab * d).map(|i| value(i + 99)).collect();
        let of = Unembedding {
            hidden: &hidden,
            table: &table,
            targets: &[0, 1, 2, 3, 4, 0, 1],
            vocab,
        };
        let run = |rows: usize| {
            let mut logits = vec![f32::NAN; rows * vocab];
            let (mut loss, mut dh, mut dt) = (vec![9.0; n], vec![9.0; n * d], vec![9.0; vocab * d]);
            cross_entropy(&of, 0.5, &mut logits, &mut loss, &mut dh, &mut dt);
            [loss, dh, dt].concat()
        };
        let whole = run(n);
        for rows in [1, 3, 6, 20] {
            assert!(
                run(rows)
                    .iter()
                    .zip(&whole)
                    .all(|(a, b)| (a - b).abs() < 1e-6)
            );
        }
        // a softmax's slopes sum to zero over the vocabulary, so the table's rows cancel but for rounding
        for j in 0..d {
            let total: f32 = (0..vocab).map(|v| whole[n + n * d + v * d + j]).sum();
            assert!(total.abs() < 1e-5);
        }
    }

    #[test]
    fn no_rows_give_no_gradient() {
        let of = Unembedding {
            hidden: &[],
            table: &[1.0, 2.0],
            targets: &[],
            vocab: 2,
        };
        let mut table = [9.0; 2];
        cross_entropy(&of, 1.0, &mut [0.0; 2], &mut [], &mut [], &mut table);
        assert_eq!(table, [0.0; 2]);
    }
}
