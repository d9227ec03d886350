import fc from "fast-check";
import { expect, test } from "vitest";
import { narrowBfloat16, narrowFloat16, widenBfloat16, widenFloat16 } from "../../src/io/index.ts";

test("float16 of known bits is widened exactly", () => {
  // signs, 1, 1/3 rounded, the largest, the smallest normal, subnormals, infinity
  const bits = [0x8000, 0x3c00, 0x3555, 0x7bff, 0x0400, 0x03ff, 0x0001, 0x7c00];
  const values = [-0, 1, 0.333251953125, 65504, 2 ** -14, 1023 * 2 ** -24, 2 ** -24, Infinity];
  expect(Array.from(widenFloat16(Uint16Array.from(bits)))).toEqual(values);
  expect(widenFloat16(Uint16Array.of(0x7e00))[0]).toBeNaN();
});

test("narrowing undoes widening for all 65536 patterns, NaN apart", () => {
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const wide = widenFloat16(all);
  const narrow = narrowFloat16(wide);
  const wrong = all.filter((bits, i) => !Number.isNaN(wide[i]) && narrow[i] !== bits);
  expect(Array.from(wrong)).toEqual([]);
  expect(narrowFloat16(Float32Array.of(NaN))[0]).toBe(0x7e00);
});

test("narrowing takes the nearest float16, and the even one of two", () => {
  expect(Array.from(narrowFloat16(Float32Array.of(1 + 2 ** -11, 1 + 3 * 2 ** -11)))).toEqual([
    0x3c00, 0x3c02,
  ]);
  expect(Array.from(narrowFloat16(Float32Array.of(2 ** -25, 3 * 2 ** -25, 65519, 65520)))).toEqual([
    0, 2, 0x7bff, 0x7c00,
  ]);
  const finite = widenFloat16(Uint16Array.from({ length: 0x7c00 }, (_, i) => i));
  fc.assert(
    fc.property(fc.float({ noNaN: true, min: -65504, max: 65504 }), (x) => {
      const y = widenFloat16(narrowFloat16(Float32Array.of(x)))[0];
      const at = finite.findIndex((value) => value >= Math.abs(x));
      const best = Math.min(finite[at] - Math.abs(x), Math.abs(x) - (finite[at - 1] ?? -Infinity));
      expect(Math.abs(y - x)).toBe(best);
    }),
    { numRuns: 200 },
  );
});

test("bfloat16 is the upper half of a float32", () => {
  const bits = Uint16Array.of(0x3f80, 0xc2f7, 0x0000);
  expect(Array.from(widenBfloat16(bits))).toEqual([1, -123.5, 0]);
});

test("narrowing to bfloat16 undoes widening for all 65536 patterns, NaN apart", () => {
  const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const back = narrowBfloat16(widenBfloat16(bits));
  for (let i = 0; i < 65536; i++) {
    const isNotANumber = (i & 0x7fff) > 0x7f80;
    if (isNotANumber) expect(back[i] & 0x7fff).toBeGreaterThan(0x7f80);
    else expect(back[i]).toBe(i);
  }
});

test("narrowing takes the nearest bfloat16, and the even one of two", () => {
  const unit = 2 ** -7; // between bfloat16 numbers from 1 to 2
  const values = Float32Array.of(1 + 0.49 * unit, 1 + 0.5 * unit, 1 + 1.5 * unit, -1 - 0.51 * unit);
  expect([...widenBfloat16(narrowBfloat16(values))]).toEqual([1, 1, 1 + 2 * unit, -1 - unit]);
  expect([...widenBfloat16(narrowBfloat16(Float32Array.of(3.4e38, NaN)))]).toEqual([Infinity, NaN]);
});
