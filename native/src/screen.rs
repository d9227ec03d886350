//! Best matches among rows of length 1, screened in whole numbers. Rows are rounded to 8 bits, â = s·q, and
//! one instruction of AVX-512 (VNNI) multiplies four times as many of those as of floats. What rounding took
//! is known for each row, so every product has bounds,
//!   |a·b − â·b̂| ≤ ‖a − â‖·‖b‖ + ‖â‖·‖b − b̂‖,
//! and a pair whose upper bound is below the lower bound of `top` others is no match. The few that remain
//! are computed in f64 from the rows themselves: the matches are those of all pairs computed so.

use std::arch::x86_64::{
    __m512, __m512i, _CMP_GE_OQ, _mm512_add_ps, _mm512_cmp_ps_mask, _mm512_cvtepi32_ps,
    _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_storeu_ps,
};

use rayon::prelude::*;

use crate::math::sum;
use crate::parallel::{instruction_set, run, vectorised};

/// Rows of one matrix and vectors of sixteen of the other in a tile: 24 registers of sums.
const GROUP: usize = 8;
const VECTORS: usize = 3;
const PANEL: usize = 16 * VECTORS;

/// A row with more candidates than this is left to products of floats.
const MOST: usize = 4096;

/// More than the rounding of the bounds themselves, of lengths and of what is offered.
const SLACK: f64 = 2e-6;

/// Whether this processor can screen, and it is worth it for so many others of this width.
pub fn can_screen(others: usize, width: usize, top: usize) -> bool {
    // whole numbers may not overflow: 255·127·width < 2³¹
    instruction_set() == "avx512"
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vnni")
        && others >= 16 * PANEL
        && (64..=1 << 15).contains(&width)
        && top <= 64
}

/// A row rounded to 8 bits: x ≈ scale·q within `error`, in length.
struct Rounded {
    scale: f32,
    error: f64,
    length: f64,
}

/// Rounds a row into `q`, whose length may be greater; None for a row with NaN in it.
fn round(x: &[f32], q: &mut [i8]) -> Option<Rounded> {
    let greatest = x.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    if x.iter().any(|x| x.is_nan()) || greatest == 0.0 {
        return None;
    }
    let scale = greatest / 127.0;
    q.fill(0);
    for (q, &x) in q.iter_mut().zip(x) {
        *q = (x / scale).round() as i8;
    }
    let near = |i: usize| f64::from(scale) * f64::from(q[i]);
    Some(Rounded {
        scale,
        error: sum(x.len(), |i| (f64::from(x[i]) - near(i)).powi(2)).sqrt(),
        length: sum(x.len(), |i| near(i).powi(2)).sqrt(),
    })
}

/// The other matrix, rounded and laid out for the tiles. What can't match has NaN for its error.
pub struct Panels {
    fours: usize,
    /// For each panel and four numbers of a row, those of PANEL rows: unsigned, 128 more than they are.
    data: Vec<[i32; 16]>,
    scale: Vec<f32>,
    error: Vec<f32>,
}

impl Panels {
    /// Of rows of length 1 or NaN.
    pub fn of(b: &[f32], width: usize) -> Self {
        let fours = width.div_ceil(4);
        let panels = (b.len() / width).div_ceil(PANEL);
        let mut data = vec![[0; 16]; panels * fours * VECTORS];
        let mut scale = vec![0.0; panels * PANEL];
        let mut error = vec![f32::NAN; panels * PANEL];
        type Piece<'a> = (
            ((&'a mut [[i32; 16]], &'a mut [f32]), &'a mut [f32]),
            &'a [f32],
        );
        let pack = |(((data, scale), error), rows): Piece| {
            let mut q = vec![0i8; fours * 4];
            for (r, row) in rows.chunks_exact(width).enumerate() {
                let Some(rounded) = vectorised(
                    #[inline(always)]
                    || round(row, &mut q),
                ) else {
                    continue;
                };
                scale[r] = rounded.scale;
                error[r] = rounded.error as f32;
                for (k, four) in q.chunks_exact(4).enumerate() {
                    let bytes = std::array::from_fn(|i| (i16::from(four[i]) + 128) as u8);
                    data[k * VECTORS + r / 16][r % 16] = i32::from_le_bytes(bytes);
                }
            }
        };
        run(b.len() > 1 << 16, |parallel| {
            if parallel {
                data.par_chunks_mut(fours * VECTORS)
                    .zip(scale.par_chunks_mut(PANEL))
                    .zip(error.par_chunks_mut(PANEL))
                    .zip(b.par_chunks(PANEL * width))
                    .for_each(pack);
            } else {
                data.chunks_mut(fours * VECTORS)
                    .zip(scale.chunks_mut(PANEL))
                    .zip(error.chunks_mut(PANEL))
                    .zip(b.chunks(PANEL * width))
                    .for_each(pack);
            }
        });
        Panels {
            fours,
            data,
            scale,
            error,
        }
    }
}

/// What one row of the tile needs, and what was found for it.
pub struct Row {
    scale: f32,
    /// ‖â‖, and ‖a − â‖ with the slack.
    length: f32,
    error: f32,
    /// What cancels the 128 more of the other's numbers.
    offset: i32,
    /// The lower bounds of the best so far, best first.
    lower: Vec<f32>,
    /// Below this an upper bound makes no candidate.
    floor: f32,
    /// Rows of the other matrix in ascending order, with their upper bounds.
    pub candidates: Vec<(u32, f32)>,
    /// Too many candidates: not to be found this way.
    pub crowded: bool,
}

