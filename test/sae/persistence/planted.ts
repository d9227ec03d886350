// Planted truth at the level of activations (methods.md §6): a parent and its grown child whose
// features are known, class by class, and oracle dictionaries that see exactly them.
import type {
  ActivationStream,
  ArmInput,
  ArmRole,
  Dictionary,
  Frame,
  PersistenceInput,
} from "../../../sae/persistence/index.ts";
import { createRng, type Rng } from "../../../src/engine/random.ts";
import { codesOf } from "./support.ts";

export const parentClasses = [
  "persisted",
  "carried_only",
  "split",
  "absorbed",
  "merged",
  "drifted_direction",
  "drifted_meaning",
  "uncertain",
  "died",
  "lost_by_sae",
  "unknown",
] as const;
export const childClasses = ["split", "absorbed", "merged", "born", "uncovered"] as const;
type Planted = (typeof parentClasses)[number] | (typeof childClasses)[number];

const counts: Record<Planted, number> = {
  persisted: 24,
  carried_only: 6,
  split: 6,
  absorbed: 6,
  merged: 6,
  drifted_direction: 8,
  drifted_meaning: 6,
  uncertain: 6,
  died: 10,
  lost_by_sae: 6,
  unknown: 6,
  born: 8,
  uncovered: 6,
};

/** Width of the parent and of the child; the child's first coordinates are the parent's (E = [I; 0]). */
const width = 96;
export const childWidth = 128;
const sequenceLength = 20;
const nTokens = 6000;

/** E and Rᵀ for the planted child: zeros are appended to each row. */
export const frame: Frame = { decoder: padded, encoder: padded };

/** What one latent sees: when it is active, and where. */
interface Trace {
  readonly active: number[]; // [nTokens]
  readonly direction: number[]; // [width] or [childWidth]
  /** What the verdict on it should be. */
  readonly planted: Planted;
}

interface Feature {
  readonly planted: Planted;
  readonly parents: readonly Trace[];
  readonly children: readonly Trace[];
}

/** The whole input of a comparison and what was planted, per parent and per child latent. */
export interface PlantedRun {
  readonly input: PersistenceInput;
  readonly parentTruth: readonly Planted[];
  readonly childTruth: readonly Planted[];
}

/** Plants every class; the arms are the carried dictionary and two fresh ones. */
export function plant(
  seed: number,
  extra: (parent: Dictionary) => ArmInput[] = () => [],
): PlantedRun {
  const rng = createRng(`planted ${seed}`);
  const features: Feature[] = Object.entries(counts).flatMap(([planted, count]) =>
    Array.from({ length: count }, (_, at) =>
      plantFeature(planted as Planted, at, rng.fork(`${planted} ${at}`)),
    ),
  );
  const parentHas = features.filter(({ planted }) => planted !== "born" && planted !== "uncovered");
  const carriedHas = features.filter(
    ({ planted }) => planted !== "died" && planted !== "lost_by_sae",
  );
  const childHas = features.filter(
    ({ planted }) => planted !== "died" && planted !== "carried_only",
  );
  const parentModel = features.filter(({ planted }) => planted !== "born");

  const parent = dictionary(
    parentHas.flatMap(({ parents }) => parents),
    width,
    rng.fork("parent codes"),
  );
  const carriedOf = (label: string, has: Feature[]): Dictionary =>
    dictionary(
      has.flatMap(({ children }) => children),
      childWidth,
      rng.fork(label),
    );
  const fresh = [0, 1].map((s) => {
    const order = Int32Array.from(childHas.keys());
    rng.fork(`fresh order ${s}`).shuffle(order);
    return carriedOf(
      `fresh ${s}`,
      Array.from(order, (f) => childHas[f]),
    );
  });
  const activations = (has: Feature[], which: "parent" | "child"): ActivationStream => ({
    dIn: which === "parent" ? width : childWidth,
    blocks: blocksOf(has, which, rng.fork(`noise ${which}`)),
  });
  return {
    parentTruth: parentHas.flatMap(({ parents }) => parents.map(({ planted }) => planted)),
    childTruth: carriedHas.flatMap(({ children }) => children.map(({ planted }) => planted)),
    input: {
      stage: "01-wider",
      name: "resid",
      parent,
      arms: [
        arm("carried", "carried", carriedOf("carried", carriedHas)),
        ...fresh.map((codes, s) => arm("fresh", `fresh-${s + 1}`, codes)),
        ...extra(parent),
      ],
      sequenceLength,
      probes: {
        parent: activations(parentModel, "parent"),
        child: activations(childHas, "child"),
        random: { dIn: childWidth, blocks: blocksOf([], "child", rng.fork("random weights")) },
      },
      curves: null,
      off_image: null,
      copy_spread: null,
      rng: createRng(seed),
    },
  };
}

