// Hooks: what they see, how they replace it (patch, ablate), and where a pass stops.
import { beforeAll, describe, expect, test } from "vitest";
import { tf, useBackend } from "../../src/engine/index.ts";
import { UsageError } from "../../src/io/index.ts";
import {
  activationsAt,
  forwardHidden,
  forwardLogits,
  gpt2Config,
  type Hooks,
  hookLayer,
  hookNames,
  hookWidth,
  placeModel,
} from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { randomModel } from "../support/growth-f64.ts";

beforeAll(async () => {
  await useBackend(testBackend);
});

const config = gpt2Config({
  vocab_size: 11,
  n_positions: 6,
  n_embd: 6,
  n_layer: 2,
  n_head: 3,
  n_inner: 10,
  layer_norm_epsilon: 0.01,
});
const host = randomModel(config, "hooks");
const ids = Int32Array.of(3, 1, 4, 1, 5, 9, 2, 6, 5, 3);
const batch = 2;
const isPattern = (name: string): boolean => name.endsWith("hook_pattern");
const close = { rtol: 1e-4, atol: 1e-5 };

/** Logits of the pass with these hooks. */
async function logitsWith(hooks: Hooks): Promise<Float32Array> {
  const model = placeModel(host);
  const logits = tf.tidy(() => forwardLogits(model, ids, batch, { hooks }));
  const values = (await logits.data()) as Float32Array;
  logits.dispose();
  model.dispose();
  return values;
}

test("the hooks of a model in the order in which they are computed", () => {
  expect(hookNames({ ...config, n_layer: 1 })).toEqual([
    "hook_embed",
    "blocks.0.hook_resid_pre",
    "blocks.0.attn.hook_pattern",
    "blocks.0.attn.hook_z",
    "blocks.0.hook_attn_out",
    "blocks.0.hook_resid_mid",
    "blocks.0.mlp.hook_in",
    "blocks.0.mlp.hook_post",
    "blocks.0.hook_mlp_out",
    "blocks.0.hook_resid_post",
    "ln_final.hook_normalized",
  ]);
  expect(hookNames(config).map((name) => hookLayer(config, name))).toEqual([
    ...[-1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ...[1, 1, 1, 1, 1, 1, 1, 1, 1, 2],
  ]);
  expect(hookWidth(config, "blocks.1.mlp.hook_post")).toBe(10);
  expect(hookWidth(config, "blocks.1.attn.hook_z")).toBe(6);
});

test("hooks are called once each, in order, with the value that a pass stopped there gives", async () => {
  const seen: string[] = [];
  const values = new Map<string, Float32Array>();
  const watch = (value: tf.Tensor, name: string): undefined => {
    seen.push(name);
    values.set(name, Float32Array.from(value.dataSync()));
  };
  const plain = await logitsWith({});
  const watched = await logitsWith(
    Object.fromEntries(hookNames(config).map((name) => [name, watch])),
  );
  expect(seen).toEqual(hookNames(config));
  expect(watched).toBeAllclose(plain, close);
  // without a hook on the pattern, watching changes no bit
  const perToken = hookNames(config).filter((name) => !isPattern(name));
  const quiet = await logitsWith(Object.fromEntries(perToken.map((name) => [name, watch])));
  expect(quiet).toEqual(plain);
  const model = placeModel(host);
  for (const name of perToken) {
    const stopped = activationsAt(model, ids, batch, name);
    expect(await stopped.data()).toEqual(values.get(name));
    stopped.dispose();
  }
  model.dispose();
});

test("a pass that stops at a hook computes nothing behind it, and what a hook there returns is its result", async () => {
  const model = placeModel(host);
  const seen: string[] = [];
  const note = (_: tf.Tensor, name: string): undefined => {
    seen.push(name);
  };
  const result = tf.tidy(() =>
    forwardHidden(model, ids, batch, {
      stopAt: "blocks.0.hook_attn_out",
      hooks: {
        "blocks.0.attn.hook_z": note,
        "blocks.0.hook_attn_out": (value, name) => {
          note(value, name);
          return tf.onesLike(value);
        },
        "blocks.0.hook_resid_mid": note,
        "ln_final.hook_normalized": note,
      },
    }),
  );
  expect(seen).toEqual(["blocks.0.attn.hook_z", "blocks.0.hook_attn_out"]);
  expect([...(await result.data())]).toEqual(new Array(10 * 6).fill(1));
  result.dispose();
  model.dispose();
});

describe.each(hookNames(config))("%s", (name) => {
  test("put back as it was, it changes nothing; set to zero, it changes the logits", async () => {
    const plain = await logitsWith({});
    let clean: { shape: number[]; values: Float32Array } | undefined;
    await logitsWith({
      [name]: (value) => {
        clean = { shape: value.shape, values: Float32Array.from(value.dataSync()) };
        return undefined;
      },
    });
    const patched = await logitsWith({ [name]: () => tf.tensor(clean!.values, clean!.shape) });
    // a hooked pattern leaves the fused attention for the composite one: equal up to rounding
    if (isPattern(name)) expect(patched).toBeAllclose(plain, close);
    else expect(patched).toEqual(plain);
    const ablated = await logitsWith({ [name]: (value) => tf.zerosLike(value) });
    expect(ablated).not.toBeAllclose(plain, { rtol: 1e-2, atol: 1e-2 });
  });
});

test("a patch at one token changes that sequence from there on, and nothing before or beside it", async () => {
  const plain = await logitsWith({});
  const patched = await logitsWith({
    "blocks.0.hook_resid_post": (value) => {
      const rows = Float32Array.from(value.dataSync());
      for (let i = 0; i < 6; i++) rows[2 * 6 + i] += i; // sequence 0, token 2
      return tf.tensor(rows, value.shape);
    },
  });
  const rows = (from: number, to: number): [Float32Array, Float32Array] => [
    patched.subarray(from * 11, to * 11),
    plain.subarray(from * 11, to * 11),
  ];
  const [before, sameBefore] = rows(0, 2);
  expect(before).toEqual(sameBefore);
  for (const t of [2, 3, 4]) {
    const [changed, was] = rows(t, t + 1);
    expect(changed).not.toBeAllclose(was, close);
  }
  const [beside, sameBeside] = rows(5, 10);
  expect(beside).toEqual(sameBeside);
});

test("logits are differentiable in what a hook puts in", async () => {
  const model = placeModel(host);
  const name = "blocks.1.hook_resid_pre";
  const waves = (shape: number[], f: (i: number) => number): tf.Tensor =>
    tf.tensor(
      Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => f(i)),
      shape,
    );
  const at = waves([10, 6], Math.sin);
  const direction = waves([10, 6], (i) => Math.cos(3 * i));
  const weights = waves([2, 5, 11], (i) => Math.cos(i * i));
  const score = (x: tf.Tensor): tf.Scalar =>
    tf.sum(tf.mul(weights, forwardLogits(model, ids, batch, { hooks: { [name]: () => x } })));
  const slope = tf.grad(score)(at);
  const h = 1e-2;
  const along = (t: number): number =>
    tf.tidy(() => score(tf.add(at, tf.mul(direction, t))).dataSync()[0]);
  const wanted = (along(h) - along(-h)) / (2 * h);
  const got = tf.tidy(() => tf.sum(tf.mul(slope, direction)).dataSync()[0]);
  expect([got]).toBeAllclose([wanted], { rtol: 5e-3 });
  tf.dispose([slope, direction, at, weights]);
  model.dispose();
});