impl Row {
    fn of(rounded: Option<Rounded>, q: &[i8], top: usize) -> Self {
        let none = rounded.is_none();
        let rounded = rounded.unwrap_or(Rounded {
            scale: 0.0,
            error: 0.0,
            length: 0.0,
        });
        Row {
            scale: rounded.scale,
            length: rounded.length as f32,
            error: (rounded.error + SLACK) as f32,
            offset: -128 * q.iter().map(|&q| i32::from(q)).sum::<i32>(),
            lower: vec![f32::NEG_INFINITY; top],
            floor: if none {
                f32::INFINITY
            } else {
                f32::NEG_INFINITY
            },
            candidates: Vec::new(),
            crowded: false,
        }
    }

    fn offer(&mut self, other: usize, product: f32, margin: f32) {
        if self.crowded || product + margin < self.floor {
            return;
        }
        self.candidates.push((other as u32, product + margin));
        let low = product - margin;
        let last = self.lower.len() - 1;
        if low > self.lower[last] {
            let slot = self.lower.partition_point(|&best| best >= low);
            self.lower[slot..].rotate_right(1);
            self.lower[slot] = low;
            self.floor = self.lower[last];
        }
        if self.candidates.len() > MOST {
            self.prune();
            if self.candidates.len() > MOST / 2 {
                self.crowded = true;
                self.floor = f32::INFINITY;
            }
        }
    }

    fn prune(&mut self) {
        let floor = self.floor;
        self.candidates.retain(|&(_, upper)| upper >= floor);
    }
}

/// The candidates of each of `rows` [n, width] among the rows of the panels.
pub fn candidates(rows: &[f32], panels: &Panels, width: usize, top: usize) -> Vec<Row> {
    let fours = panels.fours;
    let n = rows.len() / width;
    let groups = n.div_ceil(GROUP);
    let mut packed = vec![[0i32; GROUP]; groups * fours];
    let mut q = vec![0i8; fours * 4];
    let mut found = Vec::with_capacity(groups * GROUP);
    for (r, row) in rows.chunks_exact(width).enumerate() {
        let rounded = vectorised(
            #[inline(always)]
            || round(row, &mut q),
        );
        if rounded.is_none() {
            q.fill(0);
        }
        found.push(Row::of(rounded, &q, top));
        for (k, four) in q.chunks_exact(4).enumerate() {
            let bytes = std::array::from_fn(|i| four[i] as u8);
            packed[r / GROUP * fours + k][r % GROUP] = i32::from_le_bytes(bytes);
        }
    }
    q.fill(0);
    found.resize_with(groups * GROUP, || Row::of(None, &q, top));
    for (p, panel) in panels.data.chunks_exact(fours * VECTORS).enumerate() {
        let of_panel = p * PANEL..(p + 1) * PANEL;
        let (scale, error) = (&panels.scale[of_panel.clone()], &panels.error[of_panel]);
        for (group, found) in packed
            .chunks_exact(fours)
            .zip(found.chunks_exact_mut(GROUP))
        {
            // SAFETY: can_screen found the features that the function is compiled with; panels are made for
            // what it allows alone.
            unsafe { tile(group, panel, scale, error, p * PANEL, found) };
        }
    }
    found.truncate(n);
    found.iter_mut().for_each(Row::prune);
    found
}

fn load(x: &[i32; 16]) -> __m512i {
    // SAFETY: 64 bytes, for any alignment; only called from `tile`, where AVX-512 is there.
    unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
}

fn load_floats(x: &[f32]) -> __m512 {
    let x: &[f32; 16] = x.try_into().expect("sixteen numbers");
    // SAFETY: as above.
    unsafe { _mm512_loadu_ps(x.as_ptr()) }
}

fn store(x: __m512) -> [f32; 16] {
    let mut out = [0.0; 16];
    // SAFETY: as above; `out` is this function's own.
    unsafe { _mm512_storeu_ps(out.as_mut_ptr(), x) };
    out
}

/// The products of a group with a panel, and what of them is worth a second look.
#[target_feature(enable = "avx512f,avx512vnni")]
fn tile(
    group: &[[i32; GROUP]],
    panel: &[[i32; 16]],
    scale: &[f32],
    error: &[f32],
    first: usize,
    found: &mut [Row],
) {
    let mut sums: [[__m512i; VECTORS]; GROUP] =
        std::array::from_fn(|r| [_mm512_set1_epi32(found[r].offset); VECTORS]);
    for (a, b) in group.iter().zip(panel.as_chunks::<VECTORS>().0) {
        let b: [__m512i; VECTORS] = std::array::from_fn(|v| load(&b[v]));
        for (sums, &a) in sums.iter_mut().zip(a) {
            let a = _mm512_set1_epi32(a);
            for (sum, &b) in sums.iter_mut().zip(&b) {
                *sum = _mm512_dpbusd_epi32(*sum, b, a);
            }
        }
    }
    for v in 0..VECTORS {
        let (scale, error) = (
            load_floats(&scale[v * 16..][..16]),
            load_floats(&error[v * 16..][..16]),
        );
        for (row, sums) in found.iter_mut().zip(&sums) {
            let product = _mm512_mul_ps(
                _mm512_mul_ps(_mm512_cvtepi32_ps(sums[v]), scale),
                _mm512_set1_ps(row.scale),
            );
            let margin =
                _mm512_fmadd_ps(error, _mm512_set1_ps(row.length), _mm512_set1_ps(row.error));
            let upper = _mm512_add_ps(product, margin);
            let mut hits = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(upper, _mm512_set1_ps(row.floor));
            if hits == 0 {
                continue;
            }
            let (product, margin) = (store(product), store(margin));
            while hits != 0 {
                let lane = hits.trailing_zeros() as usize;
                hits &= hits - 1;
                row.offer(first + v * 16 + lane, product[lane], margin[lane]);
            }
        }
    }
}
