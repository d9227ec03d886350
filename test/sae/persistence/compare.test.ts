import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import {
  type ArmInput,
  comparePersistence,
  type Dictionary,
  identityFrame,
  type Persistence,
  type PersistenceInput,
  persistenceColumns,
} from "../../../sae/persistence/index.ts";
import { createRng } from "../../../src/engine/random.ts";
import { readArrow, UsageError, writeArrowTable } from "../../../src/io/index.ts";
import { arm, childWidth, frame, plant } from "./planted.ts";
import { codesOf, randomTable, tableOf } from "./support.ts";

const folder = mkdtempSync(join(tmpdir(), "persistence-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The parent carried and not trained: its decoder under E, its codes up to rounding, and latents appended behind. */
function justCarried(parent: Dictionary, appended = 8): Dictionary {
  const table = tableOf(parent.codes);
  const rng = createRng("just carried");
  const latents = parent.codes.dSae + appended;
  const decoder = new Float32Array(latents * childWidth);
  decoder.set(frame.decoder(parent.W_dec));
  for (let at = parent.W_dec.length; at < decoder.length; at++) decoder[at] ||= rng.normal() * 0.1;
  return {
    codes: codesOf(
      table.map((row) => [
        ...row.map((x) => x * (1 + 1e-6 * rng.normal())),
        ...Array.from({ length: appended }, () => (rng.next() < 0.002 ? 0.1 : 0)),
      ]),
    ),
    d_in: childWidth,
    W_dec: decoder,
    W_enc: new Float32Array(latents * childWidth).fill(1),
    lineage: lineageOf(parent.codes.dSae, latents),
  };
}

function lineageOf(carried: number, all: number) {
  return {
    stage: Array.from({ length: all }, (_, j) => (j < carried ? "00-base" : "01-wider")),
    parent: Int32Array.from({ length: all }, (_, j) => (j < carried ? j : -1)),
  };
}

/** The carried SAE trained on a child with random weights: directions hardly moved, firings its own. */
function reinitialised(parent: Dictionary): Dictionary {
  const carried = justCarried(parent, 0);
  const rng = createRng("reinit");
  const rates = Array.from({ length: parent.codes.dSae }, () => 0.02 + 0.08 * rng.next());
  const parentTable = tableOf(parent.codes);
  return {
    ...carried,
    // Latents 0 and 1 read a token's identity, which random weights keep.
    codes: codesOf(
      parentTable.map((row) =>
        rates.map((rate, j) => (j < 2 ? row[j] : rng.next() < rate ? 0.5 + rng.next() : 0)),
      ),
    ),
    W_dec: carried.W_dec.map((x) => x + 0.03 * rng.normal()),
  };
}

const withControls = (parent: Dictionary): ArmInput[] => [
  arm("carried-start", "carried-start", justCarried(parent)),
  arm("reinit", "reinit", reinitialised(parent)),
  { ...arm("frozen", "frozen", justCarried(parent)), l0: 9 },
];

describe("comparePersistence on planted data", () => {
  it("says yes before any training and no on random weights, by the same rule", async () => {
    const { document } = await comparePersistence(plant(3, withControls).input);
    expect(document.start_kept.value).toBeGreaterThanOrEqual(0.99);
    expect(document.reinit_persisted.value).toBeLessThanOrEqual(0.05);
    expect(document.reinit_persisted.ci![1]).toBeLessThan(0.1);
    // A cosine to the own start would have called nearly all of them persisted.
    expect(document.inertia.reinit).toBeGreaterThan(0.85);
    expect(document.histograms.cosine.reinit.slice(34).reduce((a, b) => a + b)).toBeGreaterThan(50);
  });

  it("keeps at least 99% in a table of its own when nothing was trained, redundant latents included", async () => {
    const { input } = plant(4);
    const table = tableOf(input.parent.codes);
    const n = input.parent.codes.dSae;
    // Copies of latents 0–3 with another scale, and a tight companion of latent 4.
    const rng = createRng("copies");
    const parent: Dictionary = {
      ...input.parent,
      codes: codesOf(
        table.map((row) => [
          ...row,
          ...row.slice(0, 4).map((x) => 2 * x),
          rng.next() < 0.97 ? row[4] : 0,
        ]),
      ),
      W_dec: Float32Array.from([...input.parent.W_dec, ...input.parent.W_dec.slice(0, 5 * 96)]),
      W_enc: new Float32Array(96 * (n + 5)).fill(1),
    };
    const start = justCarried(parent);
    const { document, rows } = await comparePersistence({
      ...input,
      parent,
      arms: [arm("carried", "carried", start)],
    });
    const { persisted, carried_only } = document.counts;
    expect((persisted + carried_only) / document.eligible).toBeGreaterThanOrEqual(0.99);
    expect(rows.verdict[n]).toBe(rows.verdict[0]);
    expect(rows.verdict_detail[n]).toMatch(/^one of 2 redundant latents, judged by /);
    expect(document.inertia.carried).toBe(1);
    expect(rows.lineage_parent.slice(n + 5, n + 8)).toEqual([0, 1, 2]);
    expect(rows.lineage_parent.at(-1)).toBeNull();
  });

  it("gives the same document and the same Arrow bytes for the same seed", async () => {
    const once = async (name: string): Promise<[string, Buffer]> => {
      const { document, rows } = await comparePersistence(plant(5, withControls).input);
      const path = join(folder, name);
      writeArrowTable(path, persistenceColumns(rows));
      return [JSON.stringify(document), readFileSync(path)];
    };
    const [first, second] = [await once("a.arrow"), await once("b.arrow")];
    expect(second[0]).toBe(first[0]);
    expect(second[1].equals(first[1])).toBe(true);
    expect(first[0]).not.toContain("NaN");
  });

  it("stores one row per latent of either side, with nulls for what was not measured", async () => {
    const { input } = plant(6);
    const { rows, document } = await comparePersistence(input);
    const path = join(folder, "rows.arrow");
    writeArrowTable(path, persistenceColumns(rows));
    const table = readArrow(path);
    const n = input.parent.codes.dSae + input.arms[0].codes.dSae;
    expect(table.strings("verdict")).toHaveLength(n);
    for (const column of persistenceColumns(rows)) expect(column.values).toHaveLength(n);
    expect(table.value("effect_cos", 0)).toBeNull();
    // The child writes a persisted feature as the parent did, and a dead one not at all.
    expect(table.value("beta", rows.verdict.indexOf("persisted"))).toBeCloseTo(1, 0);
    expect(Math.abs(Number(table.value("beta", rows.verdict.indexOf("died"))))).toBeLessThan(0.1);
    expect(table.value("beta", n - 1)).toBeNull();
    const split = rows.verdict.indexOf("split");
    expect(rows.matches[split].length).toBeGreaterThan(1);
    expect(rows.set_gain[split]).toBeGreaterThan(0.1);
    expect(rows.set_q[split]).toBeLessThanOrEqual(0.05);
    expect(rows.set_fresh_rate[split]).toBe(1);
    expect(rows.set_seed_rate[split]).toBeNaN();
    expect(rows.corr_lo[0]).toBeLessThan(rows.corr[0]);
    expect(rows.corr_hi[0]).toBeGreaterThan(rows.corr[0]);
    expect(rows.probe_own[0]).toBeGreaterThan(rows.probe_random[0] + 0.1);
    // A child latent that several merged into names them all; a piece names what it is a piece of.
    const merged = rows.verdict.lastIndexOf("merged");
    expect(rows.side[merged]).toBe("child");
    for (const i of rows.matches[merged]) {
      expect(rows.verdict[i]).toBe("merged");
      expect(rows.matches[i]).toEqual([rows.latent[merged]]);
    }
    expect(table.value("side", n - 1)).toBe("child");
    expect(table.value("corr", 0)).toBeGreaterThan(0.9);
    expect(table.value("cos_whitened", 0)).toBeGreaterThan(0);
    expect(table.value("null_cos_p99", 0)).toBeCloseTo(document.thresholds.cosine.null_p99!, 5);
    expect(table.value("null_corr_p99", 0)).toBeLessThan(0.5);
    const counted = rows.verdict.filter(
      (verdict, row) => rows.side[row] === "parent" && verdict === "persisted",
    ).length;
    expect(document.counts.persisted).toBe(counted);
  });
});

// A small case with every arm: 24 latents, the child's codes noisy copies.
const tokens = 1500;
function noisy(seed: string, keep: number): Dictionary {
  const rng = createRng(seed);
  const base = randomTable("shared", tokens, 24, 0.08);
  const noise = randomTable(seed, tokens, 24, 0.08);
  return {
    codes: codesOf(base.map((row, t) => row.map((x, j) => (rng.next() < keep ? x : noise[t][j])))),
    d_in: 12,
    W_dec: Float32Array.from({ length: 24 * 12 }, (_, at) => Math.sin(at * at)),
    W_enc: new Float32Array(24 * 12).fill(1),
    lineage: lineageOf(24, 24),
  };
}
function small(arms: ArmInput[], change: Partial<PersistenceInput> = {}): PersistenceInput {
  return {
    stage: "02-deeper",
    name: "resid",
    parent: noisy("parent", 1),
    arms,
    sequenceLength: 15,
    probes: null,
    curves: null,
    off_image: 0.1,
    copy_spread: null,
    rng: createRng(1),
    options: { replicates: 100, shiftDraws: 100 },
    ...change,
  };
}
function smallArm(role: ArmInput["role"], name: string, keep: number): ArmInput {
  return { ...arm(role, name, noisy(name, keep)), frame: identityFrame };
}
const run = (arms: ArmInput[], change?: Partial<PersistenceInput>): Promise<Persistence> =>
  comparePersistence(small(arms, change));

describe("comparePersistence with all arms", () => {
  const all = [
    smallArm("carried", "carried", 0.9),
    smallArm("fresh", "fresh-1", 0.85),
    smallArm("fresh", "fresh-2", 0.3),
    smallArm("same-model", "same-model", 0.99),
    smallArm("fresh-parent", "fresh-parent-1", 0.9),
    {
      ...smallArm("carried-scratch", "carried-scratch", 0),
      frame: null,
      start: noisy("x", 1).W_dec,
    },
    { ...smallArm("scratch", "scratch-1", 0), frame: null },
    smallArm("no-expand", "no-expand", 0.9),
  ];

  it("fills the cells, the estimands and the arms", async () => {
    const { document } = await run(all, {
      curves: {
        carried: [
          { tokens: 0, fvu: 0.2 },
          { tokens: 100, fvu: 0.1 },
        ],
        fresh: [
          [
            { tokens: 0, fvu: 1 },
            { tokens: 200, fvu: 0.15 },
          ],
        ],
      },
    });
    const { cells } = document;
    expect(cells.CG).toMatchObject({ function: 1, match: 1 });
    expect(cells.FG!.function).toBeCloseTo(0.5, 1);
    expect(cells.CS).toMatchObject({ function: 0, match: 0 });
    expect(document.corrected.value).toBeCloseTo(1, 12);
    expect(document.inheritance.value).toBeCloseTo(cells.FG!.function! - cells.FS!.function!, 12);
    expect(document.carry_bonus.value).toBeCloseTo(1 - document.inheritance.value!, 12);
    expect(document.tokens_ratio).toBeCloseTo(50 / 200, 12);
    expect(document.inertia).toEqual({
      carried: 1,
      carried_scratch: 1,
      reinit: null,
      rotated: null,
    });
    expect(document.off_image).toBe(0.1);
    expect(document.arms.map(({ arm: name }) => name)).toEqual(all.map(({ arm: name }) => name));
    expect(document.arms[0]).toMatchObject({ matched: true, function: 1 });
    // Two seeds, one good and one bad: the interval spans both.
    expect(cells.FG!.ci![1] - cells.FG!.ci![0]).toBeGreaterThan(0.5);
    expect(document.warnings).toEqual(
      expect.arrayContaining([
        "one seed of scratch, fresh-parent: intervals leave out how much seeds differ",
        "2 seeds of fresh: how much seeds differ is drawn from these 2 alone, so intervals can be too narrow; 4 or more tell more",
      ]),
    );
  });

  it("has no cell, and no estimand that needs it, where a stage lacks the arm", async () => {
    const { document } = await run(all.slice(0, 4));
    expect(document.cells.CS).toBeNull();
    expect(document.corrected).toEqual({ value: null, ci: null });
    expect(document.inheritance.of_findable).toBeNull();
    expect(document.reinit_persisted.value).toBeNull();
    expect(document.start_kept.value).toBeNull();
    expect(document.inertia.carried_scratch).toBeNull();
  });

  it("says unknown where enough fresh parent seeds never found a latent, and leaves it out of the headline", async () => {
    const seeds = [1, 2, 3].map((s) => {
      const found = smallArm("fresh-parent", `fresh-parent-${s}`, 0.95);
      const table = tableOf(found.codes).map(([, ...rest]) => [0, ...rest]);
      return { ...found, codes: codesOf(table) };
    });
    const { document, rows } = await run([all[0], all[1], ...seeds]);
    expect(rows.verdict[0]).toBe("unknown");
    expect(document.eligible).toBe(23);
    expect(document.counts.unknown).toBe(1);
    expect(document.persisted.value).toBe(1);
    expect(rows.parent_seed_rate[1]).toBe(1);
    const { rows: twoSeeds } = await run([all[0], all[1], ...seeds.slice(0, 2)]);
    expect(twoSeeds.verdict[0]).toBe("persisted");
  });

  it("can compare two SAEs without a map: no cosine, no drift, and it says so", async () => {
    const { document, rows } = await run([{ ...all[0], frame: null, lineage: null }, all[1]]);
    expect(document.thresholds.cosine).toEqual({ floor: 0.7, null_p99: null, used: 0.7 });
    expect(rows.cos[0]).toBeNaN();
    expect(rows.verdict[0]).toBe("persisted");
    expect(document.warnings).toContainEqual(expect.stringContaining("no expansion map"));
  });

  it("warns of arms of another L0 or FVU, of single seeds and of missing witnesses", async () => {
    const { document } = await run([
      all[0],
      { ...all[1], l0: 6.4 },
      { ...all[3], l0: 6.2, fvu: null },
    ]);
    expect(document.arms.map(({ matched }) => matched)).toEqual([true, false, null]);
    expect(document.warnings).toContain(
      "L0 or FVU differ by more than 5% from the carried arm: fresh-1",
    );
    expect(document.warnings).toContainEqual(
      expect.stringMatching(/^one seed of fresh: intervals leave out/),
    );
    const { document: alone } = await run([all[0]]);
    expect(alone.warnings).toContainEqual(expect.stringContaining("nothing can witness"));
    expect(alone.counts.persisted).toBe(0);
  });

  it("warns when its own checks fail", async () => {
    const { document } = await run([
      all[0],
      all[1],
      { ...all[0], role: "reinit", arm: "reinit" },
      { ...smallArm("carried-start", "carried-start", 0.2) },
    ]);
    expect(document.warnings.filter((text) => text.endsWith("can't be trusted"))).toHaveLength(2);
  });

  it("says of a growth that is not exact what it changed, and blames no check for it", async () => {
    const inexact = {
      method: "stack",
      through: "fitted",
      r2: 0.8721,
      loss_parent: 4.1,
      loss_child: 4.612,
    } as const;
    const start = smallArm("carried-start", "carried-start", 0.2);
    const { document } = await run([all[0], all[1], start], { inexact });
    const kept = (100 * (document.start_kept.value as number)).toFixed(1);
    expect(document.warnings).toContain(
      "growth by stack is not exact: the loss went from 4.100 to 4.612 nats at once; the method has no map at this SAE's hook: one fitted on text took its place, which explains 87.2% of the variance there",
    );
    expect(document.warnings).toContain(
      `${kept}% are kept before any training: what growth itself lost counts as lost`,
    );
    expect(document.warnings.join()).not.toContain("can't be trusted");
  });

  it("holds the check against a hook that is exact under such a growth", async () => {
    const inexact = {
      method: "stack",
      through: "exact",
      r2: null,
      loss_parent: null,
      loss_child: null,
    } as const;
    const start = smallArm("carried-start", "carried-start", 0.2);
    const { document } = await run([all[0], all[1], start], { inexact });
    expect(document.warnings).toContain(
      "growth by stack is not exact; at this SAE's hook the map is exact all the same",
    );
    expect(document.warnings.join()).toContain("can't be trusted");
  });
});

describe("comparePersistence at the edges", () => {
  const tiny = (rows: number[][], role: ArmInput["role"] = "carried"): ArmInput => ({
    ...arm(role, role, {
      codes: codesOf(rows),
      d_in: 2,
      W_dec: Float32Array.of(1, 0, 0, 1),
      W_enc: Float32Array.of(1, 0, 0, 1),
      lineage: null,
    }),
    frame: identityFrame,
  });

  it("reports nothing on a single token, and fails at nothing", async () => {
    const { document, rows } = await comparePersistence(
      small([tiny([[1, 0]])], { parent: tiny([[1, 2]]) }),
    );
    expect(document.eligible).toBe(0);
    expect(document.persisted).toEqual({ value: null, ci: null });
    expect(document.cells.CG).toEqual({ function: null, match: null, ci: null });
    expect(document.warnings).toContainEqual(expect.stringContaining("nothing to compare"));
    expect(rows.verdict).toEqual(["unknown", "unknown", "unknown", "unknown"]);
    expect(JSON.stringify(document)).not.toContain("NaN");
  });

  it("has values but no interval and no ratio on a single sequence", async () => {
    const { document } = await run([smallArm("carried", "carried", 0.9)], {
      sequenceLength: tokens,
    });
    expect(document.cells.CG!.function).toBe(1);
    expect(document.cells.CG!.ci).toBeNull();
    expect(document.persisted.ci).toBeNull();
  });

  it("refuses what does not fit together, naming the arm", async () => {
    const carried = smallArm("carried", "carried", 0.9);
    const spoiled = carried.W_dec.slice();
    spoiled[5] = Number.NaN;
    const value = carried.codes.value.slice();
    value[3] = Number.NaN;
    const cases: [ArmInput[], string][] = [
      [[], "arms: expected one carried arm"],
      [[carried, { ...carried, arm: "again" }], "arms: expected one carried arm"],
      [[{ ...carried, W_dec: spoiled }], "arm carried: W_dec: expected finite numbers"],
      [[{ ...carried, W_enc: spoiled.slice(1) }], "arm carried: W_enc: expected 288 numbers"],
      [
        [{ ...carried, codes: { ...carried.codes, value } }],
        "arm carried: codes: value: expected positive",
      ],
      [[tiny([[1, 0]])], "arm carried: codes: expected 1500 rows"],
      [[{ ...carried, start: new Float32Array(3) }], "arm carried: start: expected 288 numbers"],
      [[{ ...carried, lineage: lineageOf(2, 3) }], "arm carried: lineage: expected 24 latents"],
    ];
    for (const [arms, message] of cases) {
      await expect(run(arms)).rejects.toThrow(UsageError);
      await expect(run(arms)).rejects.toThrow(message);
    }
    await expect(run([carried], { sequenceLength: 0 })).rejects.toThrow(UsageError);
    const short = Int32Array.of(1, 2);
    await expect(run([carried], { sequenceLength: short })).rejects.toThrow("add up to");
    await expect(
      run([{ ...carried, frame: { decoder: (rows) => rows.slice(1), encoder: null } }]),
    ).rejects.toThrow("internal: the frame of arm carried gives 287 numbers, not 288");
  });
});
