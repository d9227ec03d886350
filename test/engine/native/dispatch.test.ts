// The addon's kernels give the same numbers with every instruction set that this machine can be held to.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { expect } from "vitest";
import { addonPlaces } from "../../../src/engine/native/load.ts";
import { missingNative } from "../../support/native.ts";
import { testWith } from "../../support/require.ts";

const native = testWith("native", await missingNative());

/** Runs some of the kernels in a process of their own and prints what they gave. */
const script = `
  const addon = require(process.argv[1]);
  let state = 7;
  const random = (n) => Float32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
  const outputs = {};
  const call = (name, lengths, run) => {
    const out = lengths.map((n) => new Float32Array(n));
    run(out);
    outputs[name] = out.flatMap((values) => [...values]);
  };
  const [n, d] = [37, 53];
  const [x, dy, gain, bias] = [random(n * d), random(n * d), random(d), random(d)];
  call("gelu", [n * d, n * d], ([y, t]) => addon.geluForward(x, y, t));
  const none = new Float32Array(0);
  call("norm", [n * d, n, n], ([y, mean, rstd]) =>
    addon.layerNormForward(x, gain, bias, 1e-5, y, mean, rstd));
  call("loss", [n], ([loss]) =>
    addon.softmaxLoss(x, new Int32Array(n).fill(3), d, loss));
  const qkv = x.slice(0, n * 24);
  const sizes = Uint32Array.of(1, n, 1, 1, 8);
  call("attention", [n * 8, n], ([z, lse]) =>
    addon.attentionForward(qkv, none, none, sizes, none, none, z, lse));
  call("sums", [d], ([out]) => addon.columnSums(x, out));
  call("product", [n * n], ([out]) =>
    addon.gemm(x, dy, none, out, Uint32Array.of(n, d, n, 1, 1, 1), false, true));
  outputs.squares = [addon.sumOfSquares(x)];
  const best = addon.bestMatches(x, dy, d, 3, "correlation");
  outputs.best = [...best.value, ...best.index];
  const [rows, width, latents, k] = [128, 48, 200, 5]; // enough to be screened where the processor can
  const work = new addon.SaeWork();
  work.center(random(rows * width), random(width));
  const [count] = work.selectTop(random(latents * width), random(latents), true, k, 0);
  const [rowStart, latent] = [new Int32Array(rows + 1), new Int32Array(count)];
  call("codes", [count], ([value]) => work.copyCodes(false, rowStart, latent, value));
  outputs.latents = [...rowStart, ...latent];
  console.log(JSON.stringify({ set: addon.instructionSet(), outputs }));
`;

interface Result {
  readonly set: string;
  readonly outputs: Readonly<Record<string, readonly number[]>>;
}

function run(limit: string): Result {
  const path = addonPlaces().built.find(existsSync)!;
  const out = execFileSync(process.execPath, ["-e", script, path], {
    encoding: "utf8",
    env: { ...process.env, SAE_CARRY_SIMD: limit },
  });
  return JSON.parse(out) as Result;
}

for (const limit of ["avx2", "scalar"]) {
  native(`held to ${limit}, kernels agree with the widest vectors there are`, async () => {
    const [widest, held] = [run(""), run(limit)];
    expect(["avx512", "avx2", "neon", "scalar"]).toContain(widest.set);
    if (limit === "scalar") expect(held.set).toBe("scalar");
    else expect(["avx2", "neon", "scalar"]).toContain(held.set);
    for (const [name, values] of Object.entries(held.outputs)) {
      expect(values.every(Number.isFinite), name).toBe(true);
      expect(values).toBeAllclose(widest.outputs[name], { rtol: 1e-5, atol: 1e-6 });
    }
  });
}
