// Whole runs of the built binary: what they write, that they go on after a kill with the same bytes, and how they end.
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { jsonDocuments } from "../../cli/json-schemas.ts";
import { type HostTensor, sha256File } from "../../src/io/index.ts";
import { loadModel, saveModel } from "../../src/models/index.ts";
import { runBinary, startBinary } from "../support/binary.ts";
import { python } from "../support/python.ts";
import { smallText } from "../support/small-run.ts";
import { writeTinyPlan } from "../support/tiny-plan.ts";

// What a researcher would do with a run: the model, its SAE on the dumped activations, the tables.
const readers = `
import sys, json, numpy as np, pyarrow as pa, polars as pl, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from sae_lens import SAE
from datasets import load_dataset
run = sys.argv[1] + "/stages/01-wider"
model = AutoModelForCausalLM.from_pretrained(run + "/model")
tokenizer = AutoTokenizer.from_pretrained(run + "/model")
assert tokenizer.decode(tokenizer("the Congress")["input_ids"]) == "the Congress"
sae = SAE.load_from_disk(run + "/sae/resid")
table = pa.ipc.open_file(pa.memory_map(run + "/activations.arrow")).read_all()
hook = sae.cfg.metadata.hook_name
x = np.concatenate([c.flatten().to_numpy(zero_copy_only=True).reshape(-1, sae.cfg.d_in) for c in table[hook].chunks])
with torch.no_grad():
    codes = sae.encode(torch.from_numpy(x.copy()))
    error = (sae.decode(codes).numpy() - x).astype(np.float64)
fvu = (error ** 2).sum() / ((x - x.mean(0, dtype=np.float64)) ** 2).sum()
ours = np.zeros((len(x), sae.cfg.d_sae), np.float32)
for row, entries in enumerate(table["sae/resid"].to_pylist()):
    for entry in entries:
        ours[row, entry["latent"]] = entry["value"]
rebuilt = ours @ sae.W_dec.detach().numpy() + sae.b_dec.detach().numpy()
fvu_of_dump = ((rebuilt - x).astype(np.float64) ** 2).sum() / ((x - x.mean(0, dtype=np.float64)) ** 2).sum()
frame = pl.read_ipc(run + "/activations.arrow")
dataset = load_dataset("arrow", data_files=run + "/activations.arrow", split="train", cache_dir=sys.argv[1] + "-datasets")
verdicts = pl.read_ipc(run + "/persistence/resid.arrow")
print(json.dumps({"params": sum(p.numel() for p in model.parameters()), "hook": hook, "latents": codes.shape[1],
  "arrow_rows": table.num_rows, "polars_rows": frame.height, "datasets_rows": len(dataset), "width": x.shape[1],
  "fvu": float(fvu), "fvu_of_dump": float(fvu_of_dump), "verdicts": sorted(set(verdicts["verdict"].cast(pl.String)))}))
`;

