// Training from a dump: the same numbers as from the model that made it, files of other programs, damaged ones.
import { readFileSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import {
  createSaeTrainer,
  dumpSequences,
  modelSequences,
  type Sae,
  type SequenceReader,
  saeConfig,
  sharedActivations,
} from "../../sae/index.ts";
import { type TokenSet, tokenRows } from "../../src/data/index.ts";
import { createRng, tf, useBackend } from "../../src/engine/index.ts";
import {
  ActivationDump,
  type ArrowType,
  type DumpBatch,
  fixedList,
  float16,
  float32,
  int32,
  list,
  writeActivationDump,
  writeArrowTable,
} from "../../src/io/index.ts";
import {
  activationsAt,
  gpt2Config,
  hookWidth,
  initModel,
  type Model,
  placeModel,
} from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { temporaryFolder } from "../support/folder.ts";
import { python } from "../support/python.ts";

const at = temporaryFolder();
const context = 8;
const nSeq = 60;
const hooks = ["blocks.0.hook_resid_post", "blocks.1.mlp.hook_post"];
// documents of three sequences each, as the tokenizer lays them out
const set: TokenSet = {
  ids: Int32Array.from({ length: nSeq * context }, (_, i) =>
    i % context === 0 ? 0 : (i * i + 3 * i) % 23,
  ),
  doc: Int32Array.from({ length: nSeq }, (_, i) => Math.floor(i / 3)),
  start: Int32Array.from({ length: nSeq }, (_, i) => (i % 3) * (context - 1)),
  nSeq,
  context,
};
let model: Model;

beforeAll(async () => {
  await useBackend(testBackend);
  const sizes = { vocab_size: 23, n_positions: context, n_embd: 6, n_layer: 2, n_head: 2 };
  model = placeModel(initModel(gpt2Config(sizes), createRng(5)));
});

async function dumped(name: string, dtype: "float32" | "float16" = "float32", first = 0) {
  const batches = async function* (): AsyncGenerator<DumpBatch> {
    for (let from = 0; from < nSeq; from += 32) {
      const to = Math.min(nSeq, from + 32);
      const ids = set.ids.subarray(from * context, to * context);
      const activations = new Map<string, Float32Array>();
      for (const hook of hooks) {
        const rows = activationsAt(model, ids, to - from, hook);
        const values = ((await rows.data()) as Float32Array).slice();
        rows.dispose();
        const d = hookWidth(model.config, hook);
        const kept = Array.from({ length: to - from }, (_, s) => [
          ...values.subarray((s * context + first) * d, (s + 1) * context * d),
        ]);
        activations.set(hook, Float32Array.from(kept.flat()));
      }
      yield { ...tokenRows(set, from, to, first), activations };
    }
  };
  const spec = {
    hooks: hooks.map((hook) => ({ name: hook, width: hookWidth(model.config, hook) })),
    vocab: Array.from({ length: 23 }, (_, i) => `t${i}`),
    metadata: { context: String(context), first_tokens_excluded: String(first) },
    dtype,
  };
  // shards of a few batches, so that rows come from several files
  await writeActivationDump(at(name), spec, batches(), { shardBytes: 20_000 });
  return new ActivationDump(at(name));
}

async function trained(reader: SequenceReader): Promise<Sae[]> {
  const shared = sharedActivations(reader, { batchSize: 40, rng: createRng("order") });
  const out: Sae[] = [];
  for (const hook of hooks) {
    const source = shared.at(hook);
    const config = saeConfig({
      architecture: "batchtopk",
      d_in: source.dIn,
      d_sae: 20,
      k: 3,
      hook_name: hook,
    });
    const job = { name: "sae", config, init: null, rng: createRng("sae"), pinNorms: false };
    const trainer = await createSaeTrainer(source, [job], { steps: 30 });
    for (let step = 0; step < 30; step++) await trainer.step();
    out.push(trainer.saes().get("sae") as Sae);
  }
  return out;
}

describe("a dump of all tokens", () => {
  test("streams what the model streams", async () => {
    const reader = dumpSequences(await dumped("all.arrow"), hooks);
    expect(reader).toMatchObject({ nSeq, rows: nSeq * (context - 1) });
    const options = () => ({ batchSize: 40, rng: createRng("order") });
    const ours = sharedActivations(reader, options());
    const theirs = sharedActivations(modelSequences(model, hooks, set), options());
    for (const hook of hooks) {
      const [a, b] = [await ours.at(hook).batch(13), await theirs.at(hook).batch(13)];
      expect((await a.data()) as Float32Array).toBeAllclose((await b.data()) as Float32Array);
      tf.dispose([a, b]);
    }
    reader.close();
  });

  test("trains its SAEs, to the byte", async () => {
    const reader = dumpSequences(await dumped("all.arrow"), hooks);
    const [ours, theirs] = [
      await trained(reader),
      await trained(modelSequences(model, hooks, set)),
    ];
    reader.close();
    if (testBackend !== "tensorflow") {
      expect(ours).toEqual(theirs);
      return;
    }
    // TensorFlow's products may round differently with the number of rows, and a run has others than a dump
    for (const [i, sae] of ours.entries()) {
      expect(sae.W_dec).toBeAllclose(theirs[i].W_dec, { rtol: 1e-3, atol: 1e-4 });
    }
  });

  test("that a run wrote, without first tokens, loses no more of them", async () => {
    const reader = dumpSequences(await dumped("run.arrow", "float32", 1), hooks);
    // sequences of one document run on into one another; none of their rows is left out
    expect(reader.rows).toBe(nSeq * (context - 1));
    const [rows] = await reader.read(Int32Array.of(0));
    const wanted = await dumpSequences(await dumped("all.arrow"), hooks).read(
      Int32Array.of(0, 1, 2),
    );
    expect(rows).toEqual(wanted[0]);
    reader.close();
  });

  test("in half precision streams its rounded numbers", async () => {
    const reader = dumpSequences(await dumped("half.arrow", "float16"), hooks);
    const full = dumpSequences(await dumped("all.arrow"), hooks);
    const some = Int32Array.of(59, 0, 17);
    const [[a], [b]] = [await reader.read(some), await full.read(some)];
    expect(a).not.toEqual(b);
    expect(a).toBeAllclose(b, { rtol: 1e-3, atol: 1e-6 });
    reader.close();
    full.close();
  });
});

/** A file of another program: documents of 5, 1, 0 and 300 tokens. */
function foreign(name: string, type: ArrowType, value = (i: number): number => i): ActivationDump {
  const lengths = [5, 1, 300];
  const doc = lengths.flatMap((n, d) => new Array<number>(n).fill(d === 2 ? 3 : d));
  const pos = lengths.flatMap((n) => Array.from({ length: n }, (_, i) => i));
  writeArrowTable(at(name), [
    { name: "doc", type: int32, values: doc },
    { name: "pos", type: int32, values: pos },
    { name: "acts", type, values: doc.map((_, i) => [value(i), -value(i)]) },
  ]);
  return new ActivationDump(at(name));
}

describe("a dump of another program", () => {
  test.each([
    ["lists of one length", fixedList(float32, 2)],
    ["lists of any length", list(float32)],
    ["halves", fixedList(float16, 2)],
  ])("of %s gives its documents without their first tokens", async (name, type) => {
    const reader = dumpSequences(foreign(`${name}.arrow`, type), ["acts"]);
    // 4 of 5, none of 1, 299 of 300 in pieces of 256 and 43
    expect([...Array(reader.nSeq).keys()].map((i) => reader.rowsIn(i))).toEqual([4, 256, 43]);
    const [rows] = await reader.read(Int32Array.of(2, 0));
    const first = Array.from({ length: 43 }, (_, i) => 5 + 1 + 1 + 256 + i);
    const wanted = [...first, 1, 2, 3, 4].flatMap((i) => [i, -i]);
    expect([...rows]).toEqual(wanted);
    reader.close();
  });

  test("with numbers that are none is refused where they are read, row and column named", async () => {
    const dump = foreign("nan.arrow", fixedList(float32, 2), (i) => (i === 40 ? 1234.5 : i));
    const bytes = readFileSync(at("nan.arrow"));
    bytes.writeFloatLE(Number.NaN, bytes.indexOf(Buffer.from(Float32Array.of(1234.5).buffer)));
    writeFileSync(at("nan.arrow"), bytes);
    const reader = dumpSequences(dump, ["acts"]);
    await expect(reader.read(Int32Array.of(1))).rejects.toMatchObject({
      name: "UsageError",
      where: expect.stringContaining("column acts"),
      got: "NaN in row 40",
    });
  });

  test("of first tokens alone, or without the hook, is refused", () => {
    const dump = foreign("short.arrow", fixedList(float32, 2));
    expect(() => dumpSequences(dump, ["acts"], { firstTokensExcluded: 300 })).toThrow(
      /more than 300 tokens/,
    );
    expect(() => dumpSequences(dump, ["blocks.0.hook_resid_post"])).toThrow(/activations of acts/);
  });

  python.test(
    "in one batch of doubles, as pyarrow writes a table, is read in pieces",
    async (run) => {
      await run(script, [at("pyarrow.arrow")]);
      const reader = dumpSequences(new ActivationDump(at("pyarrow.arrow")), ["acts"]);
      expect(reader.rows).toBe(4000 - 8);
      const [rows] = await reader.read(Int32Array.of(reader.nSeq - 1, 0));
      // document 7 has rows 3500 … 3999 in pieces of 256 and 243; document 0 begins with row 1
      expect([...rows.subarray(0, 4)]).toEqual([3757, 0.25, 3758, 0.25]);
      expect([...rows.subarray(2 * 243, 2 * 243 + 4)]).toEqual([1, 0.25, 2, 0.25]);
      reader.close();
    },
  );
});

const script = `
import sys, pyarrow as pa
n = 4000
table = pa.table({
    "doc": pa.array([i // 500 for i in range(n)], pa.int64()),
    "pos": pa.array([i % 500 for i in range(n)], pa.int16()),
    "acts": pa.array([[float(i), 0.25] for i in range(n)], pa.large_list(pa.float64())),
})
with pa.OSFile(sys.argv[1], "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
    writer.write_table(table)
`;
