/** @file `saes:` with every default spelled out, and what no single key of an SAE shows checked. */
import { resolve } from "node:path";
import { defaultSaeRate, unknownHook } from "../../sae/index.ts";
import { defaultDeadAfter, defaultMatryoshkaWidths, saeDefaults } from "./defaults.ts";
import { defined } from "./defined.ts";
import { importedKeys } from "./imported-sae.ts";
import type { PlanInput, SaePlan } from "./types.ts";

/** Refuses a key. */
export type Fail = (key: string, expected: string, got: string, hint?: string) => never;

/** What the name of an SAE's folder ends with where it is carried to the earlier boundary of an inserted block, and its arms' names. */
export const earlierSuffix = ".pre";

/** A name in the form in which two that share a folder are equal: some file systems don't tell cases apart. */
export function folded(name: string): string {
  return name.toLowerCase();
}

/** Where SAEs of a plan come from that it doesn't train. */
export interface SaeSources {
  /** Where relative paths start. */
  readonly folder: string;
  /** Names the plan in errors. */
  readonly where: string;
  /** Whether the plan's model is one that exists: SAEs that exist are of such models. */
  readonly hasModel: boolean;
}

/** Resolves the plan's SAEs; `hook` is asked for where one names none. Errors: by `fail`, naming the key. */
export function resolveSaes(
  inputs: NonNullable<PlanInput["saes"]>,
  hook: () => string,
  { folder, where, hasModel }: SaeSources,
  fail: Fail,
): SaePlan[] {
  const saes = inputs.map((given, i): SaePlan => {
    const from = given.from ? resolve(folder, given.from) : null;
    if (from !== null && !hasModel) {
      fail(`saes[${i}].from`, "model.path, the model that the SAE is of, beside it", "no such key");
    }
    const input = from === null ? given : { ...given, from };
    const imported = from === null ? null : importedKeys(input, `${where} saes[${i}]`);
    const own = input.hook ?? imported?.hook ?? hook();
    const stated = { ...defined(input), ...imported };
    const { d_sae = saeDefaults.d_sae, k = saeDefaults.k } = stated;
    const ofSize = { lr: defaultSaeRate(d_sae), dead_after_tokens: defaultDeadAfter(d_sae, k) };
    const sae = { ...saeDefaults, ...ofSize, ...stated, hook: own };
    if (sae.hook === unknownHook) {
      fail(`saes[${i}].hook`, "the hook that the SAE reads, which its folder doesn't tell", "none");
    }
    if (from === null && sae.from_tokens !== 0) {
      fail(`saes[${i}].from_tokens`, "0 without saes[].from", `${sae.from_tokens}`);
    }
    if (sae.architecture !== "matryoshka_batchtopk" || sae.matryoshka_widths !== null) return sae;
    return { ...sae, matryoshka_widths: defaultMatryoshkaWidths(sae.d_sae) };
  });
  for (const [i, sae] of saes.entries()) {
    const at = (key: keyof SaePlan): string => `saes[${i}].${key}`;
    if (saes.findIndex((other) => folded(other.name) === folded(sae.name)) !== i) {
      fail(at("name"), "a name of its own", sae.name);
    }
    if (saes.some((other) => folded(`${other.name}${earlierSuffix}`) === folded(sae.name))) {
      const place = "it is the folder of that SAE at the earlier boundary of an inserted block";
      fail(at("name"), `no other SAE's name with ${earlierSuffix} (${place})`, sae.name);
    }
    checkOutput(sae, at, fail);
    checkNorm(sae, at("normalize_activations"), fail);
    checkK(sae, at("k"), fail);
    checkWidths(sae, at("matryoshka_widths"), fail);
    const steps = Math.ceil(sae.tokens / sae.batch_tokens);
    const late = sae.resample_at.find((step) => step >= steps);
    if (late !== undefined) {
      fail(
        at("resample_at"),
        `steps before the last (tokens / batch_tokens = ${steps})`,
        `${late}`,
      );
    }
    if (sae.warmup + sae.decay > 1) {
      fail(at("decay"), "warmup + decay of at most 1", `${sae.warmup} + ${sae.decay}`);
    }
  }
  return saes;
}

function checkOutput(
  { hook, hook_out, skip_connection }: SaePlan,
  at: (key: keyof SaePlan) => string,
  fail: Fail,
): void {
  if (hook_out === hook) {
    fail(at("hook_out"), "another hook than the one it reads, or null for an SAE", hook_out);
  }
  if (skip_connection && hook_out === null) {
    fail(
      at("skip_connection"),
      "false without hook_out: it would make an SAE the identity",
      "true",
    );
  }
}

/** A transcoder's target has another scale than its input, so a norm by row has nothing to go back to. */
function checkNorm({ hook_out, normalize_activations }: SaePlan, key: string, fail: Fail): void {
  const isByRow = ["constant_norm_rescale", "layer_norm"].includes(normalize_activations);
  if (isByRow && hook_out !== null) {
    fail(key, "expected_average_only_in or none for a transcoder", normalize_activations);
  }
}

/** Architectures whose penalty can do without a target. */
const penalised: readonly string[] = ["standard", "gated", "jumprelu"];

function checkK({ k, d_sae, architecture }: SaePlan, key: string, fail: Fail): void {
  if (k === null && !penalised.includes(architecture)) {
    fail(key, `a number of latents, for ${architecture}`, "null");
  }
  if (k !== null && k > d_sae) fail(key, `at most d_sae (${d_sae})`, `${k}`);
}

function checkWidths(
  { architecture, matryoshka_widths: widths, d_sae }: SaePlan,
  key: string,
  fail: Fail,
): void {
  if (widths === null) return;
  if (architecture !== "matryoshka_batchtopk") fail(key, `null, for ${architecture}`, `${widths}`);
  const ascends = widths.every((width, i) => width > (widths[i - 1] ?? 0));
  if (!ascends || widths.at(-1) !== d_sae) {
    fail(key, `ascending widths that end with d_sae (${d_sae})`, widths.join(", "));
  }
}
