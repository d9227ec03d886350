/**
 * @file The expansion map on disk: `map.json` for people and programs, `map.safetensors` for the
 * numbers: f64 "E:<tensor>" [D, d] and "R:<tensor>" [d, D], i32 "head_map:<L>" and "neuron_map:<L>"
 * (the parent's index for each of the child's, −1 = fresh), f32 "head_alpha:<L>", "neuron_alpha:<L>"; of models with
 * experts i32 "expert_map:<L>"; of fitted maps f32 "E:fit:<hook>" [D, d], "R:fit:<hook>" [d, D], "e:fit:<hook>" [D] and
 * "r:fit:<hook>" [d]. <L> is a layer of the child. Both files are untrusted when read.
 */
import { join } from "node:path";
import {
  type HostArray,
  type HostTensor,
  readJson,
  readSafetensors,
  UsageError,
  writeJsonAtomic,
  writeSafetensors,
} from "../../io/index.ts";
import type { FanOut } from "../plan/fan-out.ts";
import type { Exactness, ExpansionMap, HookMap, LearnedGrowth, SizeInfo } from "./expansion-map.ts";
import type { DenseMap } from "./vector-map.ts";

const jsonFile = "map.json";
const tensorFile = "map.safetensors";

/** Writes both files into `dir`, each atomically, the JSON last. */
export function writeMap(dir: string, map: ExpansionMap): void {
  const tensors = new Map<string, HostTensor>();
  for (const [key, { E, R, d, D, offset }] of map.linear) {
    const stored = (values: Float64Array) => (offset ? Float32Array.from(values) : values);
    tensors.set(`E:${key}`, { shape: [D, d], data: stored(E) });
    tensors.set(`R:${key}`, { shape: [d, D], data: stored(R) });
    if (offset) {
      tensors.set(`e:${key}`, { shape: [D], data: stored(offset.e) });
      tensors.set(`r:${key}`, { shape: [d], data: stored(offset.r) });
    }
  }
  const named = (kind: string, units: readonly FanOut[]) =>
    Object.fromEntries(
      units.map(({ source, alpha }, layer) => {
        const shape = [source.length];
        tensors.set(`${kind}_map:${layer}`, { shape, data: source });
        tensors.set(`${kind}_alpha:${layer}`, { shape, data: Float32Array.from(alpha) });
        return [layer, `${kind}_map:${layer}`];
      }),
    );
  const { linear: _, layers, heads, neurons, experts, ...rest } = map;
  const expertNames = experts?.map((source, layer) => {
    tensors.set(`expert_map:${layer}`, { shape: [source.length], data: source });
    return [layer, `expert_map:${layer}`];
  });
  const json = {
    ...rest,
    layers: Object.fromEntries(layers.map((to, layer) => [layer, to])),
    heads: named("head", heads),
    neurons: named("neuron", neurons),
    experts: expertNames ? Object.fromEntries(expertNames) : null,
  };
  writeSafetensors(join(dir, tensorFile), tensors, { format: "sae-carry/map" });
  writeJsonAtomic(join(dir, jsonFile), json);
}

/** Reads a map. Errors: UsageError naming file and field. */
export function readMap(dir: string): ExpansionMap {
  const path = join(dir, jsonFile);
  const json = record(readJson(path), path);
  if (json.format !== "sae-carry/map" || json.version !== 1) {
    const got = `${JSON.stringify(json.format)} version ${JSON.stringify(json.version)}`;
    throw bad(path, "format sae-carry/map, version 1", got);
  }
  const parent = sizes(json.parent, `${path}: parent`);
  const child = sizes(json.child, `${path}: child`);
  const file = tensorReader(join(dir, tensorFile));
  const units = (kind: string, nParent: number, nChild: number) =>
    Array.from({ length: child.n_layer }, (_, layer) =>
      file.units(`${kind}_map:${layer}`, `${kind}_alpha:${layer}`, nParent, nChild),
    );
  const linear = new Map<string, DenseMap>();
  for (const key of ["residual", "normed", "final"]) {
    if (!file.has(`E:${key}`)) continue;
    const [d, D] = [parent.d_model, child.d_model];
    linear.set(key, { E: file.dense(`E:${key}`, D, d), R: file.dense(`R:${key}`, d, D), d, D });
  }
  const hooks = list(json.hooks, `${path}: hooks`).map((hook, i) =>
    hookMap(hook, `${path}: hooks.${i}`),
  );
  for (const key of new Set(hooks.map(({ fit }) => fit))) {
    if (key !== null) linear.set(key, file.fitted(key));
  }
  const map: ExpansionMap = {
    format: "sae-carry/map",
    version: 1,
    method: text(json.method, `${path}: method`),
    exact: json.exact === true,
    parent,
    child,
    hooks,
    linear,
    layers: layerMap(json.layers, parent.n_layer, child.n_layer, `${path}: layers`),
    heads: units("head", parent.n_head, child.n_head),
    neurons: units("neuron", parent.d_mlp, child.d_mlp),
    experts:
      child.n_expert === undefined
        ? null
        : Array.from({ length: child.n_layer }, (_, layer) =>
            file.indices(`expert_map:${layer}`, parent.n_expert ?? 1, child.n_expert as number),
          ),
    fresh: list(json.fresh, `${path}: fresh`).map((name, i) => text(name, `${path}: fresh.${i}`)),
    exactness: exactness(json.exactness, `${path}: exactness`),
    ...(json.learned === undefined ? {} : { learned: learned(json.learned, `${path}: learned`) }),
  };
  file.finish();
  for (const [i, { tensor }] of map.hooks.entries()) {
    const known = tensor === "identity" || linear.has(tensor) || knownUnits(tensor, child.n_layer);
    if (!known) throw bad(`${path}: hooks.${i}.tensor`, "a tensor of map.safetensors", tensor);
  }
  return map;
}

