/**
 * @file IEEE 754 half precision and bfloat16 to and from float32 (Node 20 has no Float16Array).
 * Widening is exact; narrowing rounds to nearest, ties to even.
 */

/** float16 bits to float32. */
export function widenFloat16(bits: Uint16Array): Float32Array {
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const sign = bits[i] & 0x8000 ? -1 : 1;
    const exponent = (bits[i] >> 10) & 0x1f;
    const fraction = bits[i] & 0x3ff;
    if (exponent === 0) out[i] = sign * fraction * 2 ** -24;
    else if (exponent === 31) out[i] = fraction === 0 ? sign * Infinity : NaN;
    else out[i] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return out;
}

/** bfloat16 bits (the upper half of a float32) to float32. */
export function widenBfloat16(bits: Uint16Array): Float32Array {
  const wide = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) wide[i] = bits[i] << 16;
  return new Float32Array(wide.buffer);
}

/** float32 to float16 bits; what is too large becomes infinite. */
export function narrowFloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const sign = (bits[i] >>> 16) & 0x8000;
    const magnitude = bits[i] & 0x7fffffff;
    if (magnitude >= 0x7f800000) out[i] = sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00);
    else if (magnitude < 0x38800000) {
      // below 2^-14: a multiple of 2^-24, which Math.round would take up at ties
      out[i] = sign | roundToEven(Math.abs(values[i]) * 2 ** 24);
    } else {
      const rebased = magnitude - (112 << 23); // exponent bias 127 to 15
      const half = (rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13;
      out[i] = sign | Math.min(half, 0x7c00);
    }
  }
  return out;
}

/** float32 to bfloat16 bits; what rounds past the largest becomes infinite. */
export function narrowBfloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const isNan = (bits[i] & 0x7fffffff) > 0x7f800000;
    // a NaN's low bits would round away
    out[i] = isNan ? (bits[i] >>> 16) | 0x40 : (bits[i] + 0x7fff + ((bits[i] >>> 16) & 1)) >>> 16;
  }
  return out;
}

function roundToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
