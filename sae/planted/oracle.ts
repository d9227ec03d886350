/**
 * @file Oracle dictionaries for a planted world: one latent for each feature, its values off by up to a tenth, so that
 * what is tested is the rule and not the training of SAEs. The carried dictionary keeps the parent's indices: where a
 * feature is gone its latent is silent and its direction unmoved, as trained SAEs leave it. Some features are kept from
 * a dictionary though the model has them, or the other way round, for the verdicts that are about dictionaries.
 */
import type { Rng } from "../../src/engine/index.ts";
import {
  type ActivationStream,
  type ArmInput,
  type Dictionary,
  type PersistenceInput,
  persistenceDefaults,
} from "../persistence/index.ts";
import type { SparseCodes } from "../sae.ts";
import {
  activationRows,
  drawFirings,
  featureCodes,
  mapRows,
  type Side,
  widthOf,
} from "./firings.ts";
import { frameOf } from "./frame.ts";
import { type PlantedWorld, wholeAngle } from "./world.ts";

/** How many of the features that persist are treated in another way; fewer where there are not enough to choose from. */
export interface OracleOptions {
  /** Still in the child, with no latent in any of its dictionaries. */
  readonly lost: number;
  /** In the parent's model already, with no latent in its dictionary. */
  readonly uncovered: number;
  /** Gone from the child and from its fresh SAEs, but firing on in the carried one. */
  readonly carriedOnly: number;
  readonly freshSeeds: number;
  readonly heldOut: number;
  readonly sequenceLength: number;
}

/** Defaults of {@link OracleOptions}. */
export const oracleDefaults: OracleOptions = {
  lost: 3,
  uncovered: 3,
  carriedOnly: 3,
  freshSeeds: 2,
  heldOut: 10_000,
  sequenceLength: 50,
};

/** A comparison of oracle dictionaries, and the verdict that is right for each latent. */
export interface OracleRun {
  readonly input: PersistenceInput;
  /** `too rare` where a feature that it became fires less often than anything is judged by. */
  readonly parentTruth: readonly string[];
  /** Of the carried dictionary's latents; `silent` for those without a feature. */
  readonly childTruth: readonly string[];
  /** Planted angles of features that were kept whole or turned, NaN for the others. */
  readonly parentAngles: readonly number[];
}

/** Builds the dictionaries and what they fire on. */
export function oracleInput(
  world: PlantedWorld,
  rng: Rng,
  given: Partial<OracleOptions> = {},
): OracleRun {
  const options = { ...oracleDefaults, ...given };
  const special = specialFeatures(world, options);
  const parentHas = [...world.parent.keys()].filter((p) => special.get(p) !== "uncovered");
  const firings = drawFirings(world, options.heldOut, rng.fork("held out"));
  const parentTrue = featureCodes(world.parent, firings);
  const childTrue = featureCodes(world.child, firings);

  // The heir of a parent's latent: its feature's first descendant that no earlier latent has taken.
  const taken = new Set<number>();
  const heirs = parentHas.map((p) => {
    const what = special.get(p);
    const heir = world.parent[p].relatives.find((c) => !taken.has(c)) ?? -1;
    if (heir >= 0) taken.add(heir);
    return what === "lost_by_sae" ? -1 : heir;
  });
  const rest = [...world.child.keys()].filter((c) => !taken.has(c));
  const childHas = [...heirs, ...rest];
  const mapped = mapRows(world, rowsOf(world.parentDirections, parentHas, world.d));
  const carriedDirections = rowsOf(world.childDirections, childHas, world.D);
  for (const [i, heir] of heirs.entries()) {
    if (heir < 0) carriedDirections.set(row(mapped, i, world.D), i * world.D);
  }
  const inModel = (c: number): boolean => {
    const what = special.get(world.child[c].relatives[0] ?? -1);
    return what !== "carried_only" && what !== "lost_by_sae";
  };
  const arm = (role: "carried" | "fresh", name: string, dictionary: Dictionary): ArmInput => ({
    ...dictionary,
    role,
    arm: name,
    sae: "planted",
    seed: 0,
    frame: frameOf(world),
    start: null,
    l0: null,
    fvu: null,
    ce_loss_score_zero: null,
  });
  const fresh = Array.from({ length: options.freshSeeds }, (_, seed) => {
    const order = Int32Array.from([...world.child.keys()].filter(inModel));
    rng.fork(`order ${seed}`).shuffle(order);
    const directions = rowsOf(world.childDirections, [...order], world.D);
    const codes = chosenCodes(childTrue, [...order], rng.fork(`fresh ${seed}`));
    return arm("fresh", `fresh-${seed}`, dictionaryOf(codes, world.D, directions));
  });
  const carried = chosenCodes(childTrue, childHas, rng.fork("carried"));
  // A feature that only the carried SAE has is not in the child's activations.
  const gone = world.child.map(
    (_, c) => special.get(world.child[c].relatives[0] ?? -1) === "carried_only",
  );
  const stream = (side: Side): ActivationStream => ({
    dIn: widthOf(world, side),
    blocks: [
      activationRows(
        side === "child" ? without(world, gone) : world,
        side,
        firings,
        rng.fork(`noise ${side}`),
      ),
    ],
  });
  const parentCodes = chosenCodes(parentTrue, parentHas, rng.fork("parent"));
  const fired = new Int32Array(world.child.length);
  for (const c of childTrue.latent) fired[c]++;
  const isTooRare = (p: number): boolean =>
    world.parent[p].relatives.some((c) => fired[c] < persistenceDefaults.minFirings);
  return {
    parentTruth: parentHas.map(
      (p) => special.get(p) ?? (isTooRare(p) ? "too rare" : world.parent[p].kind),
    ),
    childTruth: childHas.map((c) => (c < 0 ? "silent" : childTruthOf(world, c, special))),
    parentAngles: parentHas.map((p) => (special.has(p) ? Number.NaN : wholeAngle(world.parent[p]))),
    input: {
      stage: "planted",
      name: "planted",
      parent: dictionaryOf(
        parentCodes,
        world.d,
        rowsOf(world.parentDirections, parentHas, world.d),
      ),
      arms: [
        arm("carried", "carried", dictionaryOf(carried, world.D, carriedDirections)),
        ...fresh,
      ],
      sequenceLength: options.sequenceLength,
      probes: { parent: stream("parent"), child: stream("child"), random: stream("random") },
      curves: null,
      off_image: null,
      copy_spread: null,
      rng: rng.fork("compare"),
    },
  };
}

