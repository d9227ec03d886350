/** @file Whether an SAE belongs to a model, as far as widths tell. */
import { outputHook, type Sae } from "../../sae/index.ts";
import { UsageError } from "../../src/io/index.ts";
import { hookWidth, type ModelConfig } from "../../src/models/index.ts";

/** Errors: UsageError when the model lacks one of the SAE's hooks or has another width there. `where` names the SAE. */
export function checkSaeFits({ cfg }: Sae, config: ModelConfig, where: string): void {
  const check = (field: "d_in" | "d_out", hook: string): void => {
    const width = hookWidth(config, hook);
    if (cfg[field] === width) return;
    throw new UsageError({
      code: "wrong-model",
      where,
      expected: `an SAE of this model: ${width} numbers at ${hook}`,
      got: `${field} ${cfg[field]}`,
    });
  };
  check("d_in", cfg.hook_name);
  check("d_out", outputHook(cfg));
}
