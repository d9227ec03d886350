// What eval, dump and inspect are given: dumps, folders of other libraries, tokenizers and texts that don't match.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { jsonDocuments } from "../../cli/json-schemas.ts";
import { modelOrigin, originFields } from "../../cli/origin.ts";
import { loadSae, saveSae } from "../../sae/index.ts";
import { readArrow, sha256File } from "../../src/io/index.ts";
import { testBackend } from "../support/backend.ts";
import { runCommand } from "../support/command-line.ts";
import { makeSmallRun, type SmallRun } from "../support/small-run.ts";

let folder = "";
let small: SmallRun;
const at = (...parts: string[]): string => join(folder, ...parts);

async function answer(...args: string[]): Promise<Record<string, unknown>> {
  const { code, out, err } = await runCommand(...args, "--backend", testBackend, "--json");
  expect(code, out + err).toBe(0);
  return JSON.parse(out);
}

async function problem(...args: string[]): Promise<Record<string, string>> {
  const { code, out } = await runCommand(...args, "--json");
  expect(code, out).toBe(2);
  return JSON.parse(out).error;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "eval-sources-"));
  small = await makeSmallRun(at("small"));
  const text = ["--text", small.text, "--tokens", "4000"];
  await answer("dump", small.model, "--hook", small.hook, ...text, "--out", at("acts.arrow"));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("eval --activations", () => {
  test("has the figures of the model that made the dump, and null for those that need it", async () => {
    const model = ["--model", small.model, "--text", small.text, "--tokens", "4000"];
    const onModel = await answer("eval", small.sae, ...model);
    const onDump = await answer("eval", small.sae, "--activations", at("acts.arrow"));
    jsonDocuments.eval.schema.parse(onDump);
    for (const [key, value] of Object.entries(onDump)) {
      if (/^(ce|kl)_|^loss_tokens/.test(key)) expect([key, value]).toEqual([key, null]);
      else if (typeof value === "number") expect(value).toBeCloseTo(onModel[key] as number, 5);
    }
    expect(onDump.tokens).toBe(onModel.tokens);
    expect(onDump.density).toEqual(onModel.density);
  });

  test("takes no model beside it, and no activations of another hook or width", async () => {
    const line = ["eval", small.sae, "--activations", at("acts.arrow")];
    expect(await problem(...line, "--model", small.model)).toMatchObject({ where: "--model" });
    expect(await problem(...line, "--hook", "blocks.1.hook_resid_post")).toMatchObject({
      code: "dump-hook",
    });
    const sae = loadSae(small.sae);
    const wider = { ...sae, cfg: { ...sae.cfg, hook_name: "blocks.1.mlp.hook_post" } };
    saveSae(at("other"), wider);
    const text = ["--text", small.text, "--tokens", "200", "--out", at("mlp.arrow")];
    await answer("dump", small.model, "--hook", "blocks.1.mlp.hook_post", ...text);
    expect(await problem("eval", at("other"), "--activations", at("mlp.arrow"))).toMatchObject({
      code: "wrong-model",
      got: "d_in 12",
    });
  });
});

