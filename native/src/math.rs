//! Numbers that vectorise: e^x by polynomial, sums in lanes with a fixed order.

/// e^x within 2e-7 relatively; 0 below −87, infinity above 88, NaN for NaN (Cody & Waite's reduction, degree 6).
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0; // 1.5·2²³: adding it rounds to an integer, which stands in the lowest bits
    let bounded = x.clamp(-87.0, 88.0);
    let shifted = bounded * std::f32::consts::LOG2_E + SHIFT;
    let k = shifted - SHIFT;
    let r = (bounded - k * 0.693_359_4) - k * -2.121_944_4e-4;
    let tail = 1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0));
    let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * tail)));
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23); // 2ᵏ
    let value = series * power;
    if x < -87.0 {
        0.0
    } else if x > 88.0 {
        f32::INFINITY
    } else {
        value
    }
}

/// Chains of a sum.
pub const LANES: usize = 16;

/// Σ f(i) over 0…n−1 in f64, sixteen chains added in a fixed order.
#[inline(always)]
pub fn sum(n: usize, f: impl Fn(usize) -> f64) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let whole = n - n % LANES;
    let mut at = 0;
    while at < whole {
        for (lane, total) in lanes.iter_mut().enumerate() {
            *total += f(at + lane);
        }
        at += LANES;
    }
    let mut total = 0.0;
    for lane in lanes {
        total += lane;
    }
    for i in whole..n {
        total += f(i);
    }
    total
}

/// Σ f(x, y) over two arrays of one length in f64, sixteen chains added in a fixed order.
#[inline(always)]
pub fn sum_pairs(x: &[f32], y: &[f32], f: impl Fn(f32, f32) -> f64) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let whole = x.len() - x.len() % LANES;
    let y = &y[..x.len()];
    for (x, y) in x[..whole]
        .chunks_exact(LANES)
        .zip(y[..whole].chunks_exact(LANES))
    {
        for (total, (&x, &y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
            *total += f(x, y);
        }
    }
    let mut total = 0.0;
    for lane in lanes {
        total += lane;
    }
    for (&x, &y) in x[whole..].iter().zip(&y[whole..]) {
        total += f(x, y);
    }
    total
}

/// The largest number; −infinity of none, and NaN is passed over.
#[inline(always)]
pub fn max(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (best, &value) in lanes.iter_mut().zip(chunk) {
            *best = if value > *best { value } else { *best };
        }
    }
    lanes.iter().chain(rest).fold(
        f32::NEG_INFINITY,
        |best, &value| if value > best { value } else { best },
    )
}

/// Replaces every value by e^(value − shift) and returns their sum.
#[inline(always)]
pub fn exp_in_place(values: &mut [f32], shift: f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let mut chunks = values.chunks_exact_mut(LANES);
    for chunk in &mut chunks {
        for (total, value) in lanes.iter_mut().zip(chunk) {
            *value = exp(*value - shift);
            *total += *value;
        }
    }
    let mut total = 0.0f64;
    for lane in lanes {
        total += f64::from(lane);
    }
    for value in chunks.into_remainder() {
        *value = exp(*value - shift);
        total += f64::from(*value);
    }
    total as f32
}

/// Σ e^(value − shift).
#[inline(always)]
pub fn sum_exp(values: &[f32], shift: f32) -> f32 {
    sum_pairs(values, values, |value, _| f64::from(exp(value - shift))) as f32
}

/// Σ a·b in sixteen f32 chains.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let n = a.len().min(b.len());
    let whole = n - n % LANES;
    for (x, y) in a[..whole]
        .chunks_exact(LANES)
        .zip(b[..whole].chunks_exact(LANES))
    {
        for (total, (p, q)) in lanes.iter_mut().zip(x.iter().zip(y)) {
            *total += p * q;
        }
    }
    let mut total = 0.0;
    for lane in lanes {
        total += lane;
    }
    for (p, q) in a[whole..n].iter().zip(&b[whole..n]) {
        total += p * q;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_agrees_with_the_library_and_saturates() {
        for i in -8600..8700 {
            let x = i as f32 / 100.0;
            let want = f64::from(x).exp();
            assert!((f64::from(exp(x)) - want).abs() <= 4e-7 * want, "e^{x}");
        }
        assert_eq!(exp(-1000.0), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(1000.0), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn sums_and_maxima_cover_every_remainder() {
        for n in 0..40usize {
            let values: Vec<f32> = (0..n).map(|i| i as f32).collect();
            let want = (n * n.saturating_sub(1) / 2) as f64;
            assert_eq!(sum(n, |i| f64::from(values[i])), want);
            let ones = vec![1.0; n];
            assert_eq!(sum_pairs(&values, &ones, |x, y| f64::from(x * y)), want);
            assert_eq!(f64::from(dot(&values, &vec![1.0; n])), want);
            assert_eq!(
                max(&values),
                if n == 0 {
                    f32::NEG_INFINITY
                } else {
                    (n - 1) as f32
                }
            );
            assert_eq!(sum_exp(&vec![3.0; n], 3.0), n as f32);
            assert_eq!(exp_in_place(&mut vec![3.0; n], 3.0), n as f32);
        }
    }
}
