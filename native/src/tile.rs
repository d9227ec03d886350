//! Products of matrices that stay in a core's caches, one register tile at a time: M rows of the left matrix times
//! two vectors of columns of the right one, which is packed in panels of that width. Every sum is one chain of
//! multiply-adds in the order of its terms, whatever the blocking.

use pulp::Simd;

/// `[row of the left matrix][first or second vector of columns]`.
pub type Tile<S, const M: usize> = [[<S as Simd>::f32s; 2]; M];

/// Columns of a panel: the numbers in two vectors.
#[inline(always)]
pub fn width<S: Simd>() -> usize {
    2 * S::F32_LANES
}

/// start + rows·panel for M rows; each row is as long as the panel `[k][width]` is deep.
#[inline(always)]
pub fn product<S: Simd, const M: usize>(
    simd: S,
    panel: &[S::f32s],
    rows: &[&[f32]; M],
    start: &[f32; M],
) -> Tile<S, M> {
    let (pairs, _) = panel.as_chunks::<2>();
    for row in rows {
        assert!(row.len() == pairs.len());
    }
    let mut tile = start.map(|start| [simd.splat_f32s(start); 2]);
    for (k, &[low, high]) in pairs.iter().enumerate() {
        for (row, sums) in rows.iter().zip(tile.iter_mut()) {
            // SAFETY: every row is as long as `pairs`, as was just asserted.
            let x = simd.splat_f32s(unsafe { *row.get_unchecked(k) });
            sums[0] = simd.mul_add_e_f32s(x, low, sums[0]);
            sums[1] = simd.mul_add_e_f32s(x, high, sums[1]);
        }
    }
    tile
}

/// leftᵀ·panel for the first M columns of `left`, whose rows are `stride` apart and as many as the panel is deep.
#[inline(always)]
pub fn product_of_columns<S: Simd, const M: usize>(
    simd: S,
    panel: &[S::f32s],
    left: &[f32],
    stride: usize,
) -> Tile<S, M> {
    let (pairs, _) = panel.as_chunks::<2>();
    assert!(pairs.is_empty() || (pairs.len() - 1) * stride + M <= left.len());
    let mut tile = [[simd.splat_f32s(0.0); 2]; M];
    for (k, &[low, high]) in pairs.iter().enumerate() {
        // SAFETY: the last of these ends inside `left`, as was just asserted.
        let numbers = unsafe { left.get_unchecked(k * stride..k * stride + M) };
        for (&x, sums) in numbers.iter().zip(tile.iter_mut()) {
            let x = simd.splat_f32s(x);
            sums[0] = simd.mul_add_e_f32s(x, low, sums[0]);
            sums[1] = simd.mul_add_e_f32s(x, high, sums[1]);
        }
    }
    tile
}

/// Writes a tile's rows to rows of `out` that are `stride` apart, as many as there are.
#[inline(always)]
pub fn store<S: Simd, const M: usize>(tile: &Tile<S, M>, out: &mut [f32], stride: usize) {
    for (sums, row) in tile.iter().zip(out.chunks_mut(stride)) {
        let (row, _) = S::as_mut_simd_f32s(&mut row[..width::<S>()]);
        for (to, &sum) in row.iter_mut().zip(sums) {
            *to = sum;
        }
    }
}

/// Adds a tile's rows to rows of `out` that are `stride` apart.
#[inline(always)]
pub fn add<S: Simd, const M: usize>(simd: S, tile: &Tile<S, M>, out: &mut [f32], stride: usize) {
    for (sums, row) in tile.iter().zip(out.chunks_mut(stride)) {
        let (row, _) = S::as_mut_simd_f32s(&mut row[..width::<S>()]);
        for (total, &sum) in row.iter_mut().zip(sums) {
            *total = simd.add_f32s(*total, sum);
        }
    }
}

/// `length` numbers of the buffer, whatever is in them, from the beginning of a cache line.
pub fn aligned(buffer: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if buffer.len() < length + 16 {
        buffer.resize(length + 16, 0.0);
    }
    let skip = buffer.as_ptr().align_offset(64).min(16);
    &mut buffer[skip..][..length]
}

/// n rows of d numbers, `stride` apart.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub data: &'a [f32],
    pub stride: usize,
    pub n: usize,
    pub d: usize,
}

impl<'a> Rows<'a> {
    /// Of a matrix that has nothing between its rows.
    pub fn of(data: &'a [f32], d: usize) -> Self {
        let n = data.len() / d;
        Rows {
            data,
            stride: d,
            n,
            d,
        }
    }

    #[inline(always)]
    pub fn row(&self, i: usize) -> &'a [f32] {
        &self.data[i * self.stride..][..self.d]
    }
}

/// The transpose of x in panels: `[d][width]` with rows of x for columns, the last one filled up with zeros.
#[inline(always)]
pub fn pack_rows<'a, S: Simd>(x: Rows, buffer: &'a mut Vec<f32>) -> &'a [f32] {
    let Rows { n, d, .. } = x;
    let width = width::<S>();
    let panels = aligned(buffer, n.next_multiple_of(width) * d);
    for (p, panel) in panels.chunks_exact_mut(width * d).enumerate() {
        let first = p * width;
        let taken = width.min(n - first);
        if taken < width {
            panel.fill(0.0);
        }
        // by squares of a cache line's width, so that every line is filled while it is at hand
        for from in (0..d).step_by(16) {
            let to = d.min(from + 16);
            for lane in 0..taken {
                let row = x.row(first + lane);
                for (k, &value) in (from..to).zip(&row[from..to]) {
                    panel[k * width + lane] = value;
                }
            }
        }
    }
    panels
}

