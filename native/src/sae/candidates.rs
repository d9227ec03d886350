//! The candidates of a block of rows while its pre-activations go by: a threshold and a list for every row.
//! A TopK row's list is cut back to its k largest whenever it is full, which raises its threshold. Where values
//! are screened and may be off by a row's slack, all that may be among the k largest stay in the list.

use pulp::Simd;

use super::encode::{BlockCodes, Keep};
use super::screen::{M, Screened, WIDTH};
use crate::tile::Tile;

/// Lists of one block.
#[derive(Default)]
pub struct Candidates {
    threshold: Vec<f32>, // [rows, filled up to whole panels]
    rows: Vec<Row>,
    n: usize,
    /// How many a TopK row keeps and how long its list may grow.
    limits: Option<(usize, usize)>,
    floor: Vec<f32>, // [rows]
    slack: Vec<f32>, // [rows]; empty where values are exact
    scratch: Vec<u32>,
}

#[derive(Default)]
struct Row {
    latent: Vec<u32>,
    value: Vec<f32>,
    loose_limit: usize,
}

impl Candidates {
    /// Empties the lists, for `n` rows in panels of `padded` rows in all, and `count` latents. Values are off by
    /// at most their row's `slack`, or exact where there is none.
    pub fn reset(
        &mut self,
        n: usize,
        padded: usize,
        count: usize,
        keep: Keep,
        slack: &[f32],
        norm: &[f32],
    ) {
        self.n = n;
        self.floor.clear();
        let limits = match keep {
            Keep::Top(k, share) => {
                self.floor.extend(norm.iter().map(|norm| share * norm));
                // a list that can hold every latent is never full
                Some((k, (4 * k).max(k + 64).min(count + 1)))
            }
            Keep::AboveFloor(floor) => {
                self.floor.resize(n, floor.max(0.0));
                None
            }
            Keep::AboveEach(_) => {
                self.floor.resize(n, 0.0);
                None
            }
        };
        self.limits = limits;
        self.slack.clear();
        self.slack.extend_from_slice(slack);
        self.threshold.clear();
        self.threshold.extend_from_slice(&self.floor);
        for (threshold, slack) in self.threshold.iter_mut().zip(slack) {
            *threshold -= slack;
        }
        self.threshold.resize(padded, 0.0);
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
            row.loose_limit = 0;
        }
    }

    /// The thresholds of a panel of rows.
    #[inline(always)]
    pub fn thresholds<const N: usize>(&self, at: usize) -> &[f32; N] {
        &self.threshold[at..].as_chunks().0[0]
    }

    /// Takes the first `above` of what a screened tile has above the rows' thresholds, of its first `taken` latents.
    #[inline(always)]
    pub fn offer_screened(
        &mut self,
        tile: &Screened,
        above: usize,
        taken: usize,
        at: usize,
        ids: &[usize; M],
    ) {
        for &index in &tile.above[..above] {
            let (i, lane) = (index as usize / WIDTH, index as usize % WIDTH);
            if i >= taken {
                break;
            }
            let value = tile.sums[i][lane];
            // the row's threshold may have risen since the comparison
            if value > self.threshold[at + lane] {
                self.push(at + lane, ids[i] as u32, value);
            }
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
        let Some((k, capacity)) = self.limits else {
            return;
        };
        let length = list.value.len();
        if self.slack.is_empty() {
            if length >= capacity {
                self.threshold[row] = list.cut(k, &mut self.scratch);
            }
        } else if length >= capacity.max(list.loose_limit) {
            self.threshold[row] =
                list.loosen(k, self.floor[row], self.slack[row], &mut self.scratch);
            // what can't be told apart yet stays; the next cut waits until there is something to gain
            list.loose_limit = 2 * list.value.len();
        }
    }

    /// Moves what is kept into `out`. Screened values of TopK rows are made exact.
    #[inline(always)]
    pub fn finish<F: Fn(usize, u32) -> f32>(&mut self, out: &mut BlockCodes, exact: Option<F>) {
        out.count.clear();
        out.latent.clear();
        out.value.clear();
        out.slack.clear();
        if self.limits.is_none() {
            out.slack.extend_from_slice(&self.slack);
        }
        for (t, row) in self.rows[..self.n].iter_mut().enumerate() {
            if let Some((k, _)) = self.limits {
                if let Some(exact) = &exact {
                    let floor = self.floor[t];
                    row.loosen(k, floor, self.slack[t], &mut self.scratch);
                    row.keep(|latent, _| {
                        let value = exact(t, latent);
                        (value > floor).then_some(value)
                    });
                }
                row.cut(k, &mut self.scratch);
            }
            out.count.push(row.value.len() as u32);
            out.latent.extend_from_slice(&row.latent);
            out.value.extend_from_slice(&row.value);
        }
    }
}

/// A number that compares as the float does, negative ones too.
#[inline(always)]
pub fn sortable(value: f32) -> u32 {
    let bits = value.to_bits();
    bits ^ (((bits as i32) >> 31) as u32 | 0x8000_0000)
}

/// The float that `sortable` made the number of.
pub fn unsorted(bits: u32) -> f32 {
    f32::from_bits(bits ^ ((((bits ^ 0x8000_0000) as i32) >> 31) as u32 | 0x8000_0000))
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

    /// Drops what can't be among the k largest, values being off by at most `slack`, and returns the threshold
    /// for what comes next.
    #[inline(always)]
    fn loosen(&mut self, k: usize, floor: f32, slack: f32, scratch: &mut Vec<u32>) -> f32 {
        if k == 0 || self.value.len() < k {
            return floor - slack;
        }
        scratch.clear();
        scratch.extend(self.value.iter().map(|&value| sortable(value)));
        let (_, &mut kth, _) = scratch.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
        // k values are at least the k-th less the slack; what lies a slack below that can't reach them
        let threshold = (unsorted(kth) - 2.0 * slack).max(floor - slack);
        self.keep(|_, value| (value > threshold).then_some(value));
        threshold
    }

    /// Keeps what `choose` gives a value, in order.
    #[inline(always)]
    fn keep(&mut self, choose: impl Fn(u32, f32) -> Option<f32>) {
        let mut kept = 0;
        for i in 0..self.value.len() {
            if let Some(value) = choose(self.latent[i], self.value[i]) {
                self.value[kept] = value;
                self.latent[kept] = self.latent[i];
                kept += 1;
            }
        }
        self.value.truncate(kept);
        self.latent.truncate(kept);
    }
}