/** An arm in the planted child's frame. */
export function arm(role: ArmRole, name: string, dictionary: Dictionary): ArmInput {
  return {
    ...dictionary,
    role,
    arm: name,
    sae: "resid",
    seed: 0,
    frame,
    start: null,
    l0: 6,
    fvu: 0.05,
    ce_loss_score_zero: null,
  };
}

function plantFeature(planted: Planted, at: number, rng: Rng): Feature {
  if (planted === "split" || planted === "absorbed") return inPieces(planted, at, rng);
  if (planted === "merged") return mergedFeature(at, rng);
  const rate = planted === "unknown" ? 0.003 : 0.02 * 5 ** rng.next(); // 2% to 10%
  const active = (stream: Rng): number[] =>
    Array.from({ length: nTokens }, () => (stream.next() < rate ? 0.5 + stream.next() : 0));
  const inParent = active(rng.fork("parent"));
  const other = active(rng.fork("child"));
  const thinning = rng.fork("thinning");
  const direction = unitVector(width, rng.fork("direction"));
  const straight = [...direction, ...new Array<number>(childWidth - width).fill(0)];
  // A third of the tokens stay and others take the place of the rest: r near .35.
  const keep = planted === "drifted_meaning" ? 0.35 : 1;
  const inChild = inParent.map((x, t) => {
    if (planted === "uncertain") return thinning.next() < 0.55 ? x : 0;
    if (planted !== "drifted_meaning") return x;
    return thinning.next() < keep ? x : other[t];
  });
  const childDirection =
    planted === "drifted_direction"
      ? turned(straight, 60 + 30 * ((at % 4) / 3), rng.fork("turn"))
      : planted === "persisted"
        ? turned(straight, at % 2 === 0 ? 15 : 0, rng.fork("turn"))
        : straight;
  return {
    planted,
    parents: [{ active: inParent, direction, planted }],
    children: [{ active: inChild, direction: childDirection, planted }],
  };
}

/** Activity at a rate of 5% to 8%, values in [.5, 1.5): a third of it is still enough to be known. */
function activity(rng: Rng): number[] {
  const rate = 0.05 + 0.03 * rng.next();
  return Array.from({ length: nTokens }, () => (rng.next() < rate ? 0.5 + rng.next() : 0));
}

/** A parent feature whose firings two or three child features share out: alike (split), or a main heir in its direction and others (absorbed). */
function inPieces(planted: "split" | "absorbed", at: number, rng: Rng): Feature {
  const active = activity(rng.fork("parent"));
  const direction = unitVector(width, rng.fork("direction"));
  const straight = padded(Float32Array.from(direction));
  const pieces = 2 + (at % 2);
  const which = rng.fork("pieces");
  const heirShare = planted === "absorbed" ? 0.6 : 1 / pieces;
  const pieceOf = active.map(() =>
    which.next() < heirShare ? 0 : 1 + Math.floor(which.next() * (pieces - 1)),
  );
  return {
    planted,
    parents: [{ active, direction, planted }],
    children: Array.from({ length: pieces }, (_, piece) => ({
      active: active.map((x, t) => (pieceOf[t] === piece ? x : 0)),
      direction: turned(
        [...straight],
        planted === "split" ? 40 : piece === 0 ? 10 : 60,
        rng.fork(`turn ${piece}`),
      ),
      planted,
    })),
  };
}

