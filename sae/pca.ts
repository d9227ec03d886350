/**
 * @file What the best linear code of the same size leaves unexplained: the FVU of a projection on the
 * first k principal components is the share of variance in the other eigenvalues (Eckart & Young 1936).
 * A useful floor for an SAE of L0 = k. Eigenvalues of the covariance by Householder's reduction to a
 * tridiagonal matrix and the implicit QL method (Wilkinson & Reinsch 1971), in f64.
 */

/** Activations in blocks [rows, d], row-major. */
export type RowBlocks = AsyncIterable<Float32Array> | Iterable<Float32Array>;

/**
 * Fraction of variance left by PCA at `rank`, fitted on the same rows. Memory: d² f64. NaN when the
 * rows don't vary. Errors: internal for a rank outside 0…d or no rows.
 */
export async function pcaFvu(blocks: RowBlocks, d: number, rank: number): Promise<number> {
  if (!(rank >= 0 && rank <= d)) throw new Error(`internal: rank ${rank} of ${d} dimensions`);
  // a covariance has none below 0 but for rounding
  const eigenvalues = symmetricEigenvalues(await covariance(blocks, d), d).map((x) =>
    Math.max(0, x),
  );
  const total = eigenvalues.reduce((sum, value) => sum + value, 0);
  const whole = Math.floor(rank);
  let left = 0;
  for (let i = whole; i < d; i++) left += eigenvalues[i];
  // a fractional L0 takes its share of the next component
  if (whole < d) left -= (rank - whole) * eigenvalues[whole];
  return left / total;
}

/** Covariance [d, d] of rows in one pass; the first row is taken off everything first, against cancellation. */
export async function covariance(blocks: RowBlocks, d: number): Promise<Float64Array> {
  const products = new Float64Array(d * d);
  const sums = new Float64Array(d);
  const row = new Float64Array(d);
  let origin: Float32Array | undefined;
  let n = 0;
  for await (const block of blocks) {
    origin ??= block.slice(0, d);
    for (let start = 0; start < block.length; start += d) {
      for (let i = 0; i < d; i++) row[i] = block[start + i] - origin[i];
      for (let i = 0; i < d; i++) {
        const x = row[i];
        sums[i] += x;
        const at = i * d;
        for (let j = 0; j <= i; j++) products[at + j] += x * row[j];
      }
      n += 1;
    }
  }
  if (n === 0) throw new Error("internal: the covariance of no rows");
  for (let i = 0; i < d; i++) {
    for (let j = 0; j <= i; j++) {
      const value = products[i * d + j] / n - (sums[i] / n) * (sums[j] / n);
      products[i * d + j] = value;
      products[j * d + i] = value;
    }
  }
  return products;
}

/** Eigenvalues of a symmetric matrix [n, n], largest first. The matrix is not changed. */
export function symmetricEigenvalues(matrix: Float64Array, n: number): Float64Array {
  const { diagonal, off } = tridiagonal(Float64Array.from(matrix), n);
  return implicitQl(diagonal, off).sort().reverse();
}

/** Householder's reduction; `a` is used up. off[i] joins i − 1 and i; off[0] is 0. */
function tridiagonal(a: Float64Array, n: number): { diagonal: Float64Array; off: Float64Array } {
  const off = new Float64Array(n);
  const diagonal = new Float64Array(n);
  const v = new Float64Array(n);
  const p = new Float64Array(n);
  for (let i = n - 1; i >= 1; i--) {
    let scale = 0;
    for (let k = 0; k < i; k++) scale += Math.abs(a[i * n + k]);
    diagonal[i] = a[i * n + i];
    if (i === 1 || scale === 0) {
      off[i] = a[i * n + i - 1];
      continue;
    }
    let h = 0;
    for (let k = 0; k < i; k++) {
      v[k] = a[i * n + k] / scale;
      h += v[k] * v[k];
    }
    const g = v[i - 1] >= 0 ? -Math.sqrt(h) : Math.sqrt(h);
    off[i] = scale * g;
    h -= v[i - 1] * g;
    v[i - 1] -= g;
    let inner = 0;
    for (let j = 0; j < i; j++) {
      let sum = 0;
      for (let k = 0; k <= j; k++) sum += a[j * n + k] * v[k];
      for (let k = j + 1; k < i; k++) sum += a[k * n + j] * v[k];
      p[j] = sum / h;
      inner += p[j] * v[j];
    }
    const half = inner / (2 * h);
    for (let j = 0; j < i; j++) p[j] -= half * v[j];
    for (let j = 0; j < i; j++) {
      for (let k = 0; k <= j; k++) a[j * n + k] -= v[j] * p[k] + p[j] * v[k];
    }
  }
  diagonal[0] = a[0];
  return { diagonal, off };
}

/** Eigenvalues of a symmetric tridiagonal matrix; both arrays are used up. */
function implicitQl(d: Float64Array, off: Float64Array): Float64Array {
  const n = d.length;
  const e = new Float64Array(n);
  for (let i = 1; i < n; i++) e[i - 1] = off[i];
  for (let l = 0; l < n; l++) {
    for (let sweeps = 0; ; sweeps++) {
      let m = l;
      for (; m < n - 1; m++) {
        if (Math.abs(e[m]) <= Number.EPSILON * (Math.abs(d[m]) + Math.abs(d[m + 1]))) break;
      }
      if (m === l) break;
      if (sweeps === 60) throw new Error("internal: an eigenvalue did not converge");
      let g = (d[l + 1] - d[l]) / (2 * e[l]);
      let r = Math.hypot(g, 1);
      g = d[m] - d[l] + e[l] / (g + (g >= 0 ? r : -r));
      let s = 1;
      let c = 1;
      let p = 0;
      let i = m - 1;
      for (; i >= l; i--) {
        const f = s * e[i];
        const b = c * e[i];
        r = Math.hypot(f, g);
        e[i + 1] = r;
        if (r === 0) {
          d[i + 1] -= p;
          e[m] = 0;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
      }
      if (r === 0 && i >= l) continue;
      d[l] -= p;
      e[l] = g;
      e[m] = 0;
    }
  }
  return d;
}
