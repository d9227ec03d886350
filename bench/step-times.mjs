// Milliseconds per training step of a language model and of an SAE, on wasm and native by turns: each round times
// every backend once, and the median over the rounds is printed, one JSON line a case. Run after `npm run build`.
import { saeConfig } from "../dist/sae/index.js";
import { createSaeTrainer } from "../dist/sae/training/trainer.js";
import { createRng, tf, useBackend } from "../dist/src/engine/index.js";
import {
  createLmTrainer,
  gpt2Config,
  initGpt2,
  lmTrainDefaults,
} from "../dist/src/models/index.js";

const rounds = Number(process.env.ROUNDS ?? 7);
const backends = ["wasm", "native"];
const wanted = process.argv.slice(2);

function lm(width, layers, tokens, context, vocab) {
  const config = gpt2Config({
    vocab_size: vocab,
    n_positions: context,
    n_embd: width,
    n_layer: layers,
    n_head: Math.max(1, width / 32),
  });
  return () => {
    const trainer = createLmTrainer(initGpt2(config, createRng("bench")), {
      ...lmTrainDefaults,
      steps: 1000,
    });
    const rng = createRng("ids");
    const rows = tokens / context;
    const ids = Int32Array.from({ length: rows * (context + 1) }, () => rng.int(vocab));
    return {
      step: () => trainer.step({ ids, context: context + 1 }),
      dispose: () => trainer.dispose(),
    };
  };
}

function sae(d_in, d_sae, k, batch) {
  return async () => {
    const rng = createRng("rows");
    const rows = Float32Array.from({ length: batch * d_in }, () => rng.normal());
    const source = {
      dIn: d_in,
      batch: async () => tf.tensor2d(rows.slice(), [batch, d_in]),
      dispose() {},
    };
    const config = saeConfig({ architecture: "topk", d_in, d_sae, k, hook_name: "hook_embed" });
    const job = { name: "bench", config, init: null, rng: createRng("sae"), pinNorms: false };
    const trainer = await createSaeTrainer(source, [job], { steps: 1000 });
    return { step: () => trainer.step(), dispose() {} };
  };
}

const cases = {
  "lm-96x3-512": lm(96, 3, 512, 64, 2048),
  "lm-96x3-2048": lm(96, 3, 2048, 64, 2048),
  "lm-256x4-2048": lm(256, 4, 2048, 256, 4096),
  "sae-96-768-512": sae(96, 768, 16, 512),
  "sae-128-2048-4096": sae(128, 2048, 16, 4096),
  "sae-512-8192-2048": sae(512, 8192, 32, 2048),
};

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

for (const [name, make] of Object.entries(cases)) {
  if (wanted.length > 0 && !wanted.some((prefix) => name.startsWith(prefix))) continue;
  const times = Object.fromEntries(backends.map((backend) => [backend, []]));
  const running = {};
  for (const backend of backends) {
    await useBackend(backend);
    running[backend] = await make();
    for (let i = 0; i < 2; i++) await running[backend].step();
  }
  const start = performance.now();
  await running.wasm.step();
  const steps = Math.max(1, Math.round(300 / (performance.now() - start)));
  for (let round = 0; round < rounds; round++) {
    for (const backend of backends) {
      await useBackend(backend);
      const from = performance.now();
      for (let i = 0; i < steps; i++) await running[backend].step();
      times[backend].push((performance.now() - from) / steps);
    }
  }
  for (const backend of backends) {
    await useBackend(backend);
    running[backend].dispose();
  }
  const [wasm, native] = backends.map((backend) => median(times[backend]));
  console.log(
    JSON.stringify({
      name,
      ours: native,
      peer: wasm,
      peer_name: "wasm",
      unit: "ms/step",
      ratio: wasm / native,
      spread: backends.map((backend) => [Math.min(...times[backend]), Math.max(...times[backend])]),
    }),
  );
}
