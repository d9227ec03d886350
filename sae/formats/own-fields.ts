/**
 * @file What other libraries' configuration files have no field for: it lies under `sae_carry` in them, which
 * sparsify and dictionary_learning pass over, so that an SAE comes back from their formats as it went in.
 */
import type { SaeConfig } from "../sae.ts";
import type { Fields } from "./fields.ts";

const formatVersion = 1;

/** The name of a hook that a file says nothing of. */
export const unknownHook = "unknown";

type Own = Pick<
  SaeConfig,
  | "hook_name"
  | "hook_name_out"
  | "model_name"
  | "context_size"
  | "first_tokens_excluded"
  | "max_norm_ratio"
  | "aux_coefficient"
>;

/** The fields to store under `sae_carry`. */
export function ownFields(cfg: SaeConfig): Readonly<Record<string, unknown>> {
  const { hook_name, hook_name_out, model_name, context_size, aux_coefficient } = cfg;
  return {
    format_version: formatVersion,
    hook_name,
    ...(hook_name_out !== null && { hook_name_out }),
    model_name,
    context_size,
    ...leftOutFields(cfg),
    aux_coefficient,
  };
}

/** What says which tokens an SAE was not trained on. */
export function leftOutFields({
  first_tokens_excluded,
  max_norm_ratio,
}: SaeConfig): Readonly<Record<string, number>> {
  return { first_tokens_excluded, ...(max_norm_ratio !== null && { max_norm_ratio }) };
}

/** The fields that `leftOutFields` made. */
export function readLeftOut(
  ours: Fields,
): Pick<SaeConfig, "first_tokens_excluded" | "max_norm_ratio"> {
  return {
    first_tokens_excluded: ours.number("first_tokens_excluded"),
    max_norm_ratio: ours.optionalNumber("max_norm_ratio") ?? null,
  };
}

/** The fields that `ownFields` made; none where another library wrote the file. Errors: UsageError for another version. */
export function readOwnFields(fields: Fields): Partial<Own> {
  const ours = fields.optionalObject("sae_carry");
  if (!ours) return {};
  if (ours.number("format_version") !== formatVersion) {
    ours.fail("format_version", String(formatVersion), ours.value("format_version"));
  }
  return {
    hook_name: ours.string("hook_name"),
    hook_name_out: ours.optionalString("hook_name_out") ?? null,
    model_name: ours.string("model_name"),
    context_size: ours.number("context_size"),
    ...readLeftOut(ours),
    aux_coefficient: ours.number("aux_coefficient"),
  };
}
