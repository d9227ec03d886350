//! Rows of a grown matrix, bit for bit those of src/engine/host/grow-rows.ts: entries gathered from the parent's rows
//! with their factors, noise and fresh numbers by place; products and sums in f64, rounded once. Blocks of rows run on
//! the pool. A large new array is asked for in huge pages: growth is writing memory for the first time, and a
//! fault for each 4 KiB takes longer than the copying.

use napi::bindgen_prelude::{Error, Float32ArraySlice, Result};
use napi_derive::napi;

use crate::exclusive;
use crate::huge_pages::advise_huge;
use crate::math::sum;
use crate::normal::normal_row;
use crate::parallel::{for_pieces, vectorised_task};

const MEAN: i32 = -1;
const FRESH: i32 = -2;
const ZERO: i32 = -3;

/// Numbers of the child in one piece of work: 1 MiB.
const BLOCK: usize = 1 << 18;

/// How rows are made; see `GrowRecipe` in src/engine/host/grow-rows.ts.
struct Recipe<'a> {
    parent: &'a [f32],
    n_columns: usize,
    rows: &'a [i32],
    row_weights: &'a [f64],
    mean_row: &'a [f64],
    mean_spread: f64,
    mean_key: [u32; 2],
    columns: &'a [i32],
    column_weights: &'a [f64],
    noise_on_columns: bool,
    slots: &'a [i32],
    /// Numbers drawn for a row where inputs lie along it.
    slot_count: usize,
    coefficients: &'a [f64],
    noise_key: [u32; 2],
    fresh_value: f64,
    fresh_scale: f64,
    fresh_key: [u32; 2],
}

/// Neighbours of the parent's row, with its mean and a zero after it, that are neighbours in the child's.
struct Run {
    to: usize,
    from: usize,
    length: usize,
}

/// Room for a row's numbers.
struct Room {
    line: Vec<f64>,
    noise: Vec<f64>,
    draws: Vec<f32>,
    more_draws: Vec<f32>,
}