describe.each(["sparsify", "dictionary_learning"] as const)("a folder of %s", (to) => {
  test("goes straight into eval and dump, with the figures of the SAE it was made of", async () => {
    const batchtopk = loadSae(small.sae);
    // sparsify has topk alone
    const cfg = { ...batchtopk.cfg, architecture: "topk", k: 4 } as const;
    saveSae(at("topk"), { ...batchtopk, cfg, threshold: null });
    await answer("export", at("topk"), "--to", to, "--out", at(to));
    // as that library writes it: nothing of ours beside
    const settings = at(to, to === "sparsify" ? "cfg.json" : "config.json");
    const { sae_carry: _, ...theirs } = JSON.parse(readFileSync(settings, "utf8"));
    if (theirs.trainer?.submodule_name) theirs.trainer.submodule_name = "somewhere";
    writeFileSync(settings, JSON.stringify(theirs));
    const source = ["--activations", at("acts.arrow")];
    const own = await answer("eval", at("topk"), ...source);
    const foreign = await answer("eval", at(to), ...source, "--hook", small.hook);
    expect(foreign.fvu).toBeCloseTo(own.fvu as number, 5);
    expect(foreign.l0).toBeCloseTo(own.l0 as number, 5);
    const text = ["--text", small.text, "--tokens", "100", "--out", at(`${to}.arrow`)];
    await answer("dump", small.model, "--sae", at(to), "--hook", small.hook, ...text);
    expect(readArrow(at(`${to}.arrow`)).has(`sae/${to}`)).toBe(true);
    const model = ["--model", small.model, "--text", small.text, "--tokens", "300"];
    expect((await answer("eval", at(to), ...model, "--hook", small.hook)).ce_sae).toBeGreaterThan(
      0,
    );
    expect(await answer("inspect", at(to))).toMatchObject({ kind: "sae", stored_as: to });
  });
});

describe("what doesn't belong together is said", () => {
  test("a dump names its model and tokenizer", () => {
    const { metadata } = readArrow(at("acts.arrow"));
    expect(metadata["sae_carry.tokenizer_sha256"]).toBe(
      sha256File(join(small.model, "tokenizer.json")),
    );
  });

  test("an SAE of another tokenizer or model, on a model and on a dump", async () => {
    const sae = loadSae(small.sae);
    saveSae(at("own"), sae, { metadata: originFields(modelOrigin(small.model)) });
    const foreign = originFields({ model: "0".repeat(64), tokenizer: "1".repeat(64) });
    saveSae(at("foreign"), sae, { metadata: foreign });
    const onModel = ["--model", small.model, "--text", small.text, "--tokens", "300"];
    for (const on of [onModel, ["--activations", at("acts.arrow")]]) {
      expect((await answer("eval", at("own"), ...on)).warnings).toEqual([]);
      const { warnings } = await answer("eval", at("foreign"), ...on);
      expect(warnings).toEqual([
        expect.stringMatching(/another tokenizer \(11111111\) than .* has \([0-9a-f]{8}\)/),
        expect.stringMatching(/another model \(00000000\)/),
      ]);
    }
    const { err } = await runCommand(
      ...["eval", at("foreign"), "--activations", at("acts.arrow"), "--backend", testBackend],
    );
    expect(err).toContain("trained with another tokenizer");
  });

  test("a text in a script that the tokenizer has no tokens for, with the share", async () => {
    writeFileSync(at("greek.txt"), "Μῆνιν ἄειδε θεὰ Πηληϊάδεω Ἀχιλῆος οὐλομένην. ".repeat(40));
    const model = ["--model", small.model, "--text", at("greek.txt"), "--tokens", "300"];
    const { warnings } = await answer("eval", small.sae, ...model);
    expect(warnings).toEqual([
      expect.stringMatching(
        /greek\.txt: the tokenizer covers this text badly: \d\d\.\d% of its tokens are bytes/,
      ),
    ]);
  });

  test("a tokenizer with more tokens than the model has is an error", async () => {
    cpSync(small.model, at("mismatched"), { recursive: true });
    const path = at("mismatched", "tokenizer.json");
    const tokenizer = JSON.parse(readFileSync(path, "utf8"));
    const next = Object.keys(tokenizer.model.vocab).length + tokenizer.added_tokens.length + 400;
    tokenizer.added_tokens.push({ ...tokenizer.added_tokens[0], id: next, content: "<extra>" });
    writeFileSync(path, JSON.stringify(tokenizer));
    const line = ["--text", small.text, "--tokens", "300"];
    const wrong = await problem("eval", small.sae, "--model", at("mismatched"), ...line);
    expect(wrong.code).toBe("tokenizer-mismatch");
  });
});
