/** @file Directions drawn at random: uniform ones, ones at a given angle from another, and isometries. */
import type { Rng } from "../../src/engine/index.ts";

/** A unit vector of n entries, uniform on the sphere. */
export function randomDirection(n: number, rng: Rng): Float64Array {
  return normalised(Float64Array.from({ length: n }, () => rng.normal()));
}

/** A unit vector at `degrees` from the unit vector v, uniform among those. */
export function turned(v: Float64Array, degrees: number, rng: Rng): Float64Array {
  if (degrees === 0) return v.slice();
  const other = randomDirection(v.length, rng);
  const along = dot(other, v);
  const across = normalised(other.map((x, a) => x - along * v[a]));
  const angle = (degrees * Math.PI) / 180;
  return v.map((x, a) => Math.cos(angle) * x + Math.sin(angle) * across[a]);
}

/** A matrix [rows, columns] with orthonormal columns, rows ≥ columns (Gram–Schmidt on normal draws, each twice). */
export function isometry(rows: number, columns: number, rng: Rng): Float64Array {
  const done: Float64Array[] = [];
  for (let c = 0; c < columns; c++) {
    let column = randomDirection(rows, rng);
    for (let pass = 0; pass < 2; pass++) {
      for (const earlier of done) {
        const along = dot(column, earlier);
        column = column.map((x, a) => x - along * earlier[a]);
      }
      column = normalised(column);
    }
    done.push(column);
  }
  const out = new Float64Array(rows * columns);
  for (const [c, column] of done.entries()) {
    for (let r = 0; r < rows; r++) out[r * columns + c] = column[r];
  }
  return out;
}

function normalised(v: Float64Array): Float64Array {
  const norm = Math.sqrt(dot(v, v));
  return v.map((x) => x / norm);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let s = 0; s < a.length; s++) sum += a[s] * b[s];
  return sum;
}