impl Recipe<'_> {
    fn check(&self, first: usize, out: usize) -> Result<usize> {
        let width = self.columns.len();
        let count = out.checked_div(width).unwrap_or(0);
        let inputs = self.slots.len() / 2;
        let axis = if self.noise_on_columns {
            width
        } else {
            self.rows.len()
        };
        let n_rows = self.parent.len().checked_div(self.n_columns).unwrap_or(0);
        let inside = |from: &[i32], n: usize| from.iter().all(|&i| i >= ZERO && i < n as i32);
        let fits = count * width == out
            && first + count <= self.rows.len()
            && self.row_weights.len() == self.rows.len()
            && (self.column_weights.is_empty() || self.column_weights.len() == width)
            && (inputs == 0 || inputs == axis)
            && self.coefficients.len() == self.slots.len()
            && self.slots.iter().all(|&slot| slot >= 0)
            && inside(self.rows, n_rows)
            && inside(self.columns, self.n_columns)
            && (self.mean_row.len() == self.n_columns || !self.rows.contains(&MEAN));
        if fits {
            Ok(width)
        } else {
            Err(Error::from_reason("a grown matrix's sizes disagree"))
        }
    }

    fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for (to, &column) in self.columns.iter().enumerate() {
            let from = match column {
                MEAN => self.n_columns,
                FRESH => continue,
                ZERO => self.n_columns + 1,
                from => from as usize,
            };
            match runs.last_mut() {
                Some(last) if from == last.from + last.length && to == last.to + last.length => {
                    last.length += 1
                }
                _ => runs.push(Run {
                    to,
                    from,
                    length: 1,
                }),
            }
        }
        runs
    }

    /// The noise on a row: drawn into `room.draws` where it is one draw an output, else added up in `room.noise`.
    #[inline(always)]
    fn make_noise(&self, row: usize, room: &mut Room) -> Noise {
        let inputs = self.slots.len() / 2;
        if inputs == 0 {
            return Noise::None;
        }
        let (slots, more_slots) = self.slots.split_at(inputs);
        let (c, more_c) = self.coefficients.split_at(inputs);
        if self.noise_on_columns {
            let count = self.slot_count;
            let z = &mut room.draws[..count];
            normal_row(self.noise_key, row as u32, z);
            let first = slots.iter().zip(c);
            let second = more_slots.iter().zip(more_c);
            for (noise, ((&s, &c), (&t, &d))) in room.noise.iter_mut().zip(first.zip(second)) {
                *noise = c * f64::from(z[s as usize]) + d * f64::from(z[t as usize]);
            }
            return Noise::Sums;
        }
        let (a, b) = (c[row], more_c[row]);
        if a == 0.0 && b == 0.0 {
            return Noise::None;
        }
        let width = room.noise.len();
        let z = &mut room.draws[..width];
        normal_row(self.noise_key, slots[row] as u32, z);
        if b == 0.0 {
            return Noise::Draws(a);
        }
        let other = &mut room.more_draws[..width];
        normal_row(self.noise_key, more_slots[row] as u32, other);
        for (noise, (&z, &o)) in room.noise.iter_mut().zip(z.iter().zip(other.iter())) {
            *noise = a * f64::from(z) + b * f64::from(o);
        }
        Noise::Sums
    }

    #[inline(always)]
    fn make_row(&self, row: usize, runs: &[Run], has: Has, room: &mut Room, out: &mut [f32]) {
        let n = self.n_columns;
        let from = self.rows[row];
        let weight = self.row_weights[row];
        if from == FRESH {
            self.fill(row, true, room, out);
            return;
        }
        let noise = self.make_noise(row, room);
        if from < 0 || has.mean || has.zero {
            if from == ZERO {
                room.line.fill(0.0);
            } else if from == MEAN && self.mean_spread != 0.0 {
                let mut draws = vec![0.0; n];
                normal_row(self.mean_key, row as u32, &mut draws);
                let mean = self.mean_row.iter().zip(&draws);
                for (line, (&x, &z)) in room.line.iter_mut().zip(mean) {
                    *line = (x + self.mean_spread * f64::from(z)) * weight;
                }
            } else if from == MEAN {
                for (line, &x) in room.line.iter_mut().zip(self.mean_row) {
                    *line = x * weight;
                }
            } else {
                let source = &self.parent[from as usize * n..][..n];
                for (line, &x) in room.line.iter_mut().zip(source) {
                    *line = f64::from(x) * weight;
                }
            }
            if has.mean {
                room.line[n] = sum(n, |i| room.line[i]) / n as f64;
            }
            let Room {
                line,
                noise: sums,
                draws,
                ..
            } = room;
            self.gather(
                runs,
                |at, length| line[at..][..length].iter().copied(),
                noise,
                sums,
                draws,
                out,
            );
        } else {
            let source = &self.parent[from as usize * n..][..n];
            let Room {
                noise: sums, draws, ..
            } = room;
            let narrow = weight as f32;
            if matches!(noise, Noise::None)
                && self.column_weights.is_empty()
                && f64::from(narrow) == weight
            {
                // a product of two f32 is the f64 product rounded
                for run in runs {
                    let source = &source[run.from..][..run.length];
                    let out = &mut out[run.to..][..run.length];
                    if narrow == 1.0 {
                        out.copy_from_slice(source);
                    } else {
                        for (out, &x) in out.iter_mut().zip(source) {
                            *out = x * narrow;
                        }
                    }
                }
            } else {
                let scaled = |at: usize, length: usize| {
                    source[at..][..length]
                        .iter()
                        .map(|&x| f64::from(x) * weight)
                };
                self.gather(runs, scaled, noise, sums, draws, out);
            }
        }
        if has.fresh {
            self.fill(row, false, room, out);
        }
    }

    /// A row's runs out of what `line` has of `(from, length)`, times the columns' factors, plus noise.
    #[inline(always)]
    fn gather<I: Iterator<Item = f64>>(
        &self,
        runs: &[Run],
        line: impl Fn(usize, usize) -> I,
        noise: Noise,
        sums: &[f64],
        draws: &[f32],
        out: &mut [f32],
    ) {
        for run in runs {
            let line = line(run.from, run.length);
            let out = &mut out[run.to..][..run.length];
            if self.column_weights.is_empty() {
                add(line, noise, &sums[run.to..], &draws[run.to..], out);
            } else {
                let weights = &self.column_weights[run.to..][..run.length];
                let products = line.zip(weights).map(|(x, &weight)| x * weight);
                add(products, noise, &sums[run.to..], &draws[run.to..], out);
            }
        }
    }

    #[inline(always)]
    fn fill(&self, row: usize, whole: bool, room: &mut Room, out: &mut [f32]) {
        let draws = &mut room.draws[..out.len()];
        if self.fresh_scale != 0.0 {
            normal_row(self.fresh_key, row as u32, draws);
        }
        for (out, (&column, &z)) in out.iter_mut().zip(self.columns.iter().zip(draws.iter())) {
            if whole || column == FRESH {
                *out = if self.fresh_scale == 0.0 {
                    self.fresh_value as f32
                } else {
                    (self.fresh_scale * f64::from(z)) as f32
                };
            }
        }
    }
}