/// x in panels `[n][width]` of its columns, the last one filled up with zeros.
#[inline(always)]
pub fn pack_columns<'a, S: Simd>(x: Rows, buffer: &'a mut Vec<f32>) -> &'a [f32] {
    let Rows { n, d, .. } = x;
    let width = width::<S>();
    let panels = aligned(buffer, d.next_multiple_of(width) * n);
    for (i, panel) in panels.chunks_exact_mut((n * width).max(1)).enumerate() {
        let first = i * width;
        let taken = width.min(d - first);
        for (r, to) in panel.chunks_exact_mut(width).enumerate() {
            let from = &x.row(r)[first..first + taken];
            if taken == width {
                copy::<S>(from, to);
            } else {
                to[..taken].copy_from_slice(from);
                to[taken..].fill(0.0);
            }
        }
    }
    panels
}

/// Copies a row by its vectors: a call of memmove costs more than a few of them.
#[inline(always)]
pub fn copy<S: Simd>(from: &[f32], to: &mut [f32]) {
    let (vectors, rest) = S::as_simd_f32s(from);
    let (to_vectors, to_rest) = S::as_mut_simd_f32s(to);
    for (to, &from) in to_vectors.iter_mut().zip(vectors) {
        *to = from;
    }
    for (to, &from) in to_rest.iter_mut().zip(rest) {
        *to = from;
    }
}

#[cfg(test)]
mod tests {
    use pulp::{Simd, WithSimd};

    use super::*;
    use crate::parallel::dispatch;

    /// out [rows, n] = left [rows, k] · right [k, n], and the same of leftᵀ as it lies, for 3 rows.
    struct Both<'a> {
        left: &'a [f32],
        turned: &'a [f32],
        right: &'a [f32],
        n: usize,
    }

    impl WithSimd for Both<'_> {
        type Output = [Vec<f32>; 3];

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> [Vec<f32>; 3] {
            let k = self.right.len() / self.n;
            let width = width::<S>();
            let stride = self.n.next_multiple_of(width);
            let mut outs: [Vec<f32>; 3] = std::array::from_fn(|_| vec![0.0; 3 * stride]);
            let mut turned_right = vec![0.0; self.right.len()];
            crate::matrix::transpose(self.right, k, self.n, &mut turned_right);
            let (mut columns, mut rows) = (Vec::new(), Vec::new());
            let columns = pack_columns::<S>(Rows::of(self.right, self.n), &mut columns);
            let rows = pack_rows::<S>(Rows::of(&turned_right, k), &mut rows);
            assert_eq!(columns, rows);
            let lefts: [&[f32]; 3] = std::array::from_fn(|i| &self.left[i * k..][..k]);
            for (p, panel) in columns.chunks_exact(k * width).enumerate() {
                let (panel, _) = S::as_simd_f32s(panel);
                let straight = product::<S, 3>(simd, panel, &lefts, &[0.5; 3]);
                let turned = product_of_columns::<S, 3>(simd, panel, self.turned, 3);
                store::<S, 3>(&straight, &mut outs[0][p * width..], stride);
                store::<S, 3>(&turned, &mut outs[1][p * width..2 * stride], stride);
                add::<S, 3>(simd, &turned, &mut outs[2][p * width..], stride);
                add::<S, 3>(simd, &turned, &mut outs[2][p * width..], stride);
            }
            outs.map(|out| {
                out.chunks_exact(stride)
                    .flat_map(|row| row[..self.n].to_vec())
                    .collect()
            })
        }
    }

    #[test]
    fn tiles_agree_with_the_obvious_sums() {
        let whole = |n: usize, of: usize| -> Vec<f32> {
            (0..n).map(|i| ((i * i + of) % 11) as f32 - 5.0).collect()
        };
        for (k, n) in [(1, 1), (5, 3), (19, 40), (16, 64)] {
            let (left, right) = (whole(3 * k, 1), whole(k * n, 2));
            let mut turned = vec![0.0; 3 * k];
            crate::matrix::transpose(&left, 3, k, &mut turned);
            let want: Vec<f32> = (0..3 * n)
                .map(|at| {
                    let (row, column) = (at / n, at % n);
                    (0..k)
                        .map(|i| left[row * k + i] * right[i * n + column])
                        .sum()
                })
                .collect();
            let [straight, turned, twice] = dispatch(Both {
                left: &left,
                turned: &turned,
                right: &right,
                n,
            });
            assert!(
                straight
                    .iter()
                    .zip(&want)
                    .all(|(got, want)| *got == want + 0.5)
            );
            assert_eq!(turned[..2 * n], want[..2 * n]);
            assert_eq!(turned[2 * n..], vec![0.0; n]);
            assert!(
                twice
                    .iter()
                    .zip(&want)
                    .all(|(got, want)| *got == 2.0 * want)
            );
        }
    }
}
