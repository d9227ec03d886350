/**
 * Finding a circuit and judging it. Nodes are ranked by attribution on the discovery prompts; the
 * circuit is the smallest swept prefix of that ranking whose faithfulness there reaches the target
 * (Tigges et al. 2024 take .8), and everything that is reported about it is measured on the other
 * prompts: faithfulness, completeness (the same ratio for the complement; low is good), a sweep over
 * sizes with CPR and CMD (MIB, Mueller et al. 2025), and random circuits of the same size, drawn from
 * the nodes with any attribution at all, freely and with the same number of each type.
 */
import type { Rng } from "../src/engine/index.ts";
import type { CircuitNode, NodeRef } from "./nodes.ts";
import { type PatchSetting, runCircuit } from "./patching.ts";
import { deviation, faithfulness, mean, type Score, unstable } from "./statistics.ts";

/** One size of the sweep; null where m(M) − m(∅) is too small to divide by. */
export interface SweepRow {
  readonly n: number;
  readonly faithfulness: number | null;
  readonly completeness: number | null;
  /** Mean faithfulness of random circuits of n nodes. */
  readonly random: number | null;
}

/** Faithfulness of random circuits. */
export interface RandomScore {
  readonly mean: number | null;
  readonly sd: number | null;
  readonly draws: number;
}

/** All that is measured about one circuit. */
export interface CircuitScores {
  readonly faithfulness: Score;
  readonly completeness: number | null;
  /** Faithfulness without the SAE's error node: what the named nodes do alone. Null without an SAE. */
  readonly without_error: number | null;
  readonly random: RandomScore;
  readonly random_same_kinds: RandomScore;
}

/** 1, 2, 4, … below `count`, and `count`. */
export function sweepSizes(count: number): number[] {
  const sizes: number[] = [];
  for (let n = 1; n < count; n *= 2) sizes.push(n);
  return count > 0 ? [...sizes, count] : sizes;
}

/** (m(C) − m(∅)) / (m(M) − m(∅)) of a circuit or its complement, without an interval. */
export function ratio(
  setting: PatchSetting,
  nodes: readonly NodeRef[],
  complement = false,
): number {
  const base = mean(setting.empty);
  const value = mean(runCircuit(setting, nodes, { complement }));
  return (value - base) / (mean(setting.clean.metric) - base);
}

/** How many of the ranked nodes make the circuit. */
export function chooseSize(
  setting: PatchSetting,
  ranked: readonly CircuitNode[],
  { target, most }: { target: number; most: number },
): { size: number; reached: boolean } {
  const limit = Math.min(most, ranked.length);
  if (unstable(setting.clean.metric, setting.empty) === null) {
    for (const n of sweepSizes(limit)) {
      if (ratio(setting, ranked.slice(0, n)) >= target) return { size: n, reached: true };
    }
  }
  return { size: limit, reached: false };
}

/** Faithfulness, completeness and a random control at growing sizes, up to every ranked node. */
export function sweep(
  setting: PatchSetting,
  ranked: readonly CircuitNode[],
  draws: number,
  rng: Rng,
): SweepRow[] {
  const stable = unstable(setting.clean.metric, setting.empty) === null;
  return sweepSizes(ranked.length).map((n) => {
    if (!stable) return { n, faithfulness: null, completeness: null, random: null };
    const nodes = ranked.slice(0, n);
    const random = randomScore(setting, () => randomNodes(ranked, n, rng), draws);
    return {
      n,
      faithfulness: ratio(setting, nodes),
      completeness: ratio(setting, nodes, true),
      random: n === ranked.length ? null : random.mean,
    };
  });
}

/** Areas over the share of nodes kept: CPR = ∫ f, CMD = ∫ |1 − f| (trapezoids, from f(0) = 0). Null where a row is. */
export function sweepAreas(rows: readonly SweepRow[]): { cpr: number | null; cmd: number | null } {
  const total = rows.at(-1)?.n;
  if (total === undefined || rows.some((row) => row.faithfulness === null)) {
    return { cpr: null, cmd: null };
  }
  let cpr = 0;
  let cmd = 0;
  let before = { n: 0, f: 0 };
  for (const { n, faithfulness } of rows) {
    const f = faithfulness!;
    const width = (n - before.n) / total;
    cpr += (width * (f + before.f)) / 2;
    cmd += (width * (Math.abs(1 - f) + Math.abs(1 - before.f))) / 2;
    before = { n, f };
  }
  return { cpr, cmd };
}

/** Scores a circuit against random ones drawn from `candidates`, the nodes with any attribution. */
export function scoreCircuit(
  setting: PatchSetting,
  circuit: readonly CircuitNode[],
  candidates: readonly CircuitNode[],
  draws: number,
  rng: Rng,
): CircuitScores {
  const none: RandomScore = { mean: null, sd: null, draws: 0 };
  const reason = unstable(setting.clean.metric, setting.empty);
  if (reason !== null) {
    return {
      faithfulness: { value: null, ci: null, reason },
      completeness: null,
      without_error: null,
      random: none,
      random_same_kinds: none,
    };
  }
  const free = rng.fork("random");
  const kinds = rng.fork("random same kinds");
  return {
    faithfulness: faithfulness(
      runCircuit(setting, circuit),
      setting.clean.metric,
      setting.empty,
      rng.fork("bootstrap"),
    ),
    completeness: ratio(setting, circuit, true),
    without_error: setting.dictionary
      ? ratio(
          setting,
          circuit.filter((node) => node.type !== "error"),
        )
      : null,
    random: randomScore(setting, () => randomNodes(candidates, circuit.length, free), draws),
    random_same_kinds: randomScore(
      setting,
      () => randomSameKinds(candidates, circuit, kinds),
      draws,
    ),
  };
}

/** n of the candidates, without repetition. */
export function randomNodes<T extends NodeRef>(candidates: readonly T[], n: number, rng: Rng): T[] {
  const order = Int32Array.from(candidates.keys());
  rng.shuffle(order);
  return Array.from(order.subarray(0, n), (i) => candidates[i]);
}

/** As many candidates of each type as the circuit has. */
export function randomSameKinds<T extends NodeRef>(
  candidates: readonly T[],
  circuit: readonly NodeRef[],
  rng: Rng,
): T[] {
  return (["head", "mlp", "latent", "error"] as const).flatMap((type) => {
    const count = circuit.filter((node) => node.type === type).length;
    return randomNodes(
      candidates.filter((node) => node.type === type),
      count,
      rng,
    );
  });
}

function randomScore(
  setting: PatchSetting,
  draw: () => readonly NodeRef[],
  draws: number,
): RandomScore {
  const values = Array.from({ length: draws }, () => ratio(setting, draw()));
  return draws === 0
    ? { mean: null, sd: null, draws }
    : { mean: mean(values), sd: deviation(values), draws };
}
