// `sae-carry expand` on models of other families by path alone: exact, and readable by `inspect`.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { jsonDocuments } from "../../cli/json-schemas.ts";
import { Tokenizer } from "../../src/data/index.ts";
import { saveModel } from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { runCommand } from "../support/command-line.ts";
import { temporaryFolder } from "../support/folder.ts";
import { roughConfigs, roughModel } from "../support/rough-models.ts";

const at = temporaryFolder();

test.each([
  ["neox", 50],
  ["llama", 44],
  ["qwen3", 42],
])("expand grows a %s to a width of %i", async (name, width) => {
  saveModel(at("model"), roughModel(roughConfigs[name], name));
  const growth = ["--width", "1.5x", "--layers", "+1", "--method", "lemon"];
  const where = ["--out", at("grown"), "--json", "--backend", testBackend];
  const { code, out } = await runCommand("expand", at("model"), ...growth, ...where);
  expect(code, out).toBe(0);
  const document = jsonDocuments.expand.schema.parse(JSON.parse(out)) as {
    exact: boolean;
    child: { d_model: number; n_layer: number };
    exactness: { max_abs_dlogit: number };
  };
  expect(document).toMatchObject({ exact: true, child: { d_model: width, n_layer: 3 } });
  expect(document.exactness.max_abs_dlogit).toBeLessThanOrEqual(1e-4);
  const inspected = await runCommand("inspect", at("grown"), "--json");
  expect(inspected.code, inspected.out).toBe(0);
});

test("expand grows sizes inside and beside the heads, and the tokenizer with the tokens it is given", async () => {
  const folder = at("words");
  saveModel(folder, roughModel(roughConfigs.llama, "words"));
  const words = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`w${i}`, i]));
  writeFileSync(
    join(folder, "tokenizer.json"),
    JSON.stringify({
      added_tokens: [{ id: 60, content: "<|endoftext|>", special: true }],
      normalizer: null,
      pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
      decoder: { type: "ByteLevel" },
      model: { type: "BPE", vocab: words, merges: [] },
    }),
  );
  writeFileSync(at("tokens.txt"), "<user>\n\n<tool>\n");
  const where = ["--json", "--backend", testBackend, "--out", at("words-grown")];
  const sizes = ["--head-dim", "2x", "--kv-heads", "4", "--add-tokens", at("tokens.txt")];
  const { code, out } = await runCommand("expand", folder, ...sizes, ...where);
  expect(code, out).toBe(0);
  const document = jsonDocuments.expand.schema.parse(JSON.parse(out));
  expect(document).toMatchObject({
    exact: true,
    method: "lemon+vocabulary",
    parent: { n_kv_head: 2, d_head: 6, vocab_size: 61 },
    child: { d_head: 12, vocab_size: 63 },
  });
  const grown = Tokenizer.load(at("words-grown"));
  expect(grown.vocabSize).toBe(63);
  expect([...grown.encode("<tool>")]).toEqual([62]);

  const failing = async (...flags: string[]): Promise<string> => {
    const { code, err } = await runCommand("expand", folder, ...flags, "--dry-run");
    expect(code).toBe(2);
    return err;
  };
  const add = ["--add-tokens", at("tokens.txt")];
  expect(await failing(...add, "--vocab", "62")).toContain("at least 63");
  writeFileSync(at("again.txt"), "<user>\nw3\n");
  expect(await failing("--add-tokens", at("again.txt"))).toContain('"w3"');
  expect(await failing("--add-tokens", at("nothing.txt"))).toContain("nothing.txt");
});
