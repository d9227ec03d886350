/**
 * Numbers as the report prints them, all in one place: the real minus sign, fixed decimals, an en
 * dash for what was not measured, nothing that depends on the machine's locale.
 */

/** Printed where there is no number. */
export const missing = "–";

type Measured = number | null | undefined;

/** "0.66", "−0.05". */
export function decimal(value: Measured, digits: number = 2): string {
  if (!isNumber(value)) return missing;
  const fixed = Math.abs(value).toFixed(digits);
  return value < 0 && Number(fixed) !== 0 ? `−${fixed}` : fixed;
}

/** "+0.33", "−0.05", "0.00". */
export function signed(value: Measured, digits: number = 2): string {
  if (!isNumber(value)) return missing;
  const text = decimal(value, digits);
  return value > 0 && Number(text) !== 0 ? `+${text}` : text;
}

/** A share as "67%", with one decimal below 10% and above 99%, two below 1%. */
export function percent(share: Measured): string {
  if (!isNumber(share)) return missing;
  const size = Math.abs(share * 100);
  // what is nearly all is not rounded to all
  const isNearlyAll = size > 99 && size < 100;
  const digits = isNearlyAll ? 1 : size === 0 || size >= 9.95 ? 0 : size >= 0.995 ? 1 : 2;
  return `${decimal(share * 100, digits)}%`;
}

/** "0.60 to 0.72". */
export function interval(ci: readonly [number, number] | null, digits: number = 2): string {
  return ci === null ? "no interval" : `${decimal(ci[0], digits)} to ${decimal(ci[1], digits)}`;
}

/** "12,345". */
export function count(value: Measured): string {
  if (!isNumber(value)) return missing;
  const grouped = String(Math.abs(Math.round(value))).replace(/\B(?=(\d{3})+$)/g, ",");
  return value <= -0.5 ? `−${grouped}` : grouped;
}

/** Three significant digits with a unit: "600k", "1.05M", "2.4B". */
export function compact(value: Measured): string {
  if (!isNumber(value)) return missing;
  const [scale, unit] =
    (
      [
        [1e15, "P"],
        [1e12, "T"],
        [1e9, "B"],
        [1e6, "M"],
        [1e3, "k"],
      ] as const
    ).find(([size]) => Math.abs(value) >= size * 0.9995) ?? ([1, ""] as const);
  return `${decimal(Number((value / scale).toPrecision(3)), significantDecimals(value / scale))}${unit}`;
}

/** "6.0·10⁻⁶" below a thousandth, plain decimals above. */
export function small(value: Measured): string {
  if (!isNumber(value)) return missing;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e-3) return decimal(value, size >= 1 ? 2 : 4);
  const [mantissa, power] = size.toExponential(1).split("e");
  return `${value < 0 ? "−" : ""}${mantissa}·10${superscript(Number(power))}`;
}

/** A number rounded for storage: about `digits` significant ones. */
export function rounded(value: number, digits: number = 3): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(digits)) : null;
}

/** "two", "12". */
export function inWords(n: number): string {
  const words = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
  return words[n] ?? String(n);
}

/** "1 seed", "3 seeds". */
export function plural(n: number, one: string, many: string = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

function significantDecimals(value: number): number {
  const text = String(Number(Math.abs(value).toPrecision(3)));
  return text.includes(".") ? text.length - text.indexOf(".") - 1 : 0;
}

function superscript(n: number): string {
  const digits = Array.from(String(Math.abs(n)), (d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(d)]).join("");
  return n < 0 ? `⁻${digits}` : digits;
}

function isNumber(value: Measured): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
