/** @file Whether an SAE belongs to a model, as far as widths tell. */
import type { Sae } from "../../sae/index.ts";
import { UsageError } from "../../src/io/index.ts";
import { hookWidth, type ModelConfig } from "../../src/models/index.ts";

/** Errors: UsageError when the model lacks the SAE's hook or has another width there. `where` names the SAE. */
export function checkSaeFits({ cfg }: Sae, config: ModelConfig, where: string): void {
  const width = hookWidth(config, cfg.hook_name);
  if (cfg.d_in === width) return;
  throw new UsageError({
    code: "wrong-model",
    where,
    expected: `an SAE of this model: ${width} numbers at ${cfg.hook_name}`,
    got: `d_in ${cfg.d_in}`,
  });
}