let folder = "";
let run = "";
let plan = "";
let first: Awaited<ReturnType<typeof runBinary>>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "sae-carry-run-"));
  plan = writeTinyPlan(folder);
  run = join(folder, "run");
  first = await runBinary(["expand-and-track", plan, "--out", run, "--json"]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** sha256 of every file of a run but its log, by path. */
function hashes(dir: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(dir, { recursive: true, encoding: "utf8" }).sort()) {
    const path = join(dir, name);
    if (statSync(path).isFile() && name !== "log.jsonl")
      found[relative(dir, path)] = sha256File(path);
  }
  return found;
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("expand-and-track on a tiny plan", () => {
  test("ends with 0 and prints one JSON document that follows its schema", () => {
    expect(first.err).not.toContain("internal");
    expect(first.code).toBe(0);
    const document = JSON.parse(first.out);
    expect(document.format).toBe("sae-carry/expand-and-track");
    const { schema } = jsonDocuments["expand-and-track"];
    expect(schema.safeParse(document).error).toBeUndefined();
  });

  test("writes what product users rely on", () => {
    for (const path of [
      "plan.yaml",
      "manifest.json",
      "metrics.jsonl",
      "five-questions.json",
      "history.json",
      "history/resid.arrow",
      "report.html",
      "stages/00-base/model/model.safetensors",
      "stages/00-base/model/tokenizer.json",
      "stages/00-base/sae/resid/sae_weights.safetensors",
      "stages/00-base/activations.arrow",
      "stages/00-base/features.arrow",
      "stages/01-wider/expansion/map.json",
      "stages/01-wider/expansion/map.safetensors",
      "stages/01-wider/carried/resid/cfg.json",
      "stages/01-wider/sae/resid/lineage.arrow",
      "stages/01-wider/arms/reinit/sae/resid/cfg.json",
      "stages/01-wider/persistence/resid.arrow",
      "stages/01-wider/persistence.json",
      "stages/02-deeper/arms/scratch/model/model.safetensors",
      "stages/02-deeper/arms/no-expand/model/model.safetensors",
      "stages/02-deeper/eval.json",
    ]) {
      expect(existsSync(join(run, path)), path).toBe(true);
    }
    for (const stage of ["00-base", "01-wider", "02-deeper"]) {
      expect(readdirSync(join(run, "stages", stage, "circuits"))).toHaveLength(1);
    }
  });

  test("leaves nothing half-written, no lock, and no state of finished work", () => {
    const names = readdirSync(run, { recursive: true, encoding: "utf8" });
    expect(names.filter((name) => /\.lock|partial|state\.safetensors/.test(name))).toEqual([]);
  });

  test("stores the plan with every default spelled out, and a manifest whose hashes hold", () => {
    const stored = parse(readFileSync(join(run, "plan.yaml"), "utf8"));
    expect(stored.saes[0].aux_coefficient).toBeGreaterThan(0);
    const manifest = JSON.parse(readFileSync(join(run, "manifest.json"), "utf8"));
    expect(manifest.stages.map((stage: { state: string }) => stage.state)).toEqual([
      "done",
      "done",
      "done",
    ]);
    for (const [path, hash] of Object.entries(manifest.artefacts)) {
      expect(sha256File(join(run, path)), path).toBe(hash);
    }
  });

  test("measures exact expansions: logits within 1e-4, boundaries within 1e-5, the same latents", () => {
    for (const stage of ["01-wider", "02-deeper"]) {
      const map = JSON.parse(
        readFileSync(join(run, "stages", stage, "expansion/map.json"), "utf8"),
      );
      expect(map.exactness.max_abs_dlogit).toBeLessThan(1e-4);
      for (const { rel_err } of map.exactness.boundaries) expect(rel_err).toBeLessThan(1e-5);
      const check = JSON.parse(
        readFileSync(join(run, "stages", stage, "carried/resid/check.json"), "utf8"),
      );
      expect(check.same_latents).toBeGreaterThan(0.999);
      expect(Math.abs(check.fvu_parent_frame - check.fvu_parent)).toBeLessThan(1e-5);
    }
  });

  python.test(
    "transformers, SAELens, pyarrow, polars and datasets read the run's files",
    async (python) => {
      const seen = JSON.parse(await python(readers, [run]));
      const manifest = JSON.parse(readFileSync(join(run, "stages/01-wider/eval.json"), "utf8"));
      expect(seen.params).toBe(manifest.model.params);
      expect(seen.hook).toBe("blocks.0.hook_resid_post");
      expect(seen.latents).toBe(56);
      expect(seen.polars_rows).toBe(seen.arrow_rows);
      expect(seen.datasets_rows).toBe(seen.arrow_rows);
      expect(seen.width).toBe(24);
      expect(seen.fvu).toBeCloseTo(seen.fvu_of_dump, 6);
      expect(seen.verdicts).toContain("persisted");
    },
  );

  test("run again, does nothing and changes nothing", async () => {
    const before = hashes(run);
    const again = await runBinary(["expand-and-track", plan, "--out", run, "--json"]);
    expect(again.code).toBe(0);
    expect(hashes(run)).toEqual(before);
  });

  test("killed again and again, in one process or in two, ends with the same bytes", async () => {
    const other = join(folder, "killed");
    for (let attempt = 0, ended = false; !ended; attempt++) {
      // the run is begun as the other one was, however early the first kill finds it: its plan says with how many
      const isBegun = existsSync(join(other, "plan.yaml"));
      const workers = attempt % 2 === 0 || !isBegun ? "2" : "1";
      const running = startBinary(["expand-and-track", plan, "--out", other, "--workers", workers]);
      const finished = running.ended.then(({ code }) => code === 0);
      // some tasks further each time, and then at some moment of what follows them
      const soon = running.says(/ done in /, 2 * attempt).then(() => wait(150 * (attempt % 5)));
      ended = await Promise.race([finished, soon.then(() => false)]);
      if (!ended) {
        running.process.kill("SIGKILL");
        ended = await finished; // it may have been done by then
      }
    }
    const [a, b] = [hashes(run), hashes(other)];
    delete a["plan.yaml"];
    delete b["plan.yaml"]; // paths and the number of workers
    expect(b).toEqual(a);
  });

  test("SIGINT saves the state, ends with 130 and names the command that goes on", async () => {
    const other = join(folder, "stopped");
    const running = startBinary(["expand-and-track", plan, "--out", other]);
    await running.says(/ done in /, 2);
    running.process.kill("SIGINT");
    const { code, err } = await running.ended;
    expect(code).toBe(130);
    expect(err).toContain(`sae-carry expand-and-track ${other}`);
    expect(existsSync(join(other, ".lock"))).toBe(false);
  });

  test("a second process on the same run is refused", async () => {
    const other = join(folder, "stopped");
    const one = startBinary(["expand-and-track", plan, "--out", other]);
    await one.says(/backend/, 1);
    one.process.kill("SIGSTOP"); // it keeps the run, however long the other takes
    const two = await runBinary(["expand-and-track", plan, "--out", other, "--json"]);
    one.process.kill("SIGKILL");
    await one.ended;
    expect(two.code).toBe(2);
    expect(JSON.parse(two.out).error.got).toContain("another process");
  });

  test("a changed plan is an error that names the key", async () => {
    const changed = join(folder, "changed.yaml");
    writeFileSync(changed, readFileSync(plan, "utf8").replace("d_sae: 48", "d_sae: 56"));
    const ending = await runBinary(["expand-and-track", changed, "--out", run, "--json"]);
    expect(ending.code).toBe(2);
    expect(JSON.parse(ending.out).error.where).toContain("saes[0].d_sae");
  });

  test("a changed artefact is an error that names the file", async () => {
    const other = join(folder, "tampered");
    cpSync(run, other, { recursive: true });
    const victim = join(other, "stages/00-base/sae/resid/sae_weights.safetensors");
    const bytes = readFileSync(victim);
    bytes[bytes.length - 1] ^= 1;
    writeFileSync(victim, bytes);
    const ending = await runBinary(["expand-and-track", other, "--json"]);
    expect(ending.code).toBe(2);
    expect(JSON.parse(ending.out).error.where).toContain("stages/00-base/sae/resid");
  });

  test("a full disk ends with 1, names the file, and the same command goes on afterwards", async () => {
    const other = join(folder, "full");
    const ending = await runBinary(
      ["train", plan, "--out", other, "--workers", "1", "--json"],
      "ulimit -f 40",
    );
    expect(ending.code).toBe(1);
    expect(JSON.parse(ending.out).error.where).toContain(other);
    const again = await runBinary(["train", plan, "--out", other, "--workers", "1", "--json"]);
    expect(again.code).toBe(0);
  });

  test("a gate that fails stops before the next expansion with 3, and keeps everything", async () => {
    const gated = writeTinyPlan(mkdtempSync(join(folder, "gate-")), {
      stages: `stages:
  - { name: wider, expand: { width: 24 }, train: { tokens: 2000 }, carry: { new_latents: 0, tokens: 2000 }, gates: [{ kind: held_out_loss, max: 0.5 }] }
  - { name: deeper, expand: { layers: "+1" }, train: { tokens: 2000 }, carry: { new_latents: 0, tokens: 2000 } }
`,
    });
    const other = join(folder, "gated");
    const ending = await runBinary(["expand-and-track", gated, "--out", other, "--json"]);
    expect(ending.code).toBe(3);
    expect(JSON.parse(ending.out).error.got).toContain("held-out loss");
    expect(existsSync(join(other, "stages/01-wider/persistence.json"))).toBe(true);
    expect(existsSync(join(other, "stages/02-deeper/expansion"))).toBe(false);
    expect(existsSync(join(other, "report.html"))).toBe(true);
  });

  test("a loss that stops being a number ends with 1 and keeps what was done before", async () => {
    const broken = join(folder, "broken-model");
    cpSync(join(run, "stages/00-base/model"), broken, { recursive: true });
    const { config, weights } = loadModel(broken);
    const table = weights.get("transformer.wte.weight") as HostTensor;
    const huge = { shape: table.shape, data: new Float32Array(table.data.length).fill(3e38) };
    saveModel(broken, { config, weights: new Map([...weights, ["transformer.wte.weight", huge]]) });
    const wild = join(folder, "wild.yaml");
    writeFileSync(
      wild,
      readFileSync(plan, "utf8").replace("model: {", "model: { path: broken-model,"),
    );
    const ending = await runBinary(["train", wild, "--out", join(folder, "wild"), "--json"]);
    expect(ending.code).toBe(1);
    expect(JSON.parse(ending.out).error.code).toBe("nan-loss");
    expect(existsSync(join(folder, "wild/data/tokenizer.json"))).toBe(true);
  });

  test("the rule says yes before any training and no on random weights", () => {
    for (const stage of ["01-wider", "02-deeper"]) {
      const document = JSON.parse(
        readFileSync(join(run, "stages", stage, "persistence.json"), "utf8"),
      );
      expect(document.eligible).toBeGreaterThan(20);
      expect(document.start_kept.value).toBeGreaterThanOrEqual(0.99);
      expect(document.reinit_persisted.value).toBeLessThanOrEqual(0.05);
    }
  });
});

test("train on one's own text, then two expansions by flags", async () => {
  const home = mkdtempSync(join(tmpdir(), "sae-carry-own-"));
  try {
    const text = join(home, "my.txt");
    writeFileSync(text, smallText(4000));
    const out = join(home, "mine");
    const small =
      "--vocab 280 --context 16 --d-model 16 --heads 2 --layers 1 --tokens 6000 --sae-tokens 6000 --d-sae 32 --k 4";
    const trained = await runBinary([
      "train",
      "--text",
      text,
      "--out",
      out,
      ...small.split(" "),
      "--json",
    ]);
    expect(trained.code, trained.err).toBe(0);
    const grow =
      "--expand width=1.5x --expand layers=+2 --tokens 4000 --sae-tokens 4000 --new-latents 4";
    const grown = await runBinary(["expand-and-track", out, ...grow.split(" "), "--json"]);
    expect(grown.code, grown.err).toBe(0);
    const document = JSON.parse(grown.out);
    expect(document.stages.map(({ stage }: { stage: string }) => stage)).toEqual([
      "00-base",
      "01-wider",
      "02-deeper",
    ]);
    expect(existsSync(join(out, "report.html"))).toBe(true);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});
