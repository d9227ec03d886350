/** @file `saes:` with every default spelled out, and what no single key of an SAE shows checked. */
import { defaultMatryoshkaWidths, saeDefaults } from "./defaults.ts";
import { defined } from "./defined.ts";
import type { PlanInput, SaePlan } from "./types.ts";

/** Refuses a key. */
export type Fail = (key: string, expected: string, got: string, hint?: string) => never;

/** What the name of an SAE's folder ends with where it is carried to the earlier boundary of an inserted block, and its arms' names. */
export const earlierSuffix = ".pre";

/** A name in the form in which two that share a folder are equal: some file systems don't tell cases apart. */
export function folded(name: string): string {
  return name.toLowerCase();
}

/** Resolves the plan's SAEs; `hook` is asked for where one names none. Errors: by `fail`, naming the key. */
export function resolveSaes(
  inputs: NonNullable<PlanInput["saes"]>,
  hook: () => string,
  fail: Fail,
): SaePlan[] {
  const saes = inputs.map((input): SaePlan => {
    const sae = { ...saeDefaults, ...defined(input), hook: input.hook ?? hook() };
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
