/**
 * @file Planted truth at the level of activations (methods.md §6): a parent and its grown child whose features are
 * known. Sources fire, each with a magnitude; a feature is a direction that is written when its sources fire. What
 * became of a feature is how the child reads the same sources: in the same direction or a turned one, in parts, joined
 * with another, or not at all. The child's activations right after growth are E h, E an isometry.
 */
import type { Rng } from "../../src/engine/index.ts";
import { type PlantedOptions, plantedDefaults } from "./options.ts";
import { isometry, randomDirection, turned } from "./random-directions.ts";

/** What may become of a feature of the parent. `borderline` has turned to where the floor of the cosine is: no verdict on it is wrong. */
export const parentKinds = [
  "persisted",
  "borderline",
  "drifted_direction",
  "drifted_meaning",
  "split",
  "absorbed",
  "merged",
  "died",
] as const;
/** One of {@link parentKinds}. */
export type ParentKind = (typeof parentKinds)[number];
/** The kinds of features of the child: that of the ancestor, or born. */
export type ChildKind = ParentKind | "born";

/** Something in the text that may fire on a token. */
export interface Source {
  /** Share of the tokens (of those on which `within` fires, where it is given). */
  readonly rate: number;
  /** A source without which this one doesn't fire; −1 = none. Always of a lower index. */
  readonly within: number;
  /** Its firings fall into this many kinds, by these shares; the sum is 1. */
  readonly parts: readonly number[];
  /** Whether a model with random weights sees it too, as it does a token's identity. */
  readonly byToken: boolean;
}

/** Firings that a feature answers to: all of a source or one part of it (−1 = all). */
export interface Trigger {
  readonly source: number;
  readonly part: number;
}

/** A feature of one model. */
export interface Feature<Kind> {
  readonly kind: Kind;
  readonly triggers: readonly Trigger[];
  /** The features of the other model that it became or came from. */
  readonly relatives: readonly number[];
  /** Angle in degrees between its direction and that of its first relative, mapped; NaN without one. */
  readonly angle: number;
}

/** The angle of a feature that the child has whole, kept or turned; NaN for the others. */
export function wholeAngle({ kind, angle }: Feature<string>): number {
  return ["persisted", "borderline", "drifted_direction"].includes(kind) ? angle : Number.NaN;
}

/** Two models' worth of features. */
export interface PlantedWorld {
  readonly options: PlantedOptions;
  readonly d: number;
  readonly D: number;
  readonly sources: readonly Source[];
  readonly parent: readonly Feature<ParentKind>[];
  readonly child: readonly Feature<ChildKind>[];
  readonly parentDirections: Float32Array; // [parent.length, d], unit norm
  readonly childDirections: Float32Array; // [child.length, D], unit norm
  /** What the activations vary around. */
  readonly parentOffset: Float32Array; // [d]
  /** The map right after growth, h_big = E h, with orthonormal columns, so that R = Eᵀ. */
  readonly E: Float64Array; // [D, d]
  /** How a model of the child's size with random weights sees the sources. */
  readonly randomWeights: Float32Array; // [sources.length, D]
}

/** Draws a world. The same options give the same world. */
export function plantWorld(rng: Rng, given: Partial<PlantedOptions> = {}): PlantedWorld {
  const options = { ...plantedDefaults(given.d ?? 48), ...given };
  const { d, D, counts, active, correlation } = options;
  const build = createBuilder(options, rng.fork("directions"));
  for (const kind of parentKinds) {
    for (let at = 0; at < counts[kind]; at++) build.feature(kind, at);
  }
  for (let at = 0; at < counts.born; at++) build.born();

  const { shapes, parent, child } = build;
  const rates = zipf(shapes.length, active, options.rare, rng.fork("rates"));
  // Where one of two merged features fires far more than the other, the child has that one and little else; and a
  // meaning has drifted when what came is about as frequent as what went.
  for (const { kind, triggers } of child) {
    if (kind !== "merged" && kind !== "drifted_meaning") continue;
    const [a, b] = triggers.map(({ source }) => source);
    rates[a] = (rates[a] + rates[b]) / 2;
    rates[b] = rates[a];
  }
  const token = rng.fork("by token");
  const nest = rng.fork("hierarchy");
  const sources = shapes.map(({ parts, share, mayNest }, s): Source => {
    // A nested source shares the firings of one before it, so that its own rate is a share of that one's.
    const isNested = mayNest && s > 0 && nest.next() < options.hierarchical;
    return {
      rate: isNested ? 0.1 + 0.25 * nest.next() : share * rates[s],
      within: isNested ? nest.int(s) : -1,
      parts,
      byToken: token.next() < options.byToken,
    };
  });
  for (const [s, source] of sources.entries()) {
    // Chains of three would leave too few firings to judge.
    if (source.within >= 0 && sources[source.within].within >= 0) {
      sources[s] = { ...source, within: -1, rate: rates[s] };
    }
  }
  if (!(correlation >= 0 && correlation < 1)) {
    throw new Error(`internal: a correlation of ${correlation} is not in [0, 1)`);
  }
  const offset = rng.fork("offset");
  const weights = rng.fork("random weights");
  return {
    options,
    d,
    D,
    sources,
    parent,
    child,
    parentDirections: Float32Array.from(build.parentDirections.flatMap((row) => [...row])),
    childDirections: Float32Array.from(build.childDirections.flatMap((row) => [...row])),
    parentOffset: Float32Array.from(randomDirection(d, offset)),
    E: build.E,
    randomWeights: Float32Array.from({ length: sources.length * D }, () => weights.normal()),
  };
}

