// A crosscoder's folder: bit for bit, strict, and not taken for an SAE.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { jsonDocuments } from "../../../cli/json-schemas.ts";
import { loadCrosscoder, saveCrosscoder } from "../../../sae/crosscoder/crosscoder-folder.ts";
import { readSaeFolder } from "../../../sae/index.ts";
import { readSafetensors, writeSafetensors } from "../../../src/io/index.ts";
import { runCommand } from "../../support/command-line.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { randomSae } from "../support/random-sae.ts";

const folder = temporaryFolder();
let made = 0;
const fresh = (): string => folder(String(made++));

const make = (architecture: "batchtopk" | "standard") => ({
  sae: {
    ...randomSae({ architecture, d_in: 7, d_sae: 5, k: 2 }),
    cfg: {
      ...randomSae({ architecture, d_in: 7, d_sae: 5, k: 2 }).cfg,
      ...{ hook_name: "hook_embed & blocks.1.hook_resid_post", model_name: "00-base & 01-wider" },
    },
  },
  parent: { model_name: "00-base", hook_name: "hook_embed", d_in: 3, scale: 0.3 },
  child: { model_name: "01-wider", hook_name: "blocks.1.hook_resid_post", d_in: 4, scale: 1.7 },
  tokens: 1234,
});

test("a crosscoder comes back as it went in, and the same one has the same bytes", () => {
  for (const architecture of ["batchtopk", "standard"] as const) {
    const [dir, again] = [fresh(), fresh()];
    saveCrosscoder(dir, make(architecture), { metadata: { seed: 1 } });
    const back = loadCrosscoder(dir);
    expect(back).toEqual(make(architecture));
    saveCrosscoder(again, back, { metadata: { seed: 1 } });
    for (const file of ["cfg.json", "sae_weights.safetensors"]) {
      expect(readFileSync(join(again, file))).toEqual(readFileSync(join(dir, file)));
    }
  }
});

/** Its folder with cfg.json changed. */
function folderWith(change: (cfg: Record<string, Record<string, object>>) => void): string {
  const dir = fresh();
  saveCrosscoder(dir, make("batchtopk"));
  const cfg = JSON.parse(readFileSync(join(dir, "cfg.json"), "utf8"));
  change(cfg);
  writeFileSync(join(dir, "cfg.json"), JSON.stringify(cfg));
  return dir;
}

test("what can't be honoured is refused by name", () => {
  const refused: [(cfg: Record<string, Record<string, object>>) => void, string][] = [
    [(cfg) => Object.assign(cfg, { architecture: "jumprelu" }), "cfg.json: architecture"],
    [(cfg) => Object.assign(cfg.sae_carry, { format_version: 2 }), "format_version"],
    [(cfg) => Object.assign(cfg.sae_carry, { architecture: "gated" }), "architecture"],
    [(cfg) => Object.assign(cfg.sae_carry, { parent: null }), "sae_carry: parent"],
    [(cfg) => Object.assign(cfg.sae_carry.parent, { d_in: 2 }), "d_in"],
    [(cfg) => Object.assign(cfg.sae_carry.child, { scale: -1 }), "child.scale"],
    [(cfg) => Object.assign(cfg, { d_in: 8 }), "W_enc"],
    [(cfg) => Object.assign(cfg.sae_carry, { k: 0 }), "k"],
  ];
  for (const [change, words] of refused) {
    expect(() => loadCrosscoder(folderWith(change)), words).toThrow(words);
  }
});

test("a missing, unused or misshapen tensor is an error", () => {
  const change = (edit: (tensors: Map<string, never>) => void): string => {
    const dir = fresh();
    saveCrosscoder(dir, make("batchtopk"));
    const path = join(dir, "sae_weights.safetensors");
    const { tensors } = readSafetensors(path);
    edit(tensors as Map<string, never>);
    writeSafetensors(path, tensors);
    return dir;
  };
  expect(() => loadCrosscoder(change((t) => t.delete("threshold")))).toThrow("no tensor");
  expect(() => loadCrosscoder(change((t) => t.set("extra", t.get("b_enc") as never)))).toThrow(
    "extra",
  );
  expect(() => loadCrosscoder(change((t) => t.set("W_dec", t.get("W_enc") as never)))).toThrow(
    "W_dec",
  );
});

test("inspect says what it is", async () => {
  const dir = fresh();
  saveCrosscoder(dir, make("batchtopk"));
  const { code, out } = await runCommand("inspect", dir, "--json");
  expect(code).toBe(0);
  expect(jsonDocuments.inspect.schema.parse(JSON.parse(out))).toMatchObject({
    ...{ kind: "crosscoder", architecture: "batchtopk", d_in: 7, d_sae: 5, k: 2 },
    child: { model_name: "01-wider", d_in: 4, scale: 1.7 },
  });
});

test("a reader of SAEs refuses a crosscoder by what it is", () => {
  const dir = fresh();
  saveCrosscoder(dir, make("batchtopk"));
  expect(() => readSaeFolder(dir)).toThrow('"crosscoder"');
});
