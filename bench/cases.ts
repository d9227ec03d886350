/** The benchmarks: what each measures, at which sizes, against whom. */
import type { units } from "./harness/line.ts";
import { floorName } from "./harness/markdown.ts";

/** Somebody to be compared with. */
export interface Peer {
  /** As printed. */
  readonly name: string;
  readonly side: "python" | "node";
  readonly variant: string;
  /** Its first losses have to be ours: the mathematics is the same, step for step. */
  readonly agrees?: boolean;
}

/** A benchmark. */
export interface BenchCase {
  readonly name: string;
  readonly task: string;
  readonly unit: keyof typeof units;
  /** What one step does, for units that are rates: tokens, bytes, floating-point operations. */
  readonly amount: number;
  readonly sizes: Readonly<Record<string, number>>;
  readonly peers: readonly Peer[];
}

const python = (name: string, variant: string, agrees = false): Peer => ({
  name,
  side: "python",
  variant,
  agrees,
});

const saeSizes: readonly (readonly [number, number, number, number])[] = [
  [512, 8192, 32, 2048],
  [768, 24576, 32, 4096],
  [128, 2048, 16, 4096],
];

function saeCase(
  selection: "topk" | "batchtopk",
  [d_in, d_sae, k, batch]: readonly [number, number, number, number],
): BenchCase {
  const batchWide = selection === "batchtopk";
  return {
    name: `sae-${selection}-${d_in}x${d_sae}`,
    task: "sae",
    unit: "ms",
    amount: 1,
    sizes: { d_in, d_sae, k, batch, batch_wide: batchWide ? 1 : 0 },
    peers: [
      python("PyTorch eager, dense", "dense", true),
      ...(batchWide ? [] : [python("PyTorch compiled, dense", "compiled", true)]),
      python("PyTorch eager, embedding_bag decoder", "embedding_bag", true),
      python("PyTorch eager, sparse throughout", "sparse", true),
      python("SAELens", "saelens"),
      ...(batchWide ? [] : [python("sparsify", "sparsify")]),
      python("dictionary_learning", "dictionary_learning"),
      python(floorName, "floor"),
    ],
  };
}

function lmCase(layers: number, width: number, vocab: number, batch: number): BenchCase {
  const context = 256;
  return {
    name: `lm-${layers}x${width}`,
    task: "lm",
    unit: "tokens/s",
    amount: batch * context,
    sizes: { layers, width, heads: width / 64, vocab, context, batch },
    peers: [python("PyTorch eager", "eager", true), python("PyTorch compiled", "compiled", true)],
  };
}

function gemmCase(rows: number, inner: number, columns: number): BenchCase {
  return {
    name: `gemm-${rows}x${inner}x${columns}`,
    task: "gemm",
    unit: "GFLOP/s",
    amount: 2 * rows * inner * columns,
    sizes: { rows, inner, columns },
    peers: [python("torch.mm (MKL)", "torch"), python("numpy (OpenBLAS)", "numpy")],
  };
}

const expandSizes = {
  layers: 12,
  width: 768,
  heads: 12,
  vocab: 50257,
  context: 1024,
  factor: 2,
  noise: 0,
  files: 0,
};

const dumpSizes = { width: 768, rows: 4096, batches: 16 };

/** All benchmarks, in the order they run. */
export const benchCases: readonly BenchCase[] = [
  ...saeSizes.map((sizes) => gemmCase(sizes[3], sizes[0], sizes[1])),
  ...saeSizes.flatMap((sizes) => [saeCase("topk", sizes), saeCase("batchtopk", sizes)]),
  lmCase(4, 256, 8192, 8),
  lmCase(12, 768, 50257, 4),
  {
    name: "match-cosine-16k",
    task: "match",
    unit: "ms",
    amount: 1,
    sizes: { latents: 16384, d: 768, m: 8 },
    peers: [python("PyTorch, a product a block and topk", "torch", true)],
  },
  {
    name: "expand-124m-2x",
    task: "expand",
    unit: "ms",
    amount: 1,
    sizes: expandSizes,
    peers: [
      python("HyperCloning in PyTorch", "hypercloning", true),
      python("HyperCloning in PyTorch, its model built", "hypercloning-model"),
      { name: "copying the child's bytes", side: "node", variant: "copy" },
    ],
  },
  {
    name: "expand-noise-124m-2x",
    task: "expand",
    unit: "ms",
    amount: 1,
    sizes: { ...expandSizes, noise: 1 },
    peers: [python("HyperCloning in PyTorch", "hypercloning")],
  },
  {
    name: "expand-files-124m-2x",
    task: "expand",
    unit: "ms",
    amount: 1,
    sizes: { ...expandSizes, files: 1 },
    peers: [
      python("HyperCloning in PyTorch", "hypercloning"),
      python("HyperCloning in PyTorch, its models built", "hypercloning-model"),
    ],
  },
  {
    name: "dump-200mb",
    task: "dump",
    unit: "MB/s",
    amount: 4 * dumpSizes.width * dumpSizes.rows * dumpSizes.batches,
    sizes: dumpSizes,
    peers: [{ name: "raw file", side: "node", variant: "raw" }, python("pyarrow", "pyarrow")],
  },
  {
    name: "start-help",
    task: "start",
    unit: "ms",
    amount: 1,
    sizes: {},
    peers: [{ name: "node -e 0", side: "node", variant: "node" }],
  },
];

/** The benchmarks whose names begin with one of `prefixes`; all without any. Errors: a prefix that fits none. */
export function selectCases(prefixes: readonly string[]): BenchCase[] {
  for (const prefix of prefixes) {
    if (!benchCases.some(({ name }) => name.startsWith(prefix))) {
      const kinds = [...new Set(benchCases.map(({ name }) => `${name.split("-")[0]}-`))];
      throw new Error(`no benchmark begins with "${prefix}"; there are ${kinds.join(", ")}`);
    }
  }
  return benchCases.filter(
    ({ name }) => prefixes.length === 0 || prefixes.some((prefix) => name.startsWith(prefix)),
  );
}
