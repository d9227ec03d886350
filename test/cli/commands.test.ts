// The commands on real files: what they write, what they print, and that a failure leaves nothing behind.
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { jsonDocuments } from "../../cli/json-schemas.ts";
import { type CoreDocument, loadSae, readLineage, readSaeFolder } from "../../sae/index.ts";
import { readMap } from "../../src/expansion/index.ts";
import {
  narrowBfloat16,
  readArrow,
  readJson,
  readSafetensorsHeader,
  widenBfloat16,
} from "../../src/io/index.ts";
import { loadModel, modelSizes } from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { runCommand } from "../support/command-line.ts";
import { makeSmallRun, type SmallRun } from "../support/small-run.ts";

let folder = "";
let small: SmallRun;
const at = (...parts: string[]): string => join(folder, ...parts);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "commands-"));
  small = await makeSmallRun(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs with --json on the backend of the tests and checks the document against its schema. */
async function answer(name: string, ...args: string[]): Promise<Record<string, never>> {
  const { code, out, err } = await runCommand(
    ...args,
    "--json",
    "--quiet",
    "--backend",
    testBackend,
  );
  expect(err).toBe("");
  expect(code, out).toBe(0);
  const document = JSON.parse(out) as Record<string, never>;
  jsonDocuments[name].schema.parse(document);
  return document;
}

/** Runs with --json, expects exit code 2 and returns the error. */
async function refusal(...args: string[]): Promise<Record<string, string>> {
  const { code, out } = await runCommand(...args, "--json", "--backend", testBackend);
  expect(code, out).toBe(2);
  jsonDocuments.error.schema.parse(JSON.parse(out));
  return (JSON.parse(out) as { error: Record<string, string> }).error;
}

describe("expand", () => {
  test("writes the bigger checkpoint, its map and tokenizer, exact in f32 at an odd width", async () => {
    const document = await answer(
      "expand",
      ...["expand", small.model, "--width", "20", "--layers", "+1", "--out", at("bigger")],
    );
    expect(document).toMatchObject({
      exact: true,
      parent: { d_model: 12, n_layer: 2, n_head: 3 },
      child: { d_model: 20, n_layer: 3, n_head: 5 },
    });
    const { max_abs_dlogit, boundaries } = document.exactness as unknown as {
      max_abs_dlogit: number;
      boundaries: { rel_err: number }[];
    };
    expect(max_abs_dlogit).toBeLessThanOrEqual(1e-4);
    expect(Math.max(...boundaries.map(({ rel_err }) => rel_err))).toBeLessThanOrEqual(1e-5);
    expect(document.off_image).toBeLessThan(1e-10);
    expect(readdirSync(at("bigger")).sort()).toEqual([
      "config.json",
      "map.json",
      "map.safetensors",
      "model.safetensors",
      "tokenizer.json",
    ]);
    expect(modelSizes(loadModel(at("bigger")).config).dModel).toBe(20);
    expect(readMap(at("bigger")).exactness?.max_abs_dlogit).toBe(max_abs_dlogit);
    jsonDocuments.map.schema.parse(JSON.parse(readFileSync(at("bigger", "map.json"), "utf8")));
  });

  test("half precision and shards on request; the memory and time it took; no comparison on request", async () => {
    const document = await answer(
      "expand",
      ...["expand", small.model, "--width", "20", "--out", at("halved"), "--no-check"],
      ...["--dtype", "bf16", "--shard-size", "4kB"],
    );
    expect(document).toMatchObject({ dtype: "bf16", exactness: null });
    expect(document.memory_bytes).toBeGreaterThan(1e7);
    expect(document.seconds).toBeGreaterThan(0);
    const files = readdirSync(at("halved"));
    expect(files).toContain("model.safetensors.index.json");
    const shards = files.filter((name) => /^model-.*\.safetensors$/.test(name));
    expect(shards.length).toBeGreaterThan(2);
    const tensors = shards.flatMap((name) => readSafetensorsHeader(at("halved", name)).tensors);
    expect(new Set(tensors.map(({ dtype }) => dtype))).toEqual(new Set(["BF16"]));
    const stored = tensors.reduce((sum, { begin, end }) => sum + end - begin, 0);
    expect(document.bytes).toBe(stored);
    const { weights } = loadModel(at("halved"));
    await answer("expand", "expand", small.model, "--width", "20", "--out", at("whole"));
    for (const [name, { data }] of loadModel(at("whole")).weights) {
      const rounded = widenBfloat16(narrowBfloat16(data as Float32Array));
      expect(weights.get(name)?.data, name).toEqual(rounded);
    }
  });

  test("flags that make no sense are refused by name", async () => {
    const grow = ["expand", small.model, "--width", "16", "--out", at("refused")];
    expect((await refusal(...grow, "--dtype", "f8")).expected).toContain("bf16");
    for (const size of ["0", "-1", "5TB", "much"]) {
      expect((await refusal(...grow, `--shard-size=${size}`)).where).toBe("--shard-size");
    }
    expect(existsSync(at("refused"))).toBe(false);
  });

  test("the same seed gives the same bytes, another seed others", async () => {
    const weights = (name: string): Buffer => readFileSync(at(name, "model.safetensors"));
    for (const [name, seed] of [
      ["a", "1"],
      ["b", "1"],
      ["c", "2"],
    ]) {
      await answer(
        "expand",
        "expand",
        small.model,
        "--width",
        "16",
        "--seed",
        seed,
        "--out",
        at(name),
      );
    }
    expect(weights("a")).toEqual(weights("b"));
    expect(weights("a")).not.toEqual(weights("c"));
  });

  test("exactness on a text; a relative width is rounded with a note", async () => {
    const document = await answer(
      "expand",
      ...["expand", small.model, "--width", "1.4x", "--text", small.text, "--out", at("texted")],
    );
    expect(document.child).toMatchObject({ d_model: 16 });
    expect(document.notes[0]).toContain("16");
  });

  test("growth that is not exact: losses, maps fitted on the text, and what is missing without one", async () => {
    const stack = ["expand", small.model, "--layers", "2x", "--depth-method", "stack"];
    const document = await answer("expand", ...stack, "--text", small.text, "--out", at("stacked"));
    expect(document).toMatchObject({ method: "stack", exact: false, notes: [] });
    const { loss_parent, loss_child } = document.exactness as unknown as Record<string, number>;
    expect(Math.abs(loss_child - loss_parent)).toBeGreaterThan(1e-3);
    expect(document.fit_r2).toBeGreaterThan(0.05);
    expect(document.fit_r2).toBeLessThan(1);
    const final = readMap(at("stacked")).hooks.find(({ fit }) => fit !== null);
    expect(final).toMatchObject({ from: "ln_final.hook_normalized", r2: document.fit_r2 });
    jsonDocuments.map.schema.parse(JSON.parse(readFileSync(at("stacked", "map.json"), "utf8")));

    const blind = await answer("expand", ...stack, "--out", at("blind"));
    expect(blind.fit_r2).toBeNull();
    expect(blind.notes).toContain("without --text no map is fitted where the method is not exact");
    const dry = await answer("expand", ...stack, "--dry-run");
    expect(dry).toMatchObject({ method: "stack", exact: false, fit_r2: null });
    const { out } = await runCommand(
      ...stack,
      "--text",
      small.text,
      "--out",
      at("read"),
      "--quiet",
    );
    expect(out).toMatch(/loss +[\d.]+ → [\d.]+ nats \([+−][\d.]+\)/);
    expect(out).toMatch(/hooks that are not exact +1 of \d+, maps fitted, lowest R² 0\.\d+/);
  });

  test("--dry-run writes nothing and needs no --out", async () => {
    const document = await answer("expand", "expand", small.model, "--width", "16", "--dry-run");
    expect(document.child).toMatchObject({ d_model: 16 });
    expect(document.exactness).toBeNull();
    const { params } = document.child as unknown as { params: number };
    expect(document.bytes).toBe(4 * params);
    expect(document.memory_bytes).toBeGreaterThan(1e8);
    expect(document.seconds).toBeGreaterThan(0);
    const half = await answer(
      "expand",
      ...["expand", small.model, "--width", "16", "--dry-run", "--dtype", "f16"],
    );
    expect(half.bytes).toBe(2 * params);
  });

  test("people read sizes and exactness", async () => {
    const { out } = await runCommand(
      ...["expand", small.model, "--layers", "+1", "--out", at("readable"), "--quiet"],
    );
    expect(out).toMatch(/^child +3 layers × 12, 3 heads/m);
    expect(out).toMatch(/^largest difference of a logit +\d/m);
  });

  test("impossible sizes, missing files, an --out in use: exit 2 and nothing written", async () => {
    const out = ["--out", at("refused")];
    expect((await refusal("expand", small.model, "--width", "18", ...out)).hint).toContain(
      "16 and 20",
    );
    expect((await refusal("expand", small.model, "--width", "8", ...out)).code).toBe(
      "child-too-small",
    );
    expect((await refusal("expand", small.model, ...out)).code).toBe("nothing-to-grow");
    expect((await refusal("expand", at("none"), "--width", "16", ...out)).code).toBe("no-model");
    expect((await refusal("expand", small.model, "--width", "16")).where).toBe("--out");
    expect(
      (await refusal("expand", small.model, "--width", "16", "--text", at("none"), ...out)).code,
    ).toBe("cannot-read");
    expect(existsSync(at("refused"))).toBe(false);
    expect(
      (await refusal("expand", small.model, "--width", "16", "--out", at("bigger"))).code,
    ).toBe("out-exists");
    expect(
      (await refusal("expand", small.model, "--width", "16", "--out", folder, "--force")).got,
    ).toBe("other files");
  });

  test("a damaged checkpoint is named with its file", async () => {
    for (const [name, damage] of Object.entries({
      truncated: (path: string) => truncateSync(path, 500),
      empty: (path: string) => truncateSync(path, 0),
      nan: (path: string) => {
        const bytes = readFileSync(path);
        bytes.writeUInt32LE(0x7fc00000, bytes.length - 4);
        writeFileSync(path, bytes);
      },
    })) {
      cpSync(small.model, at(name), { recursive: true });
      damage(at(name, "model.safetensors"));
      const { where } = await refusal("expand", at(name), "--width", "16", "--out", at("refused"));
      expect(where).toContain(at(name, "model.safetensors"));
    }
    expect(existsSync(at("refused"))).toBe(false);
    expect(readdirSync(folder).filter((name) => name.endsWith(".partial"))).toEqual([]);
  });

  test("an architecture that isn't known and a tensor that isn't there are named", async () => {
    cpSync(small.model, at("other"), { recursive: true });
    const config = JSON.parse(readFileSync(at("other", "config.json"), "utf8"));
    writeFileSync(at("other", "config.json"), JSON.stringify({ ...config, model_type: "bloom" }));
    const grow = ["--width", "16", "--out", at("refused")];
    const unknown = await refusal("expand", at("other"), ...grow);
    expect(`${unknown.expected} ${unknown.got}`).toMatch(/gpt2.*bloom/);
    writeFileSync(at("other", "config.json"), JSON.stringify({ ...config, n_layer: 3 }));
    expect((await refusal("expand", at("other"), ...grow)).where).toMatch(
      /model\.safetensors: transformer\.h\.2\./,
    );
  });
});

describe("carry", () => {
  test("the carried SAE has the same latents and FVU, and its lineage", async () => {
    const document = await answer(
      "carry",
      ...["carry", small.sae, "--expansion", at("bigger"), "--out", at("carried")],
      ...["--text", small.text, "--model", small.model],
    );
    expect(document).toMatchObject({ d_in: 20, d_sae: 24, carried: 24, appended: 0 });
    expect(document).toMatchObject({ map: "exact", r2: null });
    const check = document.check as unknown as Record<string, number>;
    expect(check.same_latents).toBeGreaterThan(0.999);
    expect(check.fvu_parent_frame).toBeCloseTo(check.fvu_parent, 4);
    expect(loadSae(at("carried")).cfg).toMatchObject({ d_in: 20, hook_name: document.hook_name });
    const { stage, parent, ancestors } = readLineage(at("carried", "lineage.arrow"));
    expect(new Set(stage)).toEqual(new Set(["resid"]));
    expect(parent[5]).toBe(5);
    expect(ancestors[5]).toEqual([{ stage: "resid", latent: 5 }]);
  });

  test("an SAE in another library's folder is carried as the same SAE in ours", async () => {
    const there = ["--to", "dictionary_learning", "--out", at("theirs")];
    await answer("export", "export", small.sae, ...there);
    const line = ["--expansion", at("bigger"), "--out", at("theirs-carried")];
    await answer("carry", "carry", at("theirs"), ...line);
    expect(loadSae(at("theirs-carried"))).toEqual(loadSae(at("carried")));
  });

  test("another library's folder is written where one is asked for", async () => {
    const line = ["carry", small.sae, "--expansion", at("bigger"), "--to", "dictionary_learning"];
    await answer("carry", ...line, "--out", at("carried-theirs"));
    const { sae, format } = readSaeFolder(at("carried-theirs"), { hook: small.hook });
    expect(format).toBe("dictionary_learning");
    const { W_enc, W_dec, b_dec } = loadSae(at("carried"));
    expect(sae).toMatchObject({ W_enc, W_dec, b_dec });
  });

  test("through two expansions, one after the other, as through both at once", async () => {
    const grow = [
      "expand",
      at("bigger"),
      "--layers",
      "+1",
      "--width",
      "28",
      "--out",
      at("biggest"),
    ];
    await answer("expand", ...grow);
    const both = ["--expansion", at("bigger"), at("biggest"), "--text", small.text];
    const line = ["carry", small.sae, ...both, "--model", small.model, "--out", at("twice")];
    const document = await answer("carry", ...line);
    expect(document).toMatchObject({ d_in: 28, map: "exact" });
    const check = document.check as unknown as Record<string, number>;
    expect(check.same_latents).toBeGreaterThan(0.999);
    expect(check.fvu_parent_frame).toBeCloseTo(check.fvu_parent, 4);
    await answer("carry", "carry", at("carried"), "--expansion", at("biggest"), "--out", at("two"));
    const [once, twice] = [loadSae(at("twice")), loadSae(at("two"))];
    expect(once.cfg.hook_name).toBe(twice.cfg.hook_name);
    expect(once.W_enc).toBeAllclose(twice.W_enc, { atol: 1e-6 });
    expect(once.W_dec).toBeAllclose(twice.W_dec, { atol: 1e-6 });
    const backwards = ["--expansion", at("biggest"), at("bigger"), "--out", at("refused")];
    expect(await refusal("carry", small.sae, ...backwards)).toMatchObject({
      code: "maps-apart",
      where: at("bigger"),
    });
  });

  test("a folder that doesn't say its hook, a hook that the map lacks, an SAE of another width", async () => {
    const line = ["--expansion", at("bigger"), "--out", at("refused")];
    const silent = at("silent");
    await answer("export", "export", small.sae, "--to", "dictionary_learning", "--out", silent);
    const settings = readJson(join(silent, "config.json")) as { trainer: object };
    const trainer = { ...settings.trainer, submodule_name: null, layer: null };
    writeFileSync(join(silent, "config.json"), JSON.stringify({ trainer }));
    expect((await refusal("carry", silent, ...line)).code).toBe("sae-hook");
    const named = [silent, "--hook", small.hook, "--expansion", at("bigger"), "--out", at("named")];
    expect(await answer("carry", "carry", ...named)).toMatchObject({ map: "exact" });
    const far = ["--hook", "blocks.9.hook_resid_post"];
    expect((await refusal("carry", silent, ...far, ...line)).code).toBe("hook-not-in-map");
    const neurons = ["--hook", small.hook.replace("hook_resid_post", "mlp.hook_post")];
    expect((await refusal("carry", silent, ...neurons, ...line)).code).toBe("sae-width");
    expect((await refusal("carry", at("none"), ...line)).code).toBe("sae-format");
    expect(existsSync(at("refused"))).toBe(false);
  });

  test("says by which map an SAE goes where growth is not exact", async () => {
    const net2net = ["expand", small.model, "--width", "16", "--method", "net2net"];
    await answer("expand", ...net2net, "--text", small.text, "--out", at("near"));
    const carried = ["carry", small.sae, "--expansion", at("near")];
    const document = await answer("carry", ...carried, "--out", at("near-sae"));
    expect(document.map).toBe("published");
    const entry = readMap(at("near")).hooks.find(({ from }) => from === small.hook);
    expect(document.r2).toBe(entry?.r2_unfitted);
    const { out } = await runCommand(...carried, "--dry-run", "--quiet");
    expect(out).toMatch(/map +the growth method's own, which is not exact here\n.*R².* 0\.\d+/);
  });

  test("without a text nothing is checked; with one, latents can be appended", async () => {
    const bare = await answer(
      "carry",
      ...["carry", small.sae, "--expansion", at("bigger"), "--out", at("bare")],
    );
    expect(bare.check).toBeNull();
    const grown = await answer(
      "carry",
      ...["carry", at("carried"), "--expansion", at("bigger"), "--new-latents", "3"],
      ...["--out", at("grown"), "--text", small.text, "--model", small.model, "--dry-run"],
    ).catch((error: unknown) => error);
    // The carried SAE reads the child, so the same map can't carry it again.
    expect(grown).toBeInstanceOf(Error);
    const appended = await answer(
      "carry",
      ...["carry", small.sae, "--expansion", at("bigger"), "--new-latents", "3"],
      ...["--out", at("grown"), "--text", small.text, "--model", small.model],
    );
    expect(appended).toMatchObject({ d_sae: 27, carried: 24, appended: 3 });
    const { stage } = readLineage(at("grown", "lineage.arrow"));
    expect(stage.slice(24)).toEqual(["grown", "grown", "grown"]);
    expect(loadSae(at("grown")).cfg.d_sae).toBe(27);
  });

  test("flags that need each other, and a model that is not the parent", async () => {
    const line = ["carry", small.sae, "--expansion", at("bigger"), "--out", at("refused")];
    expect((await refusal("carry", small.sae, "--out", at("refused"))).where).toBe("--expansion");
    expect((await refusal(...line, "--text", small.text)).code).toBe("bad-flag");
    expect((await refusal(...line, "--new-latents", "3")).where).toBe("--new-latents");
    expect((await refusal(...line, "--text", small.text, "--model", at("bigger"))).code).toBe(
      "wrong-model",
    );
    expect(existsSync(at("refused"))).toBe(false);
  });
});

describe("dump", () => {
  const hooks = ["hook_embed", "blocks.1.mlp.hook_post"];

  test("one row per token, hooks as lists, codes of an SAE, the same bytes each time", async () => {
    const line = [
      "dump",
      small.model,
      "--hook",
      ...hooks,
      "--sae",
      small.sae,
      "--text",
      small.text,
    ];
    const document = await answer("dump", ...line, "--tokens", "400", "--out", at("a.arrow"));
    expect(document.hooks).toEqual([
      { name: hooks[0], width: 12 },
      { name: hooks[1], width: 48 },
    ]);
    const table = readArrow(at("a.arrow"));
    expect(table.rows).toBe(document.rows);
    expect(table.rows).toBeLessThanOrEqual(400);
    const [doc, pos] = [table.int32("doc"), table.int32("pos")];
    const places = new Set(Array.from(doc, (d, row) => `${d} ${pos[row]}`));
    expect(places.size).toBe(table.rows);
    expect(table.has("sae/resid")).toBe(true);
    expect(Array.from(pos.subarray(0, 2))).toEqual([-1, 0]);
    expect(table.metadata["sae_carry.model_sha256"]).toMatch(/^[0-9a-f]{64}$/);
    expect(table.metadata["sae_carry.hook"]).toBe(hooks.join(","));
    await answer("dump", ...line, "--tokens", "400", "--out", at("b.arrow"));
    expect(readFileSync(at("a.arrow"))).toEqual(readFileSync(at("b.arrow")));
  });

  test("SAELens's layout: a dataset folder", async () => {
    const document = await answer(
      "dump",
      ...["dump", small.model, "--hook", small.hook, "--text", small.text, "--tokens", "400"],
      ...["--layout", "saelens", "--out", at("cached")],
    );
    expect(readdirSync(at("cached"))).toContain("state.json");
    expect(document.files).toHaveLength(readdirSync(at("cached")).length);
  });

  test("what is missing or doesn't fit is told before any work", async () => {
    const line = ["dump", small.model, "--text", small.text, "--out", at("c.arrow")];
    expect((await refusal(...line)).where).toBe("--hook");
    expect((await refusal(...line, "--hook", "blocks.9.hook_resid_post")).code).toBe(
      "unknown-hook",
    );
    expect((await refusal("dump", small.model, "--hook", small.hook, "--out", "x")).where).toBe(
      "--text",
    );
    expect((await refusal(...line, "--hook", small.hook, "--sae", at("carried"))).code).toBe(
      "wrong-model",
    );
    expect(
      (await refusal(...line, "--hook", small.hook, "--layout", "saelens", "--dtype", "float16"))
        .code,
    ).toBe("bad-flag");
    writeFileSync(at("taken.arrow"), "");
    expect(
      (
        await refusal(
          "dump",
          small.model,
          "--hook",
          small.hook,
          "--text",
          small.text,
          "--out",
          at("taken.arrow"),
        )
      ).code,
    ).toBe("out-exists");
    expect(existsSync(at("c.arrow"))).toBe(false);
  });
});

describe("eval", () => {
  test("the field's measures under their names, the same through a carry", async () => {
    const line = ["--text", small.text, "--tokens", "2000"];
    const parent = await answer("eval", "eval", small.sae, "--model", small.model, ...line);
    expect(parent).toMatchObject({ hook_name: small.hook, first_tokens_excluded: true });
    expect(parent.tokens).toBeLessThanOrEqual(2000);
    expect(parent.l0).toBeGreaterThan(0);
    const carried = await answer("eval", "eval", at("carried"), "--model", at("bigger"), ...line);
    expect(carried.l0).toBeCloseTo(parent.l0 as number, 2);
    expect(carried.ce_sae).toBeCloseTo(parent.ce_sae as number, 3);
  });

  test("writes SAEBench's core results beside the answer, once", async () => {
    const line = ["--model", small.model, "--text", small.text, "--tokens", "2000"];
    const file = at("core.json");
    const figures = await answer(
      "eval",
      "eval",
      small.sae,
      ...line,
      "--first-tokens",
      "0",
      "--saebench",
      file,
    );
    expect(figures).toMatchObject({ saebench: file, first_tokens_excluded: false });
    const core = readJson(file) as CoreDocument;
    expect(core).toMatchObject({ eval_type_id: "core", sae_lens_id: small.sae });
    expect(core.eval_result_metrics.sparsity).toEqual({ l0: figures.l0, l1: figures.l1 });
    expect(core.eval_result_metrics.model_performance_preservation.ce_loss_score).toBe(
      figures.ce_loss_score_zero,
    );
    expect(core.eval_result_details).toHaveLength(loadSae(small.sae).cfg.d_sae);
    const again = ["eval", small.sae, ...line, "--saebench", file];
    expect(await refusal(...again)).toMatchObject({ code: "out-exists", where: file });
  });

  test("missing flags and an SAE of another model", async () => {
    expect((await refusal("eval", small.sae)).where).toBe("--model");
    expect((await refusal("eval", small.sae, "--model", small.model)).where).toBe("--text");
    const line = ["--model", small.model, "--text", small.text];
    expect((await refusal("eval", at("carried"), ...line)).code).toBe("wrong-model");
    expect((await refusal("eval", at("none"), ...line)).code).toBe("sae-format");
  });
});

describe("inspect", () => {
  test("says what a model, an SAE, a map and a dump hold", async () => {
    expect(await answer("inspect", "inspect", small.model)).toMatchObject({
      kind: "model",
      model: { d_model: 12, n_layer: 2 },
      tokenizer: true,
    });
    expect(await answer("inspect", "inspect", small.sae)).toMatchObject({
      kind: "sae",
      architecture: "batchtopk",
      d_sae: 24,
      lineage: null,
    });
    expect(await answer("inspect", "inspect", at("grown"))).toMatchObject({
      lineage: { resid: 24, grown: 3 },
    });
    expect(await answer("inspect", "inspect", at("bigger"))).toMatchObject({
      kind: "map",
      exact: true,
      child: { d_model: 20 },
    });
    expect(await answer("inspect", "inspect", at("bigger", "map.json"))).toMatchObject({
      kind: "map",
    });
    expect(await answer("inspect", "inspect", at("a.arrow"))).toMatchObject({ kind: "arrow" });
  });

  test("a file or folder that is none of them is an error", async () => {
    mkdirSync(at("nothing"));
    expect((await refusal("inspect", at("nothing"))).code).toBe("unknown-contents");
    expect((await refusal("inspect", at("absent"))).code).toBe("cannot-read");
    expect((await refusal("inspect", small.text)).where).toBe(small.text);
    copyFileSync(small.text, at("config.json"));
    expect((await refusal("inspect", at("config.json"))).where).toBe(at("config.json"));
    rmSync(at("config.json"));
  });
});

describe("doctor", () => {
  test("lists every backend, the chosen one, and passes its checks", async () => {
    const document = await answer("doctor", "doctor", "--check");
    expect(document.chosen).toBe(testBackend);
    const names = (document.backends as unknown as { name: string }[]).map(({ name }) => name);
    expect(names).toEqual(["tensorflow-gpu", "native", "tensorflow", "webgpu", "wasm", "cpu"]);
    const checks = document.checks as unknown as { name: string; passed: boolean }[];
    expect(checks.length).toBeGreaterThan(5);
    expect(checks.filter(({ passed }) => !passed)).toEqual([]);
  });
});