interface Shape {
  readonly parts: readonly number[];
  /** Of the rate that a source would have on its own. */
  readonly share: number;
  /** Whether it may fire only within another. */
  readonly mayNest: boolean;
}

interface Builder {
  readonly shapes: Shape[];
  readonly parent: Feature<ParentKind>[];
  readonly child: Feature<ChildKind>[];
  readonly parentDirections: Float64Array[];
  readonly childDirections: Float64Array[];
  readonly E: Float64Array;
  feature(kind: ParentKind, at: number): void;
  born(): void;
}

function createBuilder({ d, D, angles, partAngle }: PlantedOptions, rng: Rng): Builder {
  const E = isometry(D, d, rng.fork("map"));
  const mapped = (row: Float64Array): Float64Array =>
    Float64Array.from({ length: D }, (_, a) => {
      let sum = 0;
      for (let b = 0; b < d; b++) sum += E[a * d + b] * row[b];
      return sum;
    });
  const out: Builder = {
    shapes: [],
    parent: [],
    child: [],
    parentDirections: [],
    childDirections: [],
    E,
    feature,
    born() {
      const s = addSource([1]);
      addChild("born", [{ source: s, part: -1 }], [], randomDirection(D, rng), Number.NaN);
    },
  };
  function addSource(parts: readonly number[], share = 1, mayNest = false): number {
    return out.shapes.push({ parts, share, mayNest }) - 1;
  }
  function addParent(kind: ParentKind, triggers: Trigger[], nRelatives: number, angle: number) {
    const direction = randomDirection(d, rng);
    const relatives = Array.from({ length: nRelatives }, (_, k) => out.child.length + k);
    out.parent.push({ kind, triggers, relatives, angle });
    out.parentDirections.push(direction);
    return mapped(direction);
  }
  function addChild(
    kind: ChildKind,
    triggers: Trigger[],
    relatives: number[],
    direction: Float64Array,
    angle: number,
  ): void {
    out.child.push({ kind, triggers, relatives, angle });
    out.childDirections.push(direction);
  }
  function feature(kind: ParentKind, at: number): void {
    const p = out.parent.length;
    if (kind === "split" || kind === "absorbed") {
      const parts =
        kind === "absorbed" ? [0.6, 0.4] : at % 2 === 0 ? [0.5, 0.5] : [0.35, 0.35, 0.3];
      const s = addSource(parts);
      // Where a feature is absorbed the general part keeps its direction.
      const turns = parts.map((_, part) => (kind === "absorbed" && part === 0 ? 0 : partAngle));
      const start = addParent(kind, [{ source: s, part: -1 }], parts.length, turns[0]);
      turns.forEach((angle, part) => {
        addChild(kind, [{ source: s, part }], [p], turned(start, angle, rng), angle);
      });
    } else if (kind === "merged") {
      const triggers = [0, 1].map(() => ({ source: addSource([1]), part: -1 }));
      const starts = triggers.map((trigger) => {
        const child = out.child.length;
        const start = addParent(kind, [trigger], 0, 45);
        out.parent[out.parent.length - 1] = {
          ...out.parent[out.parent.length - 1],
          relatives: [child],
        };
        return start;
      });
      const sum = starts[0].map((x, a) => x + starts[1][a]);
      const norm = Math.hypot(...sum);
      addChild(
        kind,
        triggers,
        [p, p + 1],
        sum.map((x) => x / norm),
        45,
      );
    } else if (kind === "drifted_meaning") {
      // A third of the firings stay and others take the place of the rest: a correlation near .35.
      const [kept, other] = [addSource([0.35, 0.65]), addSource([1], 0.65)];
      const start = addParent(kind, [{ source: kept, part: -1 }], 1, 0);
      const triggers = [
        { source: kept, part: 0 },
        { source: other, part: -1 },
      ];
      addChild(kind, triggers, [p], start, 0);
    } else if (kind === "died") {
      addParent(kind, [{ source: addSource([1]), part: -1 }], 0, Number.NaN);
    } else {
      const choices = angles[kind];
      const angle = choices[at % choices.length];
      const triggers = [{ source: addSource([1], 1, kind === "persisted"), part: -1 }];
      const start = addParent(kind, triggers, 1, angle);
      addChild(kind, triggers, [p], turned(start, angle, rng), angle);
    }
  }
  return out;
}

/** Rates that fall off as a power law, in random order, with `active` firings a token in all; a share `rare` of them a tenth of that. */
function zipf(n: number, active: number, rare: number, rng: Rng): Float64Array {
  const order = Int32Array.from({ length: n }, (_, i) => i);
  rng.shuffle(order);
  const raw = Float64Array.from(order, (rank) => (rank + 3) ** -0.5);
  const total = raw.reduce((sum, rate) => sum + rate, 0);
  const uncommon = rng.fork("rare");
  return raw.map((rate) => {
    const own = Math.min(0.3, (rate * active) / total);
    return uncommon.next() < rare ? own / 10 : own;
  });
}
