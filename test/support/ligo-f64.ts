// LiGO's construction from its definition, in f64 and one matrix after the other: every B and A is written out whole,
// and each family's parameters are taken apart by hand. Shares no code with the construction on the engine.
import type { Operators } from "../../src/expansion/ligo/operators.ts";
import { blockName, type HostModel, type ModelConfig, modelSizes } from "../../src/models/index.ts";

interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float64Array;
}

/** Values of an operator's entries, in f64. */
export type OperatorValues = ReadonlyMap<string, Float64Array>;

/** The operators' numbers as f64. */
export function operatorValues(operators: Operators): Map<string, Float64Array> {
  return new Map(
    [...operators].map(([name, { data }]) => [name, Float64Array.from(data as Float32Array)]),
  );
}

/** The child's weights by name. */
export function constructF64(
  parent: HostModel,
  child: ModelConfig,
  operators: OperatorValues,
): Map<string, Float64Array> {
  const [small, big] = [modelSizes(parent.config), modelSizes(child)];
  const { headDim } = small;
  const group = small.nHead / small.nKvHead;
  const type = parent.config.model_type;
  const stored = (name: string): Float64Array | undefined => {
    const tensor = parent.weights.get(name);
    return tensor && Float64Array.from(tensor.data as Float32Array);
  };
  /** [I; M] ⊗ I, written out. */
  const whole = (name: string, n: number, nChild: number, size: number): Matrix => {
    const M = operators.get(name);
    const data = new Float64Array(nChild * size * n * size);
    for (let to = 0; to < nChild; to++) {
      for (let from = 0; from < n; from++) {
        const value = to < n ? Number(to === from) : (M as Float64Array)[(to - n) * n + from];
        for (let k = 0; k < size; k++) data[(to * size + k) * n * size + from * size + k] = value;
      }
    }
    return { rows: nChild * size, columns: n * size, data };
  };
  const eye = (n: number): Matrix => whole("", n, n, 1);
  const E = whole("width:residual", small.dModel, big.dModel, 1);
  const grown = new Map<string, Float64Array>();
  /** rows · W · columnsᵀ. */
  const widen = (W: Float64Array, rows: Matrix, columns: Matrix): Float64Array => {
    const left = times(rows, { rows: rows.columns, columns: columns.columns, data: W });
    return transposed(times(columns, transposed(left))).data;
  };
  const embedded = (name: string) => {
    const W = stored(name);
    if (W) grown.set(name, widen(W, eye(W.length / small.dModel), E));
  };

  for (const name of outside[type]) embedded(name);
  for (let layer = 0; layer < big.nLayer; layer++) {
    const isGpt2 = type === "gpt2";
    const heads = (kind: string, n: number, nChild: number, share = 1) =>
      isGpt2
        ? whole(`width:${layer}:${kind}`, n * headDim, nChild * headDim, 1)
        : whole(`width:${layer}:${kind}`, n, nChild, headDim * share);
    const B: Record<string, Matrix> = {
      residual: E,
      one: eye(1),
      kept: eye(headDim),
      experts: eye(small.experts?.count ?? 0),
      queries: heads("queries", small.nHead, big.nHead),
      keys: heads("keys", small.nKvHead, big.nKvHead),
      values: heads("values", small.nKvHead, big.nKvHead),
      z: heads("values", small.nKvHead, big.nKvHead, group),
      neurons: whole(`width:${layer}:neurons`, small.dMlp, big.dMlp, 1),
    };
    const mixed = (key: string, take: (W: Float64Array) => Float64Array, part?: string) => {
      const w = operators.get(`depth:${layer}:${part === undefined ? key : `${key}:${part}`}`);
      let total: Float64Array | undefined;
      for (let from = 0; from < small.nLayer; from++) {
        const W = stored(`${blockName(parent.config, from)}.${key}`);
        if (!W) return undefined;
        const taken = take(W);
        total ??= new Float64Array(taken.length);
        for (let i = 0; i < taken.length; i++) total[i] += (w as Float64Array)[from] * taken[i];
      }
      return total;
    };
    const at = blockName(child, layer);
    for (const [key, rows, columns] of blocks[
      isGpt2 ? "gpt2" : type === "gpt_neox" ? type : "llama"
    ]) {
      const W = mixed(key, (data) => data);
      if (W) grown.set(`${at}.${key}`, widen(W, B[rows], B[columns]));
    }
    const kinds = ["queries", "keys", "values"];
    const [H, HChild, d, D] = [small.nHead, big.nHead, small.dModel, big.dModel];
    if (isGpt2) {
      // columns of one row: q, then k, then v
      for (const [key, n, N] of [
        ["attn.c_attn.weight", d, D],
        ["attn.c_attn.bias", 1, 1],
      ] as const) {
        const out = new Float64Array(N * 3 * D);
        kinds.forEach((kind, part) => {
          const W = mixed(
            key,
            (data) => pick(n * d, (i) => data[Math.floor(i / d) * 3 * d + part * d + (i % d)]),
            kind,
          );
          const wide = widen(W as Float64Array, n === 1 ? B.one : E, B[kind]);
          wide.forEach((value, i) => {
            out[Math.floor(i / D) * 3 * D + part * D + (i % D)] = value;
          });
        });
        grown.set(`${at}.${key}`, out);
      }
    }
    if (type === "gpt_neox") {
      // rows of one head: its q, then its k, then its v
      for (const [key, n, N] of [
        ["attention.query_key_value.weight", d, D],
        ["attention.query_key_value.bias", 1, 1],
      ] as const) {
        if (!stored(`${blockName(parent.config, 0)}.${key}`)) continue;
        const out = new Float64Array(HChild * 3 * headDim * N);
        kinds.forEach((kind, part) => {
          const place = (i: number, width: number) => {
            const [head, rest] = [Math.floor(i / (headDim * width)), i % (headDim * width)];
            return (head * 3 + part) * headDim * width + rest;
          };
          const W = mixed(key, (data) => pick(H * headDim * n, (i) => data[place(i, n)]), kind);
          const wide = widen(W as Float64Array, B[kind], n === 1 ? B.one : E);
          wide.forEach((value, i) => {
            out[place(i, N)] = value;
          });
        });
        grown.set(`${at}.${key}`, out);
      }
    }
  }
  return grown;
}