/// The noise on one row.
#[derive(Clone, Copy)]
enum Noise {
    None,
    /// The draws times this.
    Draws(f64),
    Sums,
}

#[inline(always)]
fn add(
    values: impl Iterator<Item = f64>,
    noise: Noise,
    sums: &[f64],
    draws: &[f32],
    out: &mut [f32],
) {
    let pairs = out.iter_mut().zip(values);
    match noise {
        Noise::None => pairs.for_each(|(out, x)| *out = x as f32),
        Noise::Draws(a) => pairs
            .zip(draws)
            .for_each(|((out, x), &z)| *out = (x + a * f64::from(z)) as f32),
        Noise::Sums => pairs
            .zip(sums)
            .for_each(|((out, x), &e)| *out = (x + e) as f32),
    }
}

/// What a recipe's columns ask for.
#[derive(Clone, Copy)]
struct Has {
    mean: bool,
    zero: bool,
    fresh: bool,
}

/// A block of rows to be made.
struct Rows<'a> {
    recipe: &'a Recipe<'a>,
    runs: &'a [Run],
    has: Has,
    room: &'a mut Room,
    first: usize,
    out: &'a mut [f32],
}

impl pulp::NullaryFnOnce for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let width = self.recipe.columns.len();
        for (i, out) in self.out.chunks_exact_mut(width).enumerate() {
            let row = self.first + i;
            self.recipe
                .make_row(row, self.runs, self.has, self.room, out);
        }
    }
}

/// Writes rows `first`… of the child, as many as `out` holds. Numbers are [nColumns, first, noise on columns, noise
/// key ×2, fresh value, fresh scale, fresh key ×2, spread about the mean, its key ×2].
#[napi(catch_unwind)]
#[allow(clippy::too_many_arguments)] // arrays of the caller, in place; napi's wrapper has the warning, its body none
pub fn grow_rows_flat(
    parent: &[f32],
    rows: &[i32],
    row_weights: &[f64],
    mean_row: &[f64],
    columns: &[i32],
    column_weights: &[f64],
    slots: &[i32],
    coefficients: &[f64],
    numbers: &[f64],
    out: Float32ArraySlice,
) -> Result<()> {
    let [out] = exclusive([out], &[parent])?;
    let [
        n_columns,
        first,
        on_columns,
        k0,
        k1,
        fresh_value,
        fresh_scale,
        f0,
        f1,
        mean_spread,
        m0,
        m1,
    ] = std::array::from_fn(|i| numbers[i]);
    let recipe = Recipe {
        parent,
        n_columns: n_columns as usize,
        rows,
        row_weights,
        mean_row,
        mean_spread,
        mean_key: [m0 as u32, m1 as u32],
        columns,
        column_weights,
        noise_on_columns: on_columns != 0.0,
        slots,
        slot_count: slots.iter().max().map_or(0, |&slot| slot as usize + 1),
        coefficients,
        noise_key: [k0 as u32, k1 as u32],
        fresh_value,
        fresh_scale,
        fresh_key: [f0 as u32, f1 as u32],
    };
    let first = first as usize;
    let width = recipe.check(first, out.len())?;
    if width == 0 {
        return Ok(());
    }
    advise_huge(out);
    let runs = recipe.runs();
    let has = Has {
        mean: columns.contains(&MEAN),
        zero: columns.contains(&ZERO),
        fresh: columns.contains(&FRESH),
    };
    let draws = recipe.slot_count.max(width);
    let count = (BLOCK / width).max(1);
    for_pieces(out, count * width, |piece, block| {
        let mut room = Room {
            line: vec![0.0; recipe.n_columns + 2],
            noise: vec![0.0; width],
            draws: vec![0.0; draws],
            more_draws: vec![0.0; width],
        };
        vectorised_task(Rows {
            recipe: &recipe,
            runs: &runs,
            has,
            room: &mut room,
            first: first + piece * count,
            out: block,
        });
    });
    Ok(())
}