function tensorReader(path: string) {
  const { tensors } = readSafetensors(path);
  const take = (name: string, shape: readonly number[]): HostArray => {
    const tensor = tensors.get(name);
    const got = tensor ? `[${tensor.shape}]` : "nothing";
    if (tensor?.shape.join() !== shape.join()) throw bad(`${path}: ${name}`, `[${shape}]`, got);
    tensors.delete(name);
    return tensor.data;
  };
  const typed = <T extends HostArray>(
    data: HostArray,
    type: abstract new () => T,
    name: string,
  ) => {
    if (data instanceof type) return data;
    throw bad(`${path}: ${name}`, `numbers for a ${type.name}`, data.constructor.name);
  };
  const indices = (map: string, nParent: number, nChild: number): Int32Array => {
    const source = typed(take(map, [nChild]), Int32Array, map);
    const wrong = source.find((from) => from < -1 || from >= nParent);
    if (wrong !== undefined) throw bad(`${path}: ${map}`, `−1 to ${nParent - 1}`, `${wrong}`);
    return source;
  };
  return {
    has: (name: string) => tensors.has(name),
    dense: (name: string, rows: number, columns: number) =>
      typed(take(name, [rows, columns]), Float64Array, name),
    fitted(key: string): DenseMap {
      const [D, d] = tensors.get(`E:${key}`)?.shape ?? [];
      const numbers = (name: string, shape: readonly number[]) =>
        Float64Array.from(typed(take(name, shape), Float32Array, name));
      const E = numbers(`E:${key}`, [D, d]);
      const R = numbers(`R:${key}`, [d, D]);
      return { E, R, d, D, offset: { e: numbers(`e:${key}`, [D]), r: numbers(`r:${key}`, [d]) } };
    },
    indices,
    units(map: string, alpha: string, nParent: number, nChild: number): FanOut {
      const source = indices(map, nParent, nChild);
      const shares = typed(take(alpha, [nChild]), Float32Array, alpha);
      return { source, alpha: Float64Array.from(shares) };
    },
    finish() {
      const [extra] = tensors.keys();
      if (extra !== undefined) throw bad(`${path}: ${extra}`, "only tensors of the map", "another");
    },
  };
}

function knownUnits(tensor: string, nLayer: number): boolean {
  const match = /^(?:head|neuron)_map:(\d+)$/.exec(tensor);
  return match !== null && Number(match[1]) < nLayer;
}

function hookMap(value: unknown, where: string): HookMap {
  const { from, to, tensor, exact, published, fit, r2, r2_unfitted } = record(value, where);
  const places = list(to, `${where}.to`).map((hook, i) => text(hook, `${where}.to.${i}`));
  if (places.length === 0) throw bad(`${where}.to`, "at least one hook", "none");
  return {
    from: text(from, `${where}.from`),
    to: places,
    tensor: text(tensor, `${where}.tensor`),
    exact: truth(exact, `${where}.exact`),
    published: truth(published, `${where}.published`),
    fit: fit === null ? null : fitKey(fit, `${where}.fit`),
    r2: numberOrNull(r2, `${where}.r2`),
    r2_unfitted: numberOrNull(r2_unfitted, `${where}.r2_unfitted`),
  };
}

