/**
 * Seeded random numbers. Every random draw in the project comes from an `Rng` that is handed in.
 * Generator: xoshiro128** (Blackman & Vigna, 2018), seeded by hashing a path of labels, so that a
 * stream is named by what it is for ("seed 0 / base / lm / epoch 3") and not by how many numbers
 * were drawn before it: work that is resumed or reordered draws the same numbers.
 */

/** A stream of pseudo-random numbers. */
export interface Rng {
  /** Uniform in [0, 1), 32 bits of randomness. */
  next(): number;
  /** Standard normal (Box–Muller). */
  normal(): number;
  /** Uniform integer in [0, n). Errors: n < 1 or not an integer. */
  int(n: number): number;
  /** An independent stream named `label`. Pure: it neither reads nor advances this stream's position. */
  fork(label: string | number): Rng;
  /** Shuffles in place (Fisher–Yates). */
  shuffle(values: Int32Array): void;
}

/** The stream named by `seed`. */
export function createRng(seed: number | string): Rng {
  return new Xoshiro(String(seed));
}

class Xoshiro implements Rng {
  readonly #path: string;
  readonly #state: Uint32Array;
  #spare: number | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#state = hash128(path);
  }

  #bits(): number {
    const s = this.#state;
    const x = Math.imul(s[1], 5);
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 11) | (s[3] >>> 21);
    return result;
  }

  next(): number {
    return this.#bits() / 4294967296;
  }

  normal(): number {
    if (this.#spare !== undefined) {
      const spare = this.#spare;
      this.#spare = undefined;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    const angle = 2 * Math.PI * this.next();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  int(n: number): number {
    if (!Number.isInteger(n) || n < 1) {
      throw new Error(`internal: Rng.int expects a positive integer, got ${n}`);
    }
    return Math.floor(this.next() * n);
  }

  fork(label: string | number): Rng {
    return new Xoshiro(`${this.#path}/${label}`);
  }

  shuffle(values: Int32Array): void {
    for (let i = values.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      const held = values[i];
      values[i] = values[j];
      values[j] = held;
    }
  }
}

/** 128 bits from a string: four lanes of multiply-and-mix over its UTF-16 code units, then a finaliser (MurmurHash3's). */
function hash128(text: string): Uint32Array {
  const lanes = new Uint32Array([0x9e3779b9, 0x243f6a88, 0xb7e15162, 0x71374491]);
  const multipliers = [0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f, 0x165667b1];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    for (let lane = 0; lane < 4; lane++) {
      const mixed = Math.imul(lanes[lane] ^ code ^ lanes[(lane + 1) & 3], multipliers[lane]);
      lanes[lane] = (mixed << 13) | (mixed >>> 19);
    }
  }
  for (let lane = 0; lane < 4; lane++) {
    let h = lanes[lane] ^ text.length;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    lanes[lane] = h ^ (h >>> 16);
  }
  if (lanes.every((lane) => lane === 0)) lanes[0] = 1;
  return lanes;
}
