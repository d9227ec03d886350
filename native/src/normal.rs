//! Normal numbers by place, bit for bit those of src/engine/host/normal-rows.ts: Box and Muller's transform of hashed
//! counters in f32, one IEEE operation at a time (the compiler fuses none).

/// Numbers that are made together: a pair's cosine and sine stand half as far apart.
const BLOCK: usize = 32;
const HALF: usize = BLOCK / 2;

#[inline(always)]
fn hash(x: u32) -> u32 {
    let mut h = x ^ (x >> 16);
    h = h.wrapping_mul(0x7feb_352d);
    h ^= h >> 15;
    h = h.wrapping_mul(0x846c_a68b);
    h ^ (h >> 16)
}

/// √(−2 ln u) for u = (upper 24 bits + 1) / 2²⁴.
#[inline(always)]
#[expect(clippy::excessive_precision, reason = "the digits of the plain loops")]
fn radius(bits: u32) -> f32 {
    const TERMS: [f32; 9] = [
        7.0376836292e-2,
        -1.151461031e-1,
        1.167699874e-1,
        -1.2420140846e-1,
        1.4249322787e-1,
        -1.6668057665e-1,
        2.0000714765e-1,
        -2.4999993993e-1,
        3.3333331174e-1,
    ];
    let whole = (((bits >> 8) + 1) as i32 as f32).to_bits();
    let mantissa = f32::from_bits((whole & 0x007f_ffff) | 0x3f80_0000);
    let above = mantissa > std::f32::consts::SQRT_2;
    let exponent = ((whole >> 23) as i32 - 127 - 24 + i32::from(above)) as f32;
    let x = if above { mantissa * 0.5 } else { mantissa } - 1.0;
    let square = x * x;
    let mut series = TERMS[0];
    for term in &TERMS[1..] {
        series = series * x + term;
    }
    series = series * x * square;
    series += -2.121_944_4e-4 * exponent;
    series -= 0.5 * square;
    let log = (x + series) + 0.693_359_375 * exponent;
    let twice = -2.0 * log;
    (if twice > 0.0 { twice } else { 0.0 }).sqrt()
}

/// For |x| ≤ π/4.
#[inline(always)]
#[expect(clippy::excessive_precision, reason = "the digits of the plain loops")]
fn sine(x: f32) -> f32 {
    let z = x * x;
    let series = (-1.9515295891e-4 * z + 8.3321608736e-3) * z + -1.6666654611e-1;
    series * z * x + x
}

/// For |x| ≤ π/4.
#[inline(always)]
#[expect(clippy::excessive_precision, reason = "the digits of the plain loops")]
fn cosine(x: f32) -> f32 {
    let z = x * x;
    let series = (2.443315711809948e-5 * z + -1.388731625493765e-3) * z + 4.166664568298827e-2;
    (1.0 - 0.5 * z) + series * z * z
}

/// Fills `out` with entries 0… of stream `row` under `key`.
#[inline(always)]
pub fn normal_row(key: [u32; 2], row: u32, out: &mut [f32]) {
    let first = hash(key[0] ^ hash(row.wrapping_add(key[1])));
    let second = hash(first.wrapping_add(0x9e37_79b9));
    let mut counter = 0u32;
    for piece in out.chunks_mut(BLOCK) {
        let mut made = [0.0f32; BLOCK];
        let (cosines, sines) = made.split_at_mut(HALF);
        for (lane, (c, s)) in cosines.iter_mut().zip(sines).enumerate() {
            let place = (counter + lane as u32).wrapping_mul(0x9e37_79b1);
            let r = radius(hash(place ^ first));
            let turn = hash(place ^ second);
            let quarter = (std::f64::consts::FRAC_PI_2 / (1 << 24) as f64) as f32;
            let angle = (((turn >> 6) & 0x00ff_ffff) as i32 - 0x0080_0000) as f32 * quarter;
            let (sin, cos) = (sine(angle), cosine(angle));
            let turned = turn & 0x4000_0000 != 0;
            let signed = if (turn as i32) < 0 { -r } else { r };
            *c = signed * if turned { -sin } else { cos };
            *s = signed * if turned { cos } else { sin };
        }
        piece.copy_from_slice(&made[..piece.len()]);
        counter += HALF as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_normal_and_depend_on_the_place_alone() {
        let mut long = vec![0.0; 1 << 20];
        normal_row([1, 2], 3, &mut long);
        let n = long.len() as f64;
        let moment = |power: i32| long.iter().map(|&x| f64::from(x).powi(power)).sum::<f64>() / n;
        assert!(moment(1).abs() < 4e-3, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 6e-3, "{}", moment(2));
        assert!(moment(3).abs() < 2e-2, "{}", moment(3));
        assert!((moment(4) - 3.0).abs() < 5e-2, "{}", moment(4));
        let mut short = vec![0.0; 77];
        normal_row([1, 2], 3, &mut short);
        assert_eq!(short, long[..77]);
        let mut other = vec![0.0; 77];
        normal_row([1, 2], 4, &mut other);
        assert!(short.iter().zip(&other).all(|(x, y)| x != y));
    }

    #[test]
    fn polynomials_agree_with_the_library() {
        for i in 0..10_000u32 {
            let x = (i as f32 / 5000.0 - 1.0) * std::f32::consts::FRAC_PI_4;
            assert!((sine(x) - x.sin()).abs() < 2e-7 && (cosine(x) - x.cos()).abs() < 2e-7);
            let bits = hash(i);
            let u = f64::from((bits >> 8) + 1) / f64::from(1 << 24);
            let want = (-2.0 * u.ln()).sqrt();
            assert!((f64::from(radius(bits)) - want).abs() < 2e-6 * want.max(0.1));
        }
        assert_eq!(radius(u32::MAX), 0.0);
    }
}
