//! Sparse codes by row (CSR), and regrouped by latent (a stable counting sort) so that a latent's weights are
//! touched once a step.

use super::encode::BlockCodes;

/// The codes of n rows; buffers are kept from step to step.
#[derive(Default)]
pub struct Codes {
    pub row_start: Vec<u32>, // [n + 1]
    pub latent: Vec<u32>,    // [nnz]
    pub value: Vec<f32>,     // [nnz]
}

impl Codes {
    pub fn clear(&mut self) {
        self.row_start.clear();
        self.row_start.push(0);
        self.latent.clear();
        self.value.clear();
    }

    /// The codes of one block of rows after another.
    pub fn gather(&mut self, blocks: &[BlockCodes]) {
        self.clear();
        for block in blocks {
            let mut at = self.latent.len() as u32;
            self.row_start.extend(block.count.iter().map(|&count| {
                at += count;
                at
            }));
            self.latent.extend_from_slice(&block.latent);
            self.value.extend_from_slice(&block.value);
        }
    }

    /// The codes of another's latents below `width`; latents ascend within a row.
    pub fn take_prefix(&mut self, from: &Codes, width: u32) {
        self.clear();
        for ends in from.row_start.windows(2) {
            let row = ends[0] as usize..ends[1] as usize;
            let kept = from.latent[row.clone()].partition_point(|&latent| latent < width);
            let row = row.start..row.start + kept;
            self.latent.extend_from_slice(&from.latent[row.clone()]);
            self.value.extend_from_slice(&from.value[row]);
            self.row_start.push(self.latent.len() as u32);
        }
    }

    /// Those above the `total`-th largest of all blocks' codes; of ones equal to it, the first in order of row
    /// and latent. Returns the smallest kept, 0 of none.
    pub fn gather_largest(
        &mut self,
        blocks: &[BlockCodes],
        total: usize,
        scratch: &mut Vec<u32>,
    ) -> f32 {
        let count: usize = blocks.iter().map(|block| block.value.len()).sum();
        if count <= total || total == 0 {
            self.gather(if total == 0 { &[] } else { blocks });
            if total == 0 {
                let n: usize = blocks.iter().map(|block| block.count.len()).sum();
                self.row_start.resize(n + 1, 0);
            }
            let least = self.value.iter().fold(f32::INFINITY, |a, &b| a.min(b));
            return if self.value.is_empty() { 0.0 } else { least };
        }
        // positive numbers compare as their bits do
        scratch.clear();
        for block in blocks {
            scratch.extend(block.value.iter().map(|value| value.to_bits()));
        }
        let (larger, &mut smallest, _) = scratch.select_nth_unstable_by(total - 1, |a, b| b.cmp(a));
        let mut ties = total - larger.iter().filter(|&&bits| bits > smallest).count();
        self.clear();
        for block in blocks {
            let mut from = 0;
            for &count in &block.count {
                let to = from + count as usize;
                for (&latent, &value) in block.latent[from..to].iter().zip(&block.value[from..to]) {
                    let bits = value.to_bits();
                    let is_tie = bits == smallest;
                    if bits > smallest || (is_tie && ties > 0) {
                        ties -= usize::from(is_tie);
                        self.latent.push(latent);
                        self.value.push(value);
                    }
                }
                self.row_start.push(self.latent.len() as u32);
                from = to;
            }
        }
        f32::from_bits(smallest)
    }
}

/// For each latent its rows (ascending) and the positions of its codes.
#[derive(Default)]
pub struct Buckets {
    pub start: Vec<u32>,    // [d_sae + 1]
    pub row: Vec<u32>,      // [nnz]
    pub position: Vec<u32>, // [nnz]
}

impl Buckets {
    pub fn fill(&mut self, codes: &Codes, d_sae: usize) {
        let nnz = codes.latent.len();
        self.start.clear();
        self.start.resize(d_sae + 2, 0);
        self.row.resize(nnz, 0);
        self.position.resize(nnz, 0);
        // counted two places on: filling moves each start to its bucket's end, where the next one begins
        for &latent in &codes.latent {
            self.start[latent as usize + 2] += 1;
        }
        for i in 2..d_sae + 2 {
            self.start[i] += self.start[i - 1];
        }
        for (row, ends) in codes.row_start.windows(2).enumerate() {
            for position in ends[0]..ends[1] {
                let place = &mut self.start[codes.latent[position as usize] as usize + 1];
                self.row[*place as usize] = row as u32;
                self.position[*place as usize] = position;
                *place += 1;
            }
        }
        self.start.truncate(d_sae + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks() -> Vec<BlockCodes> {
        vec![
            BlockCodes {
                count: vec![2, 0],
                latent: vec![0, 3],
                value: vec![2.0, 5.0],
                ..BlockCodes::default()
            },
            BlockCodes {
                count: vec![3],
                latent: vec![0, 1, 3],
                value: vec![1.0, 2.0, 2.0],
                ..BlockCodes::default()
            },
        ]
    }

    #[test]
    fn the_largest_over_all_rows_with_ties_to_the_first() {
        let (mut codes, mut scratch) = (Codes::default(), Vec::new());
        assert_eq!(codes.gather_largest(&blocks(), 3, &mut scratch), 2.0);
        assert_eq!(codes.row_start, [0, 2, 2, 3]);
        assert_eq!(codes.latent, [0, 3, 1]);
        assert_eq!(codes.value, [2.0, 5.0, 2.0]);
        assert_eq!(codes.gather_largest(&blocks(), 9, &mut scratch), 1.0);
        assert_eq!(codes.latent.len(), 5);
        assert_eq!(codes.gather_largest(&blocks(), 0, &mut scratch), 0.0);
        assert_eq!(codes.row_start, [0; 4]);
    }

    #[test]
    fn buckets_by_hand() {
        let mut codes = Codes::default();
        codes.gather(&blocks());
        let mut buckets = Buckets::default();
        buckets.fill(&codes, 5);
        assert_eq!(buckets.start, [0, 2, 3, 3, 5, 5]);
        assert_eq!(buckets.row, [0, 2, 2, 0, 2]);
        assert_eq!(buckets.position, [0, 2, 3, 1, 4]);
    }
}