function layerMap(value: unknown, nParent: number, nChild: number, where: string): number[][] {
  const json = record(value, where);
  return Array.from({ length: nParent }, (_, layer) => {
    const place = `${where}.${layer}`;
    return list(json[layer], place).map((at) => {
      if (Number.isInteger(at) && (at as number) >= 0 && (at as number) < nChild) {
        return at as number;
      }
      throw bad(place, `layers from 0 to ${nChild - 1}`, JSON.stringify(at));
    });
  });
}

function sizes(value: unknown, where: string): SizeInfo {
  const json = record(value, where);
  const size = (name: keyof SizeInfo): number => {
    const n = json[name];
    if (Number.isSafeInteger(n) && (n as number) > 0) return n as number;
    throw bad(`${where}.${name}`, "a positive whole number", JSON.stringify(n));
  };
  return {
    d_model: size("d_model"),
    n_layer: size("n_layer"),
    n_head: size("n_head"),
    ...(json.n_kv_head === undefined ? {} : { n_kv_head: size("n_kv_head") }),
    ...(json.d_head === undefined ? {} : { d_head: size("d_head") }),
    d_mlp: size("d_mlp"),
    ...(json.vocab_size === undefined ? {} : { vocab_size: size("vocab_size") }),
    ...(json.n_expert === undefined ? {} : { n_expert: size("n_expert") }),
    ...(json.n_expert_per_token === undefined
      ? {}
      : { n_expert_per_token: size("n_expert_per_token") }),
    params: size("params"),
  };
}

function exactness(value: unknown, where: string): Exactness | null {
  if (value === null) return null;
  const json = record(value, where);
  return {
    max_abs_dlogit: number(json.max_abs_dlogit, `${where}.max_abs_dlogit`),
    kl: number(json.kl, `${where}.kl`),
    loss_parent: numberOrNull(json.loss_parent, `${where}.loss_parent`),
    loss_child: numberOrNull(json.loss_child, `${where}.loss_child`),
    boundaries: list(json.boundaries, `${where}.boundaries`).map((item, i) => {
      const place = `${where}.boundaries.${i}`;
      const { hook_from, hook_to, rel_err } = record(item, place);
      return {
        hook_from: text(hook_from, `${place}.hook_from`),
        hook_to: text(hook_to, `${place}.hook_to`),
        rel_err: number(rel_err, `${place}.rel_err`),
      };
    }),
    tokens: number(json.tokens, `${where}.tokens`),
  };
}

function learned(value: unknown, where: string): LearnedGrowth {
  const json = record(value, where);
  const loss = record(json.loss, `${where}.loss`);
  return {
    steps: number(json.steps, `${where}.steps`),
    lr: number(json.lr, `${where}.lr`),
    tokens: number(json.tokens, `${where}.tokens`),
    loss: {
      parent: number(loss.parent, `${where}.loss.parent`),
      start: number(loss.start, `${where}.loss.start`),
      learned: number(loss.learned, `${where}.loss.learned`),
      scratch: number(loss.scratch, `${where}.loss.scratch`),
    },
    held_out_tokens: number(json.held_out_tokens, `${where}.held_out_tokens`),
  };
}

function record(value: unknown, where: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw bad(where, "an object", JSON.stringify(value) ?? "nothing");
}

function list(value: unknown, where: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw bad(where, "a list", JSON.stringify(value) ?? "nothing");
}

function text(value: unknown, where: string): string {
  if (typeof value === "string") return value;
  throw bad(where, "text", JSON.stringify(value) ?? "nothing");
}

function fitKey(value: unknown, where: string): string {
  const key = text(value, where);
  if (key.startsWith("fit:")) return key;
  throw bad(where, "fit: and a hook", key);
}

function truth(value: unknown, where: string): boolean {
  if (typeof value === "boolean") return value;
  throw bad(where, "true or false", JSON.stringify(value) ?? "nothing");
}

function number(value: unknown, where: string): number {
  if (typeof value === "number") return value;
  throw bad(where, "a number", JSON.stringify(value) ?? "nothing");
}

function numberOrNull(value: unknown, where: string): number | null {
  return value === null ? null : number(value, where);
}

function bad(where: string, expected: string, got: string): UsageError {
  return new UsageError({
    code: "bad-map",
    where,
    expected,
    got,
    hint: "The expansion map was not written by sae-carry expand, or it is damaged.",
  });
}
