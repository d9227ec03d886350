// False discovery rate (Benjamini & Hochberg 1995): the q-value of the k-th smallest of m p-values
// is min over l ≥ k of m p_(l) / l. Calling everything with q ≤ .05 keeps the expected share of
// false calls at 5% when the tests are independent or positively dependent.

/** The q-value of each p-value. NaN stays NaN and isn't counted as a test. */
export function benjaminiHochberg(p: ArrayLike<number>): Float64Array {
  const q = new Float64Array(p.length).fill(Number.NaN);
  const order = Array.from(q.keys())
    .filter((i) => !Number.isNaN(p[i]))
    .sort((a, b) => p[a] - p[b]);
  const m = order.length;
  let least = 1;
  for (let k = m; k >= 1; k--) {
    least = Math.min(least, (m * p[order[k - 1]]) / k);
    q[order[k - 1]] = least;
  }
  return q;
}