test("a hook that the model doesn't have is a usage error that names a near one, and the pass refuses it", () => {
  const problem = (name: string): UsageError => {
    try {
      hookWidth(config, name);
    } catch (error) {
      if (error instanceof UsageError) return error;
      throw error;
    }
    throw new Error("it was accepted");
  };
  expect(problem("blocks.7.hook_mlp_out")).toMatchObject({
    code: "unknown-hook",
    where: "hook blocks.7.hook_mlp_out",
    expected: expect.stringContaining("2 layers: blocks.0 to blocks.1"),
    hint: "Nearest: blocks.1.hook_mlp_out.",
  });
  expect(problem("resid").code).toBe("unknown-hook");
  // a pattern is no activation per token; it must not be proposed either
  expect(problem("blocks.0.attn.hook_pattern").hint).not.toContain("pattern");
  const model = placeModel(host);
  const run = (options: Parameters<typeof forwardHidden>[3]) => () =>
    tf.tidy(() => forwardHidden(model, ids, batch, options));
  expect(run({ hooks: { "blocks.2.hook_resid_pre": () => undefined } })).toThrow(
    "internal: no hook blocks.2.hook_resid_pre",
  );
  expect(run({ stopAt: "blocks.0.hook_resid" })).toThrow("internal: no hook blocks.0.hook_resid");
  expect(run({ stopAt: "blocks.0.attn.hook_pattern" })).toThrow("internal: can't stop at");
  model.dispose();
});
