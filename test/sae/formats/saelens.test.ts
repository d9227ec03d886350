import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import {
  architectureNames,
  architectures,
  encode,
  loadSae,
  type RuntimeNorm,
  reconstruct,
  type Sae,
  type SaeArchitecture,
  saeFormats,
  saveSae,
} from "../../../sae/index.ts";
import { createRng, tf, useBackend } from "../../../src/engine/index.ts";
import {
  type HostTensor,
  readSafetensors,
  UsageError,
  writeSafetensors,
} from "../../../src/io/index.ts";
import { testBackend } from "../../support/backend.ts";
import { python } from "../../support/python.ts";
import { randomSae as anySae, dense } from "../support/random-sae.ts";
import { randomTranscoder } from "../support/random-transcoder.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const folder = () => mkdtempSync(join(tmpdir(), "sae-carry-saelens-"));

const withNorm = (sae: Sae, normalize_activations: RuntimeNorm): Sae => ({
  ...sae,
  cfg: { ...sae.cfg, normalize_activations },
});

/** A random SAE with decoder norms, thresholds and gates that differ between latents. */
function randomSae(architecture: SaeArchitecture, d_in = 5, d_sae = 12): Sae {
  const sae = anySae({ architecture, d_in, d_sae, k: 3 }, "saelens");
  return { ...sae, cfg: { ...sae.cfg, model_name: "gpt2", context_size: 16 } };
}

for (const architecture of architectureNames) {
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

for (const norm of ["constant_norm_rescale", "layer_norm"] as const) {
  test(`an SAE that takes ${norm} off its rows comes back as it was stored, from SAELens's format alone`, () => {
    const dir = folder();
    const sae = withNorm(randomSae("topk"), norm);
    saveSae(dir, sae);
    expect(loadSae(dir)).toEqual(sae);
    const again = folder();
    saveSae(again, loadSae(dir));
    for (const file of ["cfg.json", "sae_weights.safetensors"]) {
      expect(readFileSync(join(again, file))).toEqual(readFileSync(join(dir, file)));
    }
    for (const library of ["sparsify", "dictionary_learning"] as const) {
      const other = join(folder(), library);
      expect(() => saeFormats[library].save(other, sae)).toThrow(
        new RegExp(`normalize_activations.*none: ${library} has no norm by row.*${norm}`, "s"),
      );
      expect(existsSync(other)).toBe(false);
    }
  });
}

test("a transcoder with a norm by row is neither stored nor read", () => {
  const dir = folder();
  const transcoder = randomTranscoder("standard", { d_in: 5, d_out: 5, d_sae: 12 });
  expect(() => saveSae(dir, withNorm(transcoder, "layer_norm"))).toThrow(/normalize_activations/);
  saveSae(dir, transcoder);
  editCfg(dir, ["normalize_activations"], "layer_norm");
  expect(() => loadSae(dir)).toThrow(/cfg\.json: normalize_activations/);
});

python.test(
  "SAELens loads every architecture and gives the same latents and reconstructions",
  async (run) => {
    const rng = createRng("rows");
    const x = Float32Array.from({ length: 40 * 7 }, () => 2 * rng.normal());
    const stored = (sae: Sae, expected: string) => {
      const dir = folder();
      const named = { ...sae, cfg: { ...sae.cfg, model_name: "gpt2" } };
      saveSae(dir, named);
      return { dir, sae: named, expected };
    };
    const transcoder = (architecture: SaeArchitecture, skip: boolean, expected: string) =>
      stored(randomTranscoder(architecture, { d_in: 7, d_out: 5, d_sae: 24 }, { skip }), expected);
    const saes = [
      ...architectureNames.map((architecture) =>
        stored(randomSae(architecture, 7, 24), architectures[architecture].stored),
      ),
      ...(["constant_norm_rescale", "layer_norm"] as const).flatMap((norm) =>
        (["standard", "gated", "topk", "batchtopk"] as const).map((architecture) =>
          stored(
            withNorm(randomSae(architecture, 7, 24), norm),
            architectures[architecture].stored,
          ),
        ),
      ),
      transcoder("standard", false, "transcoder"),
      transcoder("standard", true, "skip_transcoder"),
      transcoder("jumprelu", false, "jumprelu_transcoder"),
      transcoder("batchtopk", true, "jumprelu_skip_transcoder"),
    ];
    const script = `
import json, sys, torch
from sae_lens import SAE
x = torch.tensor(json.loads(sys.argv[1])).reshape(-1, 7)
out = []
for folder in sys.argv[2:]:
    sae = SAE.load_from_disk(folder)
    with torch.no_grad():
        f = sae.encode(x)
        y = sae(x)
    m = sae.cfg.metadata
    out.append({"f": f.to_dense().flatten().tolist(), "y": y.flatten().tolist(),
      "architecture": sae.cfg.architecture(), "named": [m.hook_name, getattr(m, "hook_name_out", None), m.model_name, m.sae_carry["k"]]})
print(json.dumps(out))`;
    const stdout = await run(script, [JSON.stringify([...x]), ...saes.map(({ dir }) => dir)]);
    const all = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
    for (const [i, { sae, expected }] of saes.entries()) {
      const got = all[i];
      expect(got.architecture).toBe(expected);
      expect(got.named).toEqual([sae.cfg.hook_name, sae.cfg.hook_name_out, "gpt2", sae.cfg.k]);
      const tensor = tf.tensor2d(x, [40, 7]);
      const codes = encode(sae, tensor);
      const y = await reconstruct(sae, codes, tensor);
      tensor.dispose();
      expect(codes.latent.length).toBeGreaterThan(40);
      expect(dense(codes)).toBeAllclose(got.f, { rtol: 1e-5, atol: 1e-5 });
      expect(y).toBeAllclose(got.y, { rtol: 1e-5, atol: 1e-5 });
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

test("a JumpReLU SAE of others, which says nothing of a number of latents, is one", () => {
  const dir = folder();
  saveSae(dir, randomSae("batchtopk"));
  editCfg(dir, ["metadata", "sae_carry"], undefined);
  expect(loadSae(dir).cfg).toMatchObject({ architecture: "jumprelu", k: null });
});

test.each<[string, string[], unknown, RegExp]>([
  ["an unknown architecture", ["architecture"], "temporal", /cfg\.json: architecture/],
  ["another architecture", ["architecture"], "jumprelu", /cfg\.json.*architecture/],
  ["a missing width", ["d_in"], undefined, /cfg\.json: d_in/],
  ["another width", ["d_in"], 6, /W_enc/],
  ["a missing version", ["metadata", "sae_lens_version"], undefined, /sae_lens_version/],
  ["an old version", ["metadata", "sae_lens_version"], "5.9.0", /sae_lens_version/],
  [
    "a scale that isn't folded",
    ["normalize_activations"],
    "expected_average_only_in",
    /normalize_activations/,
  ],
  [
    "rescaling that is neither on nor off",
    ["rescale_acts_by_decoder_norm"],
    1,
    /rescale_acts_by_decoder_norm/,
  ],
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
