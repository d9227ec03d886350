import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import {
  decode,
  encode,
  loadSae,
  type Sae,
  type SparseCodes,
  saeConfig,
  saveSae,
} from "../../sae/index.ts";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import {
  type HostTensor,
  readSafetensors,
  UsageError,
  writeSafetensors,
} from "../../src/io/index.ts";
import { testBackend } from "../support/backend.ts";
import { python } from "../support/python.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const folder = () => mkdtempSync(join(tmpdir(), "sae-carry-saelens-"));

/** A random SAE with decoder norms and thresholds that differ between latents. */
function randomSae(architecture: "topk" | "batchtopk", d_in = 5, d_sae = 12): Sae {
  const rng = createRng("saelens");
  const draw = (n: number) => Float32Array.from({ length: n }, () => rng.normal());
  return {
    cfg: saeConfig({
      architecture,
      d_in,
      d_sae,
      k: 3,
      hook_name: "blocks.0.hook_resid_post",
      model_name: "gpt2",
      context_size: 16,
    }),
    W_enc: draw(d_in * d_sae),
    b_enc: draw(d_sae),
    W_dec: draw(d_sae * d_in),
    b_dec: draw(d_in),
    threshold: architecture === "batchtopk" ? draw(d_sae).map((t) => Math.abs(t)) : null,
  };
}

for (const architecture of ["topk", "batchtopk"] as const) {
  test(`a ${architecture} SAE comes back as it was stored, and storing it again gives the same bytes`, () => {
    const dir = folder();
    const sae = randomSae(architecture);
    saveSae(dir, sae, { metadata: { arm: "carried" } });
    expect(loadSae(dir)).toEqual(sae);
    const again = folder();
    saveSae(again, loadSae(dir), { metadata: { arm: "carried" } });
    for (const file of ["cfg.json", "sae_weights.safetensors"]) {
      expect(readFileSync(join(again, file))).toEqual(readFileSync(join(dir, file)));
    }
  });
}

python.test(
  "SAELens loads both architectures and gives the same latents and reconstructions",
  async (run) => {
    const rng = createRng("rows");
    const x = Float32Array.from({ length: 40 * 7 }, () => 2 * rng.normal());
    const saes = (["topk", "batchtopk"] as const).map((architecture) => {
      const dir = folder();
      const sae = randomSae(architecture, 7, 24);
      saveSae(dir, sae);
      return { dir, sae, expected: architecture === "topk" ? "topk" : "jumprelu" };
    });
    const script = `
import json, sys, torch
from sae_lens import SAE
x = torch.tensor(json.loads(sys.argv[1])).reshape(-1, 7)
out = []
for folder in sys.argv[2:]:
    sae = SAE.load_from_disk(folder)
    with torch.no_grad():
        f = sae.encode(x)
        y = sae.decode(f)
    m = sae.cfg.metadata
    out.append({"f": f.to_dense().flatten().tolist(), "y": y.flatten().tolist(),
      "architecture": sae.cfg.architecture(), "named": [m.hook_name, m.model_name, m.sae_carry["k"]]})
print(json.dumps(out))`;
    const stdout = await run(script, [JSON.stringify([...x]), ...saes.map(({ dir }) => dir)]);
    const all = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
    for (const [i, { sae, expected }] of saes.entries()) {
      const got = all[i];
      expect(got.architecture).toBe(expected);
      expect(got.named).toEqual(["blocks.0.hook_resid_post", "gpt2", 3]);
      const tensor = tf.tensor2d(x, [40, 7]);
      const codes = encode(sae, tensor);
      tensor.dispose();
      expect(codes.latent.length).toBeGreaterThan(40);
      expect(dense(codes)).toBeAllclose(got.f, { rtol: 1e-5, atol: 1e-5 });
      expect(decode(sae, codes)).toBeAllclose(got.y, { rtol: 1e-5, atol: 1e-5 });
    }
  },
);

test("a folder whose cfg.json SAELens itself wrote is read", () => {
  const dir = folder();
  const sae = randomSae("topk");
  saveSae(dir, sae);
  editCfg(dir, ["metadata"], {
    sae_lens_version: "6.49.2",
    hook_name: "blocks.0.hook_resid_post",
    model_name: "gpt2",
    context_size: 16,
  });
  expect(loadSae(dir)).toEqual(sae);
});

test.each<[string, string[], unknown, RegExp]>([
  ["an unknown architecture", ["architecture"], "gated", /cfg\.json: architecture/],
  ["a missing width", ["d_in"], undefined, /cfg\.json: d_in/],
  ["another width", ["d_in"], 6, /W_enc/],
  ["a missing version", ["metadata", "sae_lens_version"], undefined, /sae_lens_version/],
  ["an old version", ["metadata", "sae_lens_version"], "5.9.0", /sae_lens_version/],
  ["activation scaling", ["normalize_activations"], "layer_norm", /normalize_activations/],
  ["rescaling", ["rescale_acts_by_decoder_norm"], true, /rescale_acts_by_decoder_norm/],
  ["a k of zero", ["k"], 0, /k/],
  ["our next format", ["metadata", "sae_carry", "format_version"], 2, /format_version/],
  ["no metadata", ["metadata"], [], /metadata/],
])("%s in cfg.json is a UsageError that names the field", (_, path, value, message) => {
  const dir = folder();
  saveSae(dir, randomSae("topk"));
  editCfg(dir, path, value);
  expect(() => loadSae(dir)).toThrow(UsageError);
  expect(() => loadSae(dir)).toThrow(message);
});

test.each<[string, (tensors: Map<string, HostTensor>) => void, RegExp]>([
  ["a missing tensor", (tensors) => tensors.delete("b_dec"), /b_dec.*no tensor/],
  [
    "an unknown tensor",
    (tensors) => tensors.set("r_mag", { shape: [1], data: new Float32Array(1) }),
    /also r_mag/,
  ],
  [
    "a transposed tensor",
    (tensors) => tensors.set("W_dec", { shape: [5, 12], data: new Float32Array(60) }),
    /W_dec.*\[12, 5\]/,
  ],
  ["a dropped threshold", (tensors) => tensors.delete("threshold"), /threshold/],
])("%s is a UsageError", (_, change, message) => {
  const dir = folder();
  saveSae(dir, randomSae("batchtopk"));
  const path = join(dir, "sae_weights.safetensors");
  const { tensors } = readSafetensors(path);
  change(tensors);
  writeSafetensors(path, tensors);
  expect(() => loadSae(dir)).toThrow(UsageError);
  expect(() => loadSae(dir)).toThrow(message);
});

test("NaN weights are never stored", () => {
  const sae = randomSae("topk");
  sae.W_dec[3] = Number.NaN;
  expect(() => saveSae(folder(), sae)).toThrow(/W_dec.*NaN at index 3/);
});

/** Sets (or, with undefined, removes) one field of a stored cfg.json. */
function editCfg(dir: string, path: readonly string[], value: unknown): void {
  const file = join(dir, "cfg.json");
  const cfg = JSON.parse(readFileSync(file, "utf8"));
  let at = cfg;
  for (const key of path.slice(0, -1)) at = at[key];
  at[path[path.length - 1]] = value;
  writeFileSync(file, JSON.stringify(cfg));
}

function dense({ nTokens, dSae, rowStart, latent, value }: SparseCodes): Float32Array {
  const out = new Float32Array(nTokens * dSae);
  for (let t = 0; t < nTokens; t++) {
    for (let p = rowStart[t]; p < rowStart[t + 1]; p++) out[t * dSae + latent[p]] = value[p];
  }
  return out;
}