/** Two or three parent features that never fire together, and the one child feature they became. */
function mergedFeature(at: number, rng: Rng): Feature {
  const active = activity(rng.fork("child"));
  const count = 2 + (at % 2);
  const which = rng.fork("parents");
  const parentOf = active.map(() => Math.floor(which.next() * count));
  const directions = Array.from({ length: count }, (_, k) =>
    unitVector(width, rng.fork(`direction ${k}`)),
  );
  const sum = directions[0].map((_, a) => directions.reduce((total, d) => total + d[a], 0));
  const length = Math.sqrt(sum.reduce((total, x) => total + x * x, 0));
  return {
    planted: "merged",
    parents: directions.map((direction, k) => ({
      active: active.map((x, t) => (parentOf[t] === k ? x : 0)),
      direction,
      planted: "merged",
    })),
    children: [
      {
        active,
        direction: [...padded(Float32Array.from(sum, (x) => x / length))],
        planted: "merged",
      },
    ],
  };
}

/** An oracle dictionary: every latent is one feature, its values off by up to 10%. */
function dictionary(features: readonly Trace[], d_in: number, rng: Rng): Dictionary {
  const codes = codesOf(
    Array.from({ length: nTokens }, (_, t) =>
      features.map(({ active }) => active[t] * (0.9 + 0.2 * rng.next())),
    ),
  );
  const W_dec = Float32Array.from(features.flatMap(({ direction }) => direction));
  const W_enc = new Float32Array(W_dec.length);
  features.forEach(({ direction }, i) => {
    for (let a = 0; a < d_in; a++) W_enc[a * features.length + i] = direction[a];
  });
  return { codes, d_in, W_dec, W_enc, lineage: null };
}

function* blocksOf(
  features: readonly Feature[],
  which: "parent" | "child",
  noise: Rng,
): Generator<Float32Array> {
  const d = which === "parent" ? width : childWidth;
  const rows = 500;
  for (let from = 0; from < nTokens; from += rows) {
    const block = Float32Array.from({ length: rows * d }, () => 0.03 * noise.normal());
    const traces = features.flatMap(({ parents, children }) =>
      which === "parent" ? parents : children,
    );
    for (const { active, direction } of traces) {
      for (let r = 0; r < rows; r++) {
        const x = active[from + r];
        if (x > 0) for (let a = 0; a < d; a++) block[r * d + a] += x * direction[a];
      }
    }
    yield block;
  }
}

function padded(rows: Float32Array): Float32Array {
  const n = rows.length / width;
  const out = new Float32Array(n * childWidth);
  for (let i = 0; i < n; i++) {
    out.set(rows.subarray(i * width, (i + 1) * width), i * childWidth);
  }
  return out;
}

function unitVector(n: number, rng: Rng): number[] {
  const raw = Array.from({ length: n }, () => rng.normal());
  const length = Math.sqrt(raw.reduce((sum, x) => sum + x * x, 0));
  return raw.map((x) => x / length);
}

/** A unit vector at `degrees` from v. */
function turned(v: readonly number[], degrees: number, rng: Rng): number[] {
  const other = unitVector(v.length, rng);
  const along = other.reduce((sum, x, a) => sum + x * v[a], 0);
  const across = other.map((x, a) => x - along * v[a]);
  const length = Math.sqrt(across.reduce((sum, x) => sum + x * x, 0));
  const angle = (degrees * Math.PI) / 180;
  return v.map((x, a) => Math.cos(angle) * x + (Math.sin(angle) * across[a]) / length);
}
