/** The table of families, by the model type that `config.json` names. */
import type { GrownSizes, ModelConfig, ModelSizes, NewModelSizes } from "./config.ts";
import { checkModelType, configFields } from "./config-fields.ts";
import type { Family } from "./family.ts";
import { gpt2 } from "./gpt2.ts";
import { llama } from "./llama.ts";
import { mixtral } from "./mixtral.ts";
import { neox } from "./neox.ts";

const families = new Map<string, Family>();
for (const family of [gpt2, neox, llama, mixtral] as unknown as Family[]) {
  for (const type of family.modelTypes) families.set(type, family);
}

/** Every model type there is, such as `gpt2` and `llama`. */
export const modelTypes: readonly string[] = [...families.keys()];

/** The family of a configuration. */
export function familyOf<C extends ModelConfig>(config: C): Family<C> {
  const family = families.get(config.model_type);
  if (!family) throw new Error(`internal: no family of type ${config.model_type}`);
  return family as unknown as Family<C>;
}

/** Reads the parsed JSON of a `config.json` of any family. Errors: UsageError naming the field. */
export function parseConfig(json: unknown, where: string): ModelConfig {
  const type = checkModelType(configFields(json, where), where, [...families.keys()]);
  return (families.get(type) as Family).parse(json, where);
}

/** The configuration of a new model of a type such as `gpt2` or `llama`. Errors: UsageError naming what can't be. */
export function newConfig(type: string, sizes: NewModelSizes, where = "model"): ModelConfig {
  const known = checkModelType(configFields({ model_type: type }, where), where, [
    ...families.keys(),
  ]);
  return (families.get(known) as Family).sized(known, sizes, where);
}

/** A configuration with other sizes; all other settings stay. */
export function resizedConfig<C extends ModelConfig>(config: C, sizes: GrownSizes): C {
  return familyOf(config).resized(config, sizes);
}

/** The sizes that all families have in common. */
export function modelSizes(config: ModelConfig): ModelSizes {
  return familyOf(config).sizes(config);
}