/**
 * Features that persist, by what is done with them: turned by nothing, out of a random model's sight, and with no
 * other nested in them or around them, which would be left in their place.
 */
function specialFeatures(
  { parent, sources }: PlantedWorld,
  { lost, uncovered, carriedOnly }: OracleOptions,
): ReadonlyMap<number, string> {
  const holds = new Set(sources.map(({ within }) => within));
  const free = [...parent.keys()].filter((p) => {
    const { kind, angle, triggers } = parent[p];
    const { source } = triggers[0];
    const isAlone = sources[source].within < 0 && !holds.has(source);
    return kind === "persisted" && angle === 0 && isAlone && !sources[source].byToken;
  });
  const left = { lost_by_sae: lost, uncovered, carried_only: carriedOnly };
  const wanted: (keyof typeof left)[] = [];
  while (Object.values(left).some((n) => n > 0)) {
    for (const what of ["lost_by_sae", "uncovered", "carried_only"] as const) {
      if (left[what]-- > 0) wanted.push(what);
    }
  }
  return new Map(wanted.slice(0, free.length).map((what, at) => [free[at], what]));
}

function childTruthOf(
  { child }: PlantedWorld,
  c: number,
  special: ReadonlyMap<number, string>,
): string {
  const { kind, relatives } = child[c];
  return special.get(relatives[0] ?? -1) ?? kind;
}

/** The world without some of the child's features. */
function without(world: PlantedWorld, gone: readonly boolean[]): PlantedWorld {
  return {
    ...world,
    child: world.child.map((feature, c) => (gone[c] ? { ...feature, triggers: [] } : feature)),
  };
}

/** The codes of some features as latents in the order given, −1 a silent one, each value times 0.9 to 1.1. */
function chosenCodes(codes: SparseCodes, chosen: readonly number[], rng: Rng): SparseCodes {
  const place = new Map<number, number>();
  for (const [latent, feature] of chosen.entries()) if (feature >= 0) place.set(feature, latent);
  const rowStart = new Int32Array(codes.nTokens + 1);
  const latent: number[] = [];
  const value: number[] = [];
  for (let t = 0; t < codes.nTokens; t++) {
    const row: [number, number][] = [];
    for (let p = codes.rowStart[t]; p < codes.rowStart[t + 1]; p++) {
      const to = place.get(codes.latent[p]);
      if (to !== undefined) row.push([to, codes.value[p] * (0.9 + 0.2 * rng.next())]);
    }
    for (const [to, size] of row.sort(([a], [b]) => a - b)) {
      latent.push(to);
      value.push(size);
    }
    rowStart[t + 1] = latent.length;
  }
  return {
    nTokens: codes.nTokens,
    dSae: chosen.length,
    rowStart,
    latent: Int32Array.from(latent),
    value: Float32Array.from(value),
  };
}

/** A dictionary that reads where it writes. */
function dictionaryOf(codes: SparseCodes, d_in: number, W_dec: Float32Array): Dictionary {
  const n = codes.dSae;
  const W_enc = new Float32Array(W_dec.length);
  for (let i = 0; i < n; i++) for (let a = 0; a < d_in; a++) W_enc[a * n + i] = W_dec[i * d_in + a];
  return { codes, d_in, W_dec, W_enc, lineage: null };
}

function rowsOf(rows: Float32Array, chosen: readonly number[], width: number): Float32Array {
  const out = new Float32Array(chosen.length * width);
  for (const [i, c] of chosen.entries()) if (c >= 0) out.set(row(rows, c, width), i * width);
  return out;
}

function row(rows: Float32Array, i: number, width: number): Float32Array {
  return rows.subarray(i * width, (i + 1) * width);
}
