/**
 * The addon's part for sparse autoencoders (native/src/sae/): a batch's centred rows, codes, residuals and
 * slopes live in an `SaeWork` between the parts of a training step, and its buffers from step to step.
 * Pre-activations are compared with thresholds while they are in registers and never stored.
 */

/** One batch at a time. The selections write the codes of a first term, `selectAux` those of a second. */
export interface SaeWork {
  /** Takes rows [n, d_in] less `bias` [d_in] as the batch; forgets the second term and the goal. */
  center(rows: Float32Array, bias: Float32Array): void;
  /** Has the codes make up `goal` [n, d_out] in place of the centred rows, until the next batch. */
  aim(goal: Float32Array): void;
  /**
   * The k largest positive pre-activations of every row; returns how many codes there are, and a guess for a
   * batch like this one. A positive `guess` that, times a row's norm, lies below its k largest saves time.
   */
  selectTop(
    W_enc: Float32Array, // [d_sae, d_in] if latent-major, else [d_in, d_sae]
    b_enc: Float32Array, // [d_sae]
    isLatentMajor: boolean,
    k: number,
    guess: number,
  ): number[];
  /** The positive pre-activations above their latents' thresholds [d_sae]; returns how many there are. */
  selectAbove(
    W_enc: Float32Array,
    b_enc: Float32Array,
    isLatentMajor: boolean,
    threshold: Float32Array,
  ): number;
  /**
   * The `total` largest positive pre-activations of the batch; returns how many there are and the smallest of
   * them (0 of none). A positive `guess` that lies below that saves time.
   */
  selectLargest(
    W_enc: Float32Array,
    b_enc: Float32Array,
    isLatentMajor: boolean,
    total: number,
    guess: number,
  ): number[];
  /** The k largest of every row among `latents` (ascending), as the second term; the encoder is latent-major. */
  selectAux(W_enc: Float32Array, b_enc: Float32Array, latents: Int32Array, k: number): number;
  /** Copies a term's codes into arrays that are long enough. */
  copyCodes(aux: boolean, rowStart: Int32Array, latent: Int32Array, value: Float32Array): void;
  /** Other values for the first term's codes. */
  setValues(values: Float32Array): void;
  /**
   * Residuals and slopes of the first term, of its codes below each width, and of the second term, whose target is the
   * first's residual; Σ‖residual‖² of the first, of the second, and of all the narrower ones.
   */
  residual(W_dec: Float32Array, widths: Uint32Array): number[];
  /** Copies the sum of the residuals of the first term, of the narrower ones and of other values that train into an array [n, d_out]. */
  copyResidual(out: Float32Array): void;
  /** Copies the first term's slopes into an array that is long enough. */
  copySlopes(out: Float32Array): void;
  /** Other slopes for the first term. */
  setSlopes(slopes: Float32Array): void;
  /**
   * Σ‖goal − Σ v W_dec‖² with other values for the first term's codes, and the slopes that go with it; where they
   * train, the next update's decoder and its bias learn from them too.
   */
  evaluate(W_dec: Float32Array, values: Float32Array, train: boolean, slopes: Float32Array): number;
  /**
   * Adds Σ_i c_i Σ_s ‖part s of W_dec[i, :]‖ to the next update's loss, by the parts' widths, which add up to d_out,
   * and a coefficient c_i for each latent.
   */
  penaliseParts(widths: Uint32Array, coefficients: Float32Array): void;
  /**
   * One Adam step on W_enc (latent-major), b_enc, W_dec and b_dec, decoder rows held at `norms` or free. `arrays`
   * are these four, their first moments and their second moments; numbers are [lr, beta1, beta2, eps,
   * step, scale of the first term, of the second, 1 where the encoder reads its rows less b_dec (0 where whole), 1 where
   * norms are free].
   */
  update(arrays: readonly Float32Array[], norms: Float32Array, numbers: Float64Array): void;
}

/** What the addon exports for sparse autoencoders. */
export interface SaeAddon {
  readonly SaeWork: new () => SaeWork;
  /** out [n, d_in] = Σ f·W_dec + b_dec for every row of codes. */
  saeDecode(
    rowStart: Int32Array,
    latent: Int32Array,
    value: Float32Array,
    W_dec: Float32Array,
    b_dec: Float32Array,
    out: Float32Array,
  ): void;
  /** Σ‖x − mean‖² over rows x [n, d]. */
  totalVariance(x: Float32Array, d: number): number;
}
