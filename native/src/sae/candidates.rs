//! The candidates of a block of rows while its pre-activations go by: a threshold and a list for every row.
//! A TopK row's list is cut back to its k largest whenever it is full, which raises its threshold.

use pulp::Simd;

use super::encode::{BlockCodes, Keep, Tile};

/// Lists of one block.
#[derive(Default)]
pub struct Candidates {
    threshold: Vec<f32>, // [rows, filled up to whole panels]
    rows: Vec<Row>,
    n: usize,
    /// How many a TopK row keeps and how long its list may grow.
    limits: Option<(usize, usize)>,
    scratch: Vec<u32>,
}

#[derive(Default)]
struct Row {
    latent: Vec<u32>,
    value: Vec<f32>,
}

impl Candidates {
    /// Empties the lists, for `n` rows in panels of `padded` rows in all, and `count` latents.
    pub fn reset(&mut self, n: usize, padded: usize, count: usize, keep: Keep) {
        self.n = n;
        let (floor, limits) = match keep {
            // a list that can hold every latent is never full
            Keep::Top(k) => (0.0, Some((k, (4 * k).max(k + 64).min(count + 1)))),
            Keep::AboveFloor(floor) => (floor.max(0.0), None),
            Keep::AboveEach(_) => (0.0, None),
        };
        self.limits = limits;
        self.threshold.clear();
        self.threshold.resize(padded, floor);
        if limits.is_some_and(|(k, _)| k == 0) {
            self.threshold.fill(f32::INFINITY);
        }
        // rows of zeros that fill up the last panel may not be kept
        self.threshold[n..].fill(f32::INFINITY);
        if self.rows.len() < n {
            self.rows.resize_with(n, Row::default);
        }
        for row in &mut self.rows {
            row.latent.clear();
            row.value.clear();
        }
    }

    /// Takes from a tile of the first `taken` latents of `ids` and the rows from `at` on what lies above the
    /// rows' thresholds, or above the latents' `floors` where they are given.
    #[inline(always)]
    pub fn offer<S: Simd, const M: usize>(
        &mut self,
        simd: S,
        tile: &Tile<S, M>,
        taken: usize,
        at: usize,
        ids: &[usize; M],
        floors: Option<&[f32; M]>,
    ) {
        let lanes = S::F32_LANES;
        for half in 0..2 {
            let from = at + half * lanes;
            let (row_floor, _) = S::as_simd_f32s(&self.threshold[from..][..lanes]);
            let row_floor = row_floor[0];
            let mut any = simd.less_than_f32s(row_floor, tile[0][half]);
            for sums in &tile[1..] {
                any = simd.or_m32s(any, simd.less_than_f32s(row_floor, sums[half]));
            }
            if simd.first_true_m32s(any) >= lanes {
                continue;
            }
            for i in 0..taken {
                let above = simd.less_than_f32s(row_floor, tile[i][half]);
                if simd.first_true_m32s(above) >= lanes {
                    continue;
                }
                let sums = std::slice::from_ref(&tile[i][half]);
                let values: &[f32] = pulp::bytemuck::cast_slice(sums);
                let floor = floors.map_or(0.0, |floors| floors[i]);
                for (lane, &value) in values.iter().enumerate() {
                    // the row's threshold may have risen since the comparison above
                    if value > self.threshold[from + lane] && (floors.is_none() || value > floor) {
                        self.push(from + lane, ids[i] as u32, value);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn push(&mut self, row: usize, latent: u32, value: f32) {
        let list = &mut self.rows[row];
        list.latent.push(latent);
        list.value.push(value);
        if let Some((k, capacity)) = self.limits
            && list.value.len() >= capacity
        {
            self.threshold[row] = list.cut(k, &mut self.scratch);
        }
    }

    /// Moves what is kept into `out`.
    #[inline(always)]
    pub fn finish(&mut self, out: &mut BlockCodes) {
        out.count.clear();
        out.latent.clear();
        out.value.clear();
        for row in &mut self.rows[..self.n] {
            if let Some((k, _)) = self.limits {
                row.cut(k, &mut self.scratch);
            }
            out.count.push(row.value.len() as u32);
            out.latent.extend_from_slice(&row.latent);
            out.value.extend_from_slice(&row.value);
        }
    }
}

impl Row {
    /// Keeps the k largest in their order, of equal ones the first, and returns the smallest of them; 0 of fewer.
    #[inline(always)]
    fn cut(&mut self, k: usize, scratch: &mut Vec<u32>) -> f32 {
        if k == 0 || self.value.len() < k {
            return 0.0;
        }
        // positive numbers compare as their bits do
        scratch.clear();
        scratch.extend(self.value.iter().map(|value| value.to_bits()));
        let (larger, &mut smallest, _) = scratch.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
        let mut ties = k - larger.iter().filter(|&&bits| bits > smallest).count();
        let mut kept = 0;
        for i in 0..self.value.len() {
            let bits = self.value[i].to_bits();
            let is_tie = bits == smallest;
            if bits > smallest || (is_tie && ties > 0) {
                ties -= usize::from(is_tie);
                self.value[kept] = self.value[i];
                self.latent[kept] = self.latent[i];
                kept += 1;
            }
        }
        self.value.truncate(kept);
        self.latent.truncate(kept);
        f32::from_bits(smallest)
    }
}