const outside: Readonly<Record<ModelConfig["model_type"], readonly string[]>> = {
  gpt2: [
    "transformer.wte.weight",
    "transformer.wpe.weight",
    "transformer.ln_f.weight",
    "transformer.ln_f.bias",
  ],
  gpt_neox: [
    "gpt_neox.embed_in.weight",
    "gpt_neox.final_layer_norm.weight",
    "gpt_neox.final_layer_norm.bias",
    "embed_out.weight",
  ],
  llama: ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"],
  mistral: ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"],
  qwen2: ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"],
  qwen3: ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"],
  mixtral: ["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"],
};

/** What isn't fused: a parameter, and what its stored rows and columns are. */
const blocks: Readonly<Record<string, readonly (readonly [string, string, string])[]>> = {
  gpt2: [
    ["ln_1.weight", "one", "residual"],
    ["ln_1.bias", "one", "residual"],
    ["attn.c_proj.weight", "z", "residual"],
    ["attn.c_proj.bias", "one", "residual"],
    ["ln_2.weight", "one", "residual"],
    ["ln_2.bias", "one", "residual"],
    ["mlp.c_fc.weight", "residual", "neurons"],
    ["mlp.c_fc.bias", "one", "neurons"],
    ["mlp.c_proj.weight", "neurons", "residual"],
    ["mlp.c_proj.bias", "one", "residual"],
  ],
  gpt_neox: [
    ["input_layernorm.weight", "one", "residual"],
    ["input_layernorm.bias", "one", "residual"],
    ["post_attention_layernorm.weight", "one", "residual"],
    ["post_attention_layernorm.bias", "one", "residual"],
    ["attention.dense.weight", "residual", "z"],
    ["attention.dense.bias", "one", "residual"],
    ["mlp.dense_h_to_4h.weight", "neurons", "residual"],
    ["mlp.dense_h_to_4h.bias", "one", "neurons"],
    ["mlp.dense_4h_to_h.weight", "residual", "neurons"],
    ["mlp.dense_4h_to_h.bias", "one", "residual"],
  ],
  llama: [
    ["input_layernorm.weight", "one", "residual"],
    ["self_attn.q_proj.weight", "queries", "residual"],
    ["self_attn.q_proj.bias", "one", "queries"],
    ["self_attn.k_proj.weight", "keys", "residual"],
    ["self_attn.k_proj.bias", "one", "keys"],
    ["self_attn.v_proj.weight", "values", "residual"],
    ["self_attn.v_proj.bias", "one", "values"],
    ["self_attn.q_norm.weight", "one", "kept"],
    ["self_attn.k_norm.weight", "one", "kept"],
    ["self_attn.o_proj.weight", "residual", "z"],
    ["self_attn.o_proj.bias", "one", "residual"],
    ["post_attention_layernorm.weight", "one", "residual"],
    ["mlp.gate_proj.weight", "neurons", "residual"],
    ["mlp.gate_proj.bias", "one", "neurons"],
    ["mlp.up_proj.weight", "neurons", "residual"],
    ["mlp.up_proj.bias", "one", "neurons"],
    ["mlp.down_proj.weight", "residual", "neurons"],
    ["mlp.down_proj.bias", "one", "residual"],
    ["block_sparse_moe.gate.weight", "experts", "residual"],
    ...[0, 1, 2, 3, 4].flatMap((e) =>
      [
        ["w1", "neurons", "residual"],
        ["w2", "residual", "neurons"],
        ["w3", "neurons", "residual"],
      ].map(([name, rows, columns]) => {
        return [`block_sparse_moe.experts.${e}.${name}.weight`, rows, columns] as const;
      }),
    ),
  ],
};

function pick(length: number, at: (i: number) => number): Float64Array {
  return Float64Array.from({ length }, (_, i) => at(i));
}

function times(a: Matrix, b: Matrix): Matrix {
  if (a.columns !== b.rows) throw new Error(`${a.columns} columns meet ${b.rows} rows`);
  const data = new Float64Array(a.rows * b.columns);
  for (let i = 0; i < a.rows; i++) {
    for (let k = 0; k < a.columns; k++) {
      const weight = a.data[i * a.columns + k];
      if (weight === 0) continue; // most of B is its identity
      for (let j = 0; j < b.columns; j++) {
        data[i * b.columns + j] += weight * b.data[k * b.columns + j];
      }
    }
  }
  return { rows: a.rows, columns: b.columns, data };
}

function transposed({ rows, columns, data }: Matrix): Matrix {
  const turned = pick(data.length, (i) => data[(i % rows) * columns + Math.floor(i / rows)]);
  return { rows: columns, columns: rows, data: turned };
}
