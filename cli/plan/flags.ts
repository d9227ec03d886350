/**
 * @file Flags → plan keys. Flags (and SAE_CARRY_* variables, which the command line merges below
 * them) win over the plan. On a run that exists, `--expand` lists its stages from the first on: those
 * it has are left as they are, further ones are appended, so the same command can be repeated.
 */
import { basename, resolve } from "node:path";
import { corpusSpecOf } from "../../src/data/index.ts";
import { UsageError } from "../../src/io/index.ts";
import { nearest } from "../suggest.ts";
import { checkPlan, keyName } from "./parse.ts";
import { resolvePlan } from "./resolve.ts";
import type {
  BackendOption,
  ControlsPlan,
  DataPlan,
  ExpandPlan,
  Freeze,
  PlanInput,
  ResolvedPlan,
  SaePlan,
  StageInput,
  StageTrainPlan,
} from "./types.ts";

/** Values of the flags that build a plan; undefined = not given. */
export interface PlanFlags {
  readonly text?: string;
  readonly activations?: string;
  readonly model?: string;
  readonly hook?: readonly string[];
  /** What transcoders reconstruct: one for each hook. */
  readonly hookOut?: readonly string[];
  /** Transcoders with a linear skip connection. */
  readonly skip?: boolean;
  readonly arch?: SaePlan["architecture"];
  readonly dSae?: number;
  readonly k?: number;
  /** Folders of SAEs to start from; false = a plan without SAEs. */
  readonly sae?: readonly string[] | boolean;
  readonly family?: string;
  readonly layers?: number;
  readonly dModel?: number;
  readonly heads?: number;
  readonly vocab?: number;
  readonly context?: number;
  readonly tokens?: number;
  readonly saeTokens?: number;
  readonly newLatents?: number;
  readonly optimizer?: StageTrainPlan["optimizer"];
  /** `none`, `inherited`, `old-layers`, or patterns. */
  readonly freeze?: readonly string[];
  readonly checkpoints?: number;
  readonly controls?: ControlsPlan["preset"];
  /** One text per stage: `width=1.5x,layers=+2`. */
  readonly expand?: readonly string[];
  readonly seed?: number;
  readonly backend?: BackendOption;
  readonly threads?: number;
  readonly workers?: number;
}

const flagOfKey: Readonly<Record<string, string>> = {
  "data.context": "--context",
  "model.family": "--family",
  "model.d_model": "--d-model",
  "model.layers": "--layers",
  "model.heads": "--heads",
  "tokenizer.vocab_size": "--vocab",
  architecture: "--arch",
  d_sae: "--d-sae",
  k: "--k",
  hook: "--hook",
  hook_out: "--hook-out",
  skip_connection: "--skip",
  optimizer: "--optimizer",
  freeze: "--freeze",
  checkpoints: "--checkpoints",
  seed: "--seed",
  threads: "--threads",
  workers: "--workers",
};

/**
 * `plan` with the flags' values in it, checked; `--expand` replaces its stages, and relative paths in
 * flags start at the working directory. Errors: UsageError that names the flag.
 */
export function applyFlags(plan: PlanInput, flags: PlanFlags): PlanInput {
  const stages = flags.expand
    ? flags.expand.map((text): StageInput => ({ expand: parseExpandFlag(text) }))
    : (plan.stages ?? []);
  const merged: PlanInput = {
    ...applyGlobals(plan, flags),
    stages: stages.map((stage) => withStageFlags(stage, flags)),
  };
  return checkPlan(merged, locateFlag);
}

/**
 * The plan of a run that exists, with the flags' values in it. `folder` is where relative paths of the
 * stored plan start. Errors: UsageError that names the flag.
 */
export function applyFlagsToRun(
  stored: ResolvedPlan,
  flags: PlanFlags,
  folder: string,
  where: string,
): ResolvedPlan {
  const given = (flags.expand ?? []).map(parseExpandFlag);
  const kept = stored.stages.map(
    (stage, i): StageInput => (i < given.length ? { ...stage, expand: given[i] } : stage),
  );
  const added = given.slice(kept.length).map((expand) => withStageFlags({ expand }, flags));
  const stages =
    added.length > 0
      ? [...kept, ...added]
      : kept.map((stage, i) => (i === kept.length - 1 ? withStageFlags(stage, flags) : stage));
  const base = { ...flags, tokens: undefined, saeTokens: undefined };
  const merged = checkPlan({ ...applyGlobals(stored, base), stages }, locateFlag);
  return resolvePlan(merged, folder, where);
}

