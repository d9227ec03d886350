// `compare` on real files: an SAE with itself, with its carried form through a map, with another seed, from models
// and from dumps; the same bytes each time, and refusals that leave nothing behind.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { jsonDocuments } from "../../cli/json-schemas.ts";
import { loadSae, saveSae } from "../../sae/index.ts";
import { createRng } from "../../src/engine/index.ts";
import { readArrow } from "../../src/io/index.ts";
import { testBackend } from "../support/backend.ts";
import { runCommand } from "../support/command-line.ts";
import { makeSmallRun, type SmallRun } from "../support/small-run.ts";

interface Answer {
  readonly tokens: number;
  readonly eligible: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly cells: { readonly CG: { readonly function: number } };
  readonly arms: readonly { readonly role: string; readonly fvu: number }[];
  readonly compared: {
    readonly map: string;
    readonly r2: number | null;
    readonly unpaired_b: number;
  };
  readonly warnings: readonly string[];
}

let folder = "";
let small: SmallRun;
const at = (...parts: string[]): string => join(folder, ...parts);
const shared = ["--json", "--quiet", "--backend", testBackend];

async function answer(...args: string[]): Promise<Answer> {
  const { code, out, err } = await runCommand("compare", ...args, ...shared);
  expect(err).toBe("");
  expect(code, out).toBe(0);
  return jsonDocuments.compare.schema.parse(JSON.parse(out)) as Answer;
}

async function refusal(...args: string[]): Promise<{ where: string; code: string }> {
  const { code, out } = await runCommand("compare", ...args, ...shared);
  expect(code, out).toBe(2);
  return (JSON.parse(out) as { error: { where: string; code: string } }).error;
}

async function done(...args: string[]): Promise<void> {
  const { code, out } = await runCommand(...args, ...shared);
  expect(code, out).toBe(0);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "compare-"));
  small = await makeSmallRun(folder);
  // another seed's dictionary: directions of its own
  const sae = loadSae(small.sae);
  const rng = createRng("another seed");
  const anew = (values: Float32Array) => values.map(() => rng.normal() * 0.5);
  saveSae(at("other"), { ...sae, W_enc: anew(sae.W_enc), W_dec: anew(sae.W_dec) });
  await done("expand", small.model, "--width", "20", "--out", at("bigger"));
  await done("carry", small.sae, "--expansion", at("bigger"), "--out", at("carried"));
  const dump = ["--hook", small.hook, "--text", small.text, "--tokens", "6000"];
  await done("dump", small.model, ...dump, "--out", at("a.arrow"));
  await done("dump", at("bigger"), ...dump, "--out", at("b.arrow"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const text = (): string[] => ["--text", small.text, "--tokens", "6000"];
const throughMap = (): string[] => [small.sae, at("carried"), "--expansion", at("bigger")];

describe("compare", () => {
  test("an SAE with itself: every latent that fires enough has the same function", async () => {
    const itself = await answer(small.sae, small.sae, "--model", small.model, ...text());
    expect(itself.compared).toMatchObject({ map: "same", r2: null });
    expect(itself.eligible).toBeGreaterThan(10);
    expect(itself.cells.CG.function).toBe(1);
    expect(itself.counts).toMatchObject({ died: 0, drifted_direction: 0, born: 0 });
  });

  test("a carried SAE through the map of its expansion, the same from models as from dumps", async () => {
    const models = ["--model-a", small.model, "--model-b", at("bigger"), ...text()];
    const fromModels = await answer(...throughMap(), ...models, "--out", at("first"));
    expect(fromModels.compared.map).toBe("exact");
    expect(fromModels.cells.CG.function).toBe(1);
    expect(fromModels.arms[0].fvu).toBeGreaterThan(0);
    const dumps = ["--activations-a", at("a.arrow"), "--activations-b", at("b.arrow")];
    const fromDumps = await answer(...throughMap(), ...dumps);
    expect(fromDumps.tokens).toBe(fromModels.tokens);
    expect(fromDumps.cells).toEqual(fromModels.cells);
    expect(fromDumps.warnings.join()).toContain("no activations of random weights");
    expect(readArrow(at("first", "persistence.arrow")).rows).toBe(48);
  });

  test("the same inputs give the same bytes", async () => {
    const models = ["--model-a", small.model, "--model-b", at("bigger"), ...text()];
    await answer(...throughMap(), ...models, "--out", at("again"));
    for (const file of ["persistence.json", "persistence.arrow"]) {
      expect(readFileSync(at("again", file))).toEqual(readFileSync(at("first", file)));
    }
  });

  test("fits a map where none is given, and says how much it explains", async () => {
    const models = ["--model-a", small.model, "--model-b", at("bigger"), ...text()];
    const fitted = await answer(small.sae, at("carried"), ...models);
    expect(fitted.compared.map).toBe("fitted");
    expect(fitted.compared.r2).toBeGreaterThan(0.99);
    expect(fitted.cells.CG.function).toBe(1);
  });

  test("another dictionary of the same model, with more SAEs as witnesses", async () => {
    const line = [small.sae, at("other"), small.sae, "--model", small.model, ...text()];
    const other = await answer(...line, "--fresh-parent", at("other"));
    expect(other.cells.CG.function).toBeLessThan(0.5);
    expect(other.arms.map(({ role }) => role)).toEqual(["carried", "fresh", "fresh-parent"]);
  });

  test("--dry-run pairs the rows, prints the memory and writes nothing", async () => {
    const dumps = ["--activations-a", at("a.arrow"), "--activations-b", at("b.arrow")];
    const line = [...throughMap(), ...dumps, "--out", at("dry"), "--dry-run"];
    const { code, out } = await runCommand("compare", ...line, ...shared);
    expect(code, out).toBe(0);
    const costs = jsonDocuments["compare-cost"].schema.parse(JSON.parse(out));
    expect(costs).toMatchObject({ unpaired_a: 0, unpaired_b: 0 });
    expect(existsSync(at("dry"))).toBe(false);
  });

  test("refuses what doesn't fit, and leaves nothing behind", async () => {
    const out = ["--out", at("refused")];
    const dumps = ["--activations-a", at("a.arrow"), "--activations-b", at("b.arrow")];
    const itself = [small.sae, small.sae];
    expect((await refusal(...itself, ...out)).where).toContain("--model-a");
    expect((await refusal(...itself, "--model", small.model, ...out)).where).toBe("--text");
    expect((await refusal(...itself, ...dumps, "--text", small.text, ...out)).where).toBe("--text");
    expect((await refusal(...itself, ...dumps, "--model", small.model, ...out)).code).toBe(
      "bad-flag",
    );
    expect((await refusal(...itself, ...dumps, ...out)).code).toBe("wrong-activations");
    const same = [small.sae, at("carried"), ...dumps, "--map", "same"];
    expect((await refusal(...same, ...out)).where).toBe("--map");
    const wrongHook = [...throughMap(), "--hook-b", "blocks.1.hook_resid_post"];
    const models = ["--model-a", small.model, "--model-b", at("bigger"), ...text()];
    expect((await refusal(...wrongHook, ...models, ...out)).code).toBe("wrong-hook");
    expect((await refusal(small.sae, at("nowhere"), ...dumps, ...out)).code).toBe("sae-format");
    expect(existsSync(at("refused"))).toBe(false);
  });
});
