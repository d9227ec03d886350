/** @file The mean and the variance of activation rows that come in blocks, from sums in f64. */

/** Sums over rows [n, width]. */
export class RowMoments {
  /** Rows added. */
  rows = 0;
  private readonly sum: Float64Array; // [width]
  private squares = 0;

  constructor(width: number) {
    this.sum = new Float64Array(width);
  }

  /** Adds rows laid end to end, those with a 1 in `leftOut` left out. */
  add(x: Float32Array, leftOut?: Uint8Array): void {
    const width = this.sum.length;
    for (let row = 0; row * width < x.length; row++) {
      if (leftOut?.[row] === 1) continue;
      this.rows++;
      for (let i = 0, at = row * width; i < width; i++, at++) {
        this.sum[i] += x[at];
        this.squares += x[at] * x[at];
      }
    }
  }

  /** The mean row. */
  mean(): Float64Array {
    return this.sum.map((total) => total / this.rows);
  }

  /** Σ‖x − x̄‖² over the rows. */
  variance(): number {
    return this.squares - this.rows * this.mean().reduce((total, m) => total + m * m, 0);
  }
}