function applyGlobals(plan: PlanInput, flags: PlanFlags): PlanInput {
  const { seed, backend, threads, workers, controls } = flags;
  return {
    ...plan,
    ...given({ seed, backend, threads, workers }),
    ...(flags.activations === undefined ? {} : { activations: resolve(flags.activations) }),
    data: {
      ...plan.data,
      ...given({ context: flags.context }),
      ...(flags.text === undefined ? {} : corpusFlag(flags.text)),
    },
    tokenizer: { ...plan.tokenizer, ...given({ vocab_size: flags.vocab }) },
    model: {
      ...plan.model,
      ...given({
        path: flags.model === undefined ? undefined : resolve(flags.model),
        family: flags.family,
        d_model: flags.dModel,
        layers: flags.layers,
        heads: flags.heads,
      }),
      train: { ...plan.model?.train, ...given({ tokens: flags.tokens }) },
    },
    saes: withSaeFlags(plan.saes ?? [{}], flags),
    // A preset given here replaces all that the plan's preset stood for.
    ...(controls === undefined ? {} : { controls: { preset: controls } }),
  };
}

function withSaeFlags(
  planned: NonNullable<PlanInput["saes"]>,
  flags: PlanFlags,
): readonly Partial<SaePlan>[] {
  const saes = Array.isArray(flags.sae) ? importedSaes(planned, flags.sae) : planned;
  const changes = given({
    architecture: flags.arch,
    d_sae: flags.dSae,
    k: flags.k,
    skip_connection: flags.skip,
    tokens: flags.saeTokens,
  });
  const hooks = flags.hook ?? [];
  const outputs = flags.hookOut ?? [];
  if (flags.sae === false) {
    const [contrary] = [...hooks, ...outputs, ...Object.values(changes).map(String)];
    if (contrary !== undefined) {
      throw new UsageError({
        code: "bad-flag",
        where: "--no-sae",
        expected: "no flag that says how to train an SAE beside it",
        got: contrary,
      });
    }
    return [];
  }
  const reading = hooks.length || saes.length;
  if (outputs.length > 0 && outputs.length !== reading) {
    throw new UsageError({
      code: "bad-flag",
      where: "--hook-out",
      expected: `${reading} hooks, one for each that is read`,
      got: `${outputs.length}`,
      hint: "--hook blocks.1.mlp.hook_in --hook-out blocks.1.hook_mlp_out makes a transcoder of an MLP",
    });
  }
  const written = (i: number): Partial<SaePlan> =>
    outputs.length > 0 ? { hook_out: outputs[i] } : {};
  if (hooks.length === 0) return saes.map((sae, i) => ({ ...sae, ...changes, ...written(i) }));
  if (hooks.length === saes.length) {
    return saes.map((sae, i) => ({ ...sae, hook: hooks[i], ...changes, ...written(i) }));
  }
  if (saes.length > 1) {
    throw new UsageError({
      code: "bad-flag",
      where: "--hook",
      expected: `${saes.length} hooks, one for each SAE of the plan`,
      got: `${hooks.length}`,
    });
  }
  return hooks.map((hook, i) => ({ ...saes[0], name: hook, hook, ...changes, ...written(i) }));
}

/** The plan's SAEs begun from folders, or one SAE for each folder, named for it. */
function importedSaes(
  saes: NonNullable<PlanInput["saes"]>,
  folders: readonly string[],
): readonly Partial<SaePlan>[] {
  if (folders.length === saes.length) {
    return saes.map((sae, i) => ({ ...sae, from: resolve(folders[i]) }));
  }
  if (saes.length > 1) {
    throw new UsageError({
      code: "bad-flag",
      where: "--sae",
      expected: `${saes.length} folders, one for each SAE of the plan`,
      got: `${folders.length}`,
    });
  }
  return folders.map((folder) => ({ ...saes[0], name: basename(folder), from: resolve(folder) }));
}

