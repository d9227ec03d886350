// `import` and `export` from the command line, and `inspect` of what they write and read.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { jsonDocuments } from "../../cli/json-schemas.ts";
import { loadSae, type Sae, saeFormatNames, saveSae } from "../../sae/index.ts";
import { writeTorchTensors } from "../../src/io/index.ts";
import { randomSae } from "../sae/support/random-sae.ts";
import { runCommand } from "../support/command-line.ts";

const folder = mkdtempSync(join(tmpdir(), "convert-"));
const at = (...parts: string[]): string => join(folder, ...parts);
const sizes = { d_in: 5, d_sae: 12, k: 3 };
const topk: Sae = randomSae({ architecture: "topk", ...sizes });

beforeAll(() => {
  saveSae(at("sae"), topk);
  saveSae(at("uneven"), randomSae({ architecture: "batchtopk", ...sizes }));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function answer(name: string, ...args: string[]): Promise<Record<string, unknown>> {
  const { code, out, err } = await runCommand(name, ...args, "--json", "--quiet");
  expect(err).toBe("");
  expect(code, out).toBe(0);
  const document = JSON.parse(out) as Record<string, unknown>;
  jsonDocuments[name].schema.parse(document);
  return document;
}

async function refusal(...args: string[]): Promise<Record<string, string>> {
  const { code, out } = await runCommand(...args, "--json");
  expect(code, out).toBe(2);
  jsonDocuments.error.schema.parse(JSON.parse(out));
  return (JSON.parse(out) as { error: Record<string, string> }).error;
}

test.each(saeFormatNames)("an SAE goes to %s and comes back as it was", async (format) => {
  const [there, back] = [at(`${format}-there`), at(`${format}-back`)];
  const exported = await answer("export", at("sae"), "--to", format, "--out", there);
  expect(exported).toMatchObject({ from: "saelens", to: format, architecture: "topk", k: 3 });
  const inspected = await answer("inspect", there);
  const { architecture, hook_name } = topk.cfg;
  expect(inspected).toMatchObject({ kind: "sae", stored_as: format, architecture, hook_name });
  const imported = await answer("import", there, "--out", back);
  expect(imported).toMatchObject({ from: format, to: "saelens", d_in: 5, d_sae: 12, hook_name });
  expect(loadSae(back)).toEqual(topk);
  const { metadata } = JSON.parse(readFileSync(join(back, "cfg.json"), "utf8"));
  expect(metadata.sae_carry.provenance).toEqual({ imported_from: format });
});

test("a file of such a folder stands for the folder", async () => {
  await answer("export", at("sae"), "--to", "dictionary_learning", "--out", at("files"));
  const found = await answer("inspect", at("files", "ae.pt"));
  expect(found).toMatchObject({ kind: "sae", stored_as: "dictionary_learning" });
});

test("a hook that the files don't tell must be given, and can be for any", async () => {
  await answer("export", at("sae"), "--to", "dictionary_learning", "--out", at("bare"));
  const path = at("bare", "config.json");
  const { trainer } = JSON.parse(readFileSync(path, "utf8"));
  writeFileSync(path, JSON.stringify({ trainer: { ...trainer, submodule_name: null } }));
  const error = await refusal("import", at("bare"), "--out", at("hooked"));
  expect(error).toMatchObject({ code: "sae-hook", where: at("bare") });
  expect(error.hint).toMatch(/--hook/);
  expect(existsSync(at("hooked"))).toBe(false);
  const given = ["--hook", "blocks.3.hook_resid_post"];
  await answer("import", at("bare"), ...given, "--out", at("hooked"));
  expect(loadSae(at("hooked")).cfg.hook_name).toBe("blocks.3.hook_resid_post");
});

test("what isn't exact, a missing flag and a wrong one are refused, and nothing is written", async () => {
  const out = ["--out", at("refused")];
  const uneven = await refusal("export", at("uneven"), "--to", "dictionary_learning", ...out);
  expect(uneven).toMatchObject({ code: "sae-inexact", hint: expect.stringMatching(/saelens/) });
  expect((await refusal("export", at("uneven"), "--to", "sparsify", ...out)).got).toBe("batchtopk");
  expect((await refusal("export", at("sae"), ...out)).where).toBe("--to");
  expect((await refusal("export", at("sae"), "--to", "sparsfy", ...out)).hint).toMatch(/sparsify/);
  expect((await refusal("import", at("nothing"), ...out)).code).toBe("sae-format");
  const other = ["--from", "sparsify"];
  expect((await refusal("import", at("sae"), ...other, ...out)).code).toBe("cannot-read");
  expect(existsSync(at("refused"))).toBe(false);
});

test("--dry-run writes nothing; without --out nothing is done; --force replaces an earlier result only", async () => {
  const line = ["export", at("sae"), "--to", "sparsify"];
  const { out, code } = await runCommand(...line, "--out", at("dry"), "--dry-run", "--quiet");
  expect(code).toBe(0);
  expect(out).toMatch(/to +sparsify\n/);
  expect(existsSync(at("dry"))).toBe(false);
  expect((await refusal(...line)).where).toBe("--out");
  await answer(line[0], ...line.slice(1), "--out", at("twice"));
  expect((await refusal(...line, "--out", at("twice"))).hint).toMatch(/--force/);
  await answer(line[0], ...line.slice(1), "--out", at("twice"), "--force");
  expect((await refusal(...line, "--out", at("sae"), "--force")).code).toBe("out-exists");
});

test("an ae.pt of other tensors is refused by what it lacks", async () => {
  await answer("export", at("sae"), "--to", "dictionary_learning", "--out", at("other"));
  const one = { shape: [1], data: new Float32Array(1) };
  writeTorchTensors(at("other", "ae.pt"), new Map([["step", one]]));
  const error = await refusal("import", at("other"), "--out", at("refused"));
  expect(error.where).toMatch(/ae\.pt: k$/);
});
