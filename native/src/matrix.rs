//! Products of row-major matrices (the `gemm` crate's kernels, chosen at run time), with transposed operands,
//! a bias and a batch; transposition by blocks.

use gemm::Parallelism;
use rayon::prelude::*;

use crate::parallel::{for_pieces, run};

/// One operand as it lies: `rows` × `cols` after an optional transposition, inside a wider matrix.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub data: &'a [f32],
    pub row_stride: usize,
    pub col_stride: usize,
}

impl<'a> View<'a> {
    /// A row-major matrix whose rows are `stride` apart.
    pub fn rows(data: &'a [f32], stride: usize) -> Self {
        View {
            data,
            row_stride: stride,
            col_stride: 1,
        }
    }

    /// The transpose of a row-major matrix whose rows are `stride` apart.
    pub fn transposed(data: &'a [f32], stride: usize) -> Self {
        View {
            data,
            row_stride: 1,
            col_stride: stride,
        }
    }

    fn holds(&self, rows: usize, cols: usize) -> bool {
        rows == 0
            || cols == 0
            || (rows - 1) * self.row_stride + (cols - 1) * self.col_stride < self.data.len()
    }
}

/// out [m, n] (rows `stride` apart) = scale·a·b, or that added to what is there when `accumulate`.
#[expect(clippy::too_many_arguments, reason = "a matrix product has its sizes")]
pub fn multiply(
    a: View,
    b: View,
    out: &mut [f32],
    stride: usize,
    [m, k, n]: [usize; 3],
    scale: f32,
    accumulate: bool,
    parallelism: Parallelism,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(
        a.holds(m, k) && b.holds(k, n),
        "an operand is smaller than its sizes"
    );
    assert!(
        (m - 1) * stride + n <= out.len() && stride >= n,
        "the output is smaller than its sizes"
    );
    // SAFETY: the assertions keep every address that these sizes and strides reach inside the three slices,
    // and `out` is borrowed exclusively, so that it overlaps neither operand.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// out [m, n] = a·b, or added to what is there when `accumulate`, on every thread of the pool it runs in.
pub fn multiply_everywhere(a: View, b: View, out: &mut [f32], sizes: [usize; 3], accumulate: bool) {
    let stride = sizes[2];
    multiply(a, b, out, stride, sizes, 1.0, accumulate, everywhere());
}

/// Every thread of the pool that the caller runs in.
fn everywhere() -> Parallelism {
    match rayon::current_thread_index().map(|_| rayon::current_num_threads()) {
        Some(threads) if threads > 1 => Parallelism::Rayon(threads),
        _ => Parallelism::None,
    }
}

/// Sizes of a batched product; an operand with `*_batch` 1 is shared by the whole batch.
pub struct Product {
    pub m: usize,
    pub k: usize,
    pub n: usize,
    pub batch: usize,
    pub a_batch: usize,
    pub b_batch: usize,
    pub transpose_a: bool,
    pub transpose_b: bool,
}

/// out [batch, m, n] = a·b (+ bias [n], where it isn't empty).
pub fn product(a: &[f32], b: &[f32], bias: &[f32], out: &mut [f32], p: &Product) {
    let &Product { m, k, n, .. } = p;
    if m * n == 0 {
        return;
    }
    let work = p.batch * m * k * n;
    let one = |i: usize, out: &mut [f32], parallelism: Parallelism| {
        let left = &a[(i % p.a_batch) * m * k..][..m * k];
        let right = &b[(i % p.b_batch) * k * n..][..k * n];
        if !bias.is_empty() {
            match parallelism {
                Parallelism::None => out
                    .chunks_exact_mut(n)
                    .for_each(|row| row.copy_from_slice(bias)),
                Parallelism::Rayon(_) => out
                    .par_chunks_exact_mut(n)
                    .with_min_len(64)
                    .for_each(|row| row.copy_from_slice(bias)),
            }
        }
        let left = if p.transpose_a {
            View::transposed(left, m)
        } else {
            View::rows(left, k)
        };
        let right = if p.transpose_b {
            View::transposed(right, k)
        } else {
            View::rows(right, n)
        };
        multiply(
            left,
            right,
            out,
            n,
            [m, k, n],
            1.0,
            !bias.is_empty(),
            parallelism,
        );
    };
    run(work > 1 << 17, |parallel| {
        let threads = if parallel {
            rayon::current_num_threads()
        } else {
            1
        };
        if threads > 1 && p.batch >= threads {
            out.par_chunks_mut(m * n)
                .enumerate()
                .for_each(|(i, out)| one(i, out, Parallelism::None));
        } else {
            let parallelism = if threads > 1 {
                Parallelism::Rayon(threads)
            } else {
                Parallelism::None
            };
            out.chunks_mut(m * n)
                .enumerate()
                .for_each(|(i, out)| one(i, out, parallelism));
        }
    });
}

/// out [cols, rows] = xᵀ of x [rows, cols].
pub fn transpose(x: &[f32], rows: usize, cols: usize, out: &mut [f32]) {
    const BLOCK: usize = 16;
    assert!(x.len() == rows * cols && out.len() == x.len());
    if x.is_empty() {
        return;
    }
    for_pieces(out, BLOCK * rows, |piece, out| {
        let first = piece * BLOCK;
        let width = out.len() / rows;
        for top in (0..rows).step_by(BLOCK) {
            for row in top..rows.min(top + BLOCK) {
                for (j, &value) in x[row * cols + first..][..width].iter().enumerate() {
                    out[j * rows + row] = value;
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(transpose_a: bool, transpose_b: bool) -> Product {
        Product {
            m: 2,
            k: 3,
            n: 2,
            batch: 1,
            a_batch: 1,
            b_batch: 1,
            transpose_a,
            transpose_b,
        }
    }

    #[test]
    fn products_by_hand_in_every_orientation() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0];
        let (mut at, mut bt) = ([0.0; 6], [0.0; 6]);
        transpose(&a, 2, 3, &mut at);
        transpose(&b, 3, 2, &mut bt);
        assert_eq!(at, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        for (left, right, ta, tb) in [
            (&a, &b, false, false),
            (&at, &b, true, false),
            (&a, &bt, false, true),
            (&at, &bt, true, true),
        ] {
            let mut out = [f32::NAN; 4];
            product(left, right, &[], &mut out, &sizes(ta, tb));
            assert_eq!(out, [4.0, 5.0, 10.0, 11.0]);
            product(left, right, &[1.0, -1.0], &mut out, &sizes(ta, tb));
            assert_eq!(out, [5.0, 4.0, 11.0, 10.0]);
        }
    }

    #[test]
    fn a_shared_operand_serves_the_whole_batch() {
        let p = Product {
            m: 1,
            k: 1,
            n: 1,
            batch: 2,
            a_batch: 2,
            b_batch: 1,
            transpose_a: false,
            transpose_b: false,
        };
        let mut out = [0.0; 2];
        product(&[2.0, 3.0], &[5.0], &[], &mut out, &p);
        assert_eq!(out, [10.0, 15.0]);
    }

    #[test]
    fn an_empty_inner_dimension_gives_zeros() {
        let p = Product {
            m: 1,
            k: 0,
            n: 2,
            batch: 1,
            a_batch: 1,
            b_batch: 1,
            transpose_a: false,
            transpose_b: false,
        };
        let mut out = [f32::NAN; 2];
        product(&[], &[], &[], &mut out, &p);
        assert_eq!(out, [0.0; 2]);
    }
}