function withStageFlags(stage: StageInput, flags: PlanFlags): StageInput {
  const { tokens, optimizer, checkpoints } = flags;
  const train = {
    ...stage.train,
    ...given({ tokens, optimizer, freeze: freezeFlag(flags.freeze), checkpoints }),
  };
  const carry = {
    ...stage.carry,
    ...given({ new_latents: flags.newLatents, tokens: flags.saeTokens }),
  };
  return { ...stage, train, carry };
}

// One word of the three is that word; anything else is patterns.
function freezeFlag(values: readonly string[] | undefined): Freeze | undefined {
  const [only] = values ?? [];
  if (values?.length === 1 && (only === "none" || only === "inherited" || only === "old-layers")) {
    return only;
  }
  return values;
}

function corpusFlag(text: string): Partial<DataPlan> {
  const { kind, path } = corpusSpecOf(text);
  return { corpus: kind, path: path === undefined ? null : resolve(path) };
}

const expandKeys: Readonly<Record<string, keyof ExpandPlan>> = {
  width: "width",
  layers: "layers",
  heads: "heads",
  "kv-heads": "kv_heads",
  "head-dim": "head_dim",
  mlp: "mlp",
  vocab: "vocab",
  experts: "experts",
  "experts-per-token": "experts_per_token",
  method: "method",
  "depth-method": "depth_method",
  positions: "positions",
  "noise-db": "noise_db",
  "ligo-steps": "ligo_steps",
  "ligo-lr": "ligo_lr",
};

/** `width=1.5x,positions=0,2,no-noise` → a stage's `expand:`. A piece without `=` goes on the value before it. */
export function parseExpandFlag(text: string): Partial<ExpandPlan> {
  const where = `--expand ${text}`;
  const values = new Map<keyof ExpandPlan, string>();
  let last: keyof ExpandPlan | undefined;
  for (const piece of text.split(",").map((part) => part.trim())) {
    const equals = piece.indexOf("=");
    if (piece === "no-noise") {
      values.set("noise_db", "none");
      last = undefined;
    } else if (equals < 0) {
      if (last !== "positions" || piece === "") {
        throw new UsageError({
          code: "bad-flag",
          where,
          expected: "KEY=VALUE,… such as width=1.5x,layers=+2",
          got: piece === "" ? "an empty piece" : piece,
        });
      }
      values.set(last, `${values.get(last)},${piece}`);
    } else {
      const written = piece.slice(0, equals).trim();
      const key = Object.hasOwn(expandKeys, written.replace(/_/g, "-"))
        ? expandKeys[written.replace(/_/g, "-")]
        : undefined;
      if (key === undefined || values.has(key)) {
        const meant = key === undefined ? nearest(written, Object.keys(expandKeys)) : undefined;
        throw new UsageError({
          code: key === undefined ? "unknown-flag" : "bad-flag",
          where,
          expected: `each once, of ${Object.keys(expandKeys).join(", ")}`,
          got: key === undefined ? `the unknown key ${written}` : `${written} twice`,
          hint: meant === undefined ? undefined : `did you mean ${meant}?`,
        });
      }
      values.set(key, piece.slice(equals + 1).trim());
      last = key;
    }
  }
  const expand = Object.fromEntries([...values].map(([key, value]) => [key, typed(key, value)]));
  const checked = checkPlan({ stages: [{ expand }] }, (path) => {
    const key = path.at(-1);
    return typeof key === "string" && key !== "expand"
      ? `--expand ${key.replace(/_/g, "-")}`
      : where;
  });
  return checked.stages?.[0]?.expand ?? {};
}

// Text that isn't of the key's kind is left as it is, for the schema to refuse with its own words.
function typed(key: keyof ExpandPlan, value: string): unknown {
  const number = /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  if (key === "noise_db") return value === "none" ? null : number;
  if (key === "positions" && /^-?\d+(,-?\d+)*$/.test(value)) return value.split(",").map(Number);
  return number;
}

function locateFlag(path: readonly PropertyKey[]): string {
  const flag = flagOfKey[keyName(path)] ?? flagOfKey[String(path.at(-1))];
  return flag ?? keyName(path);
}

function given<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined),
  ) as Partial<T>;
}
