// `sae-carry expand` on models of other families by path alone: exact, and readable by `inspect`.
import { expect, test } from "vitest";
import { jsonDocuments } from "../../cli/json-schemas.ts";
import { saveModel } from "../../src/models/index.ts";
import { testBackend } from "../support/backend.ts";
import { runCommand } from "../support/command-line.ts";
import { temporaryFolder } from "../support/folder.ts";
import { roughConfigs, roughModel } from "../support/rough-models.ts";

const at = temporaryFolder();

test.each([
  ["neox", 50],
  ["llama", 44],
  ["qwen3", 42],
])("expand grows a %s to a width of %i", async (name, width) => {
  saveModel(at("model"), roughModel(roughConfigs[name], name));
  const growth = ["--width", "1.5x", "--layers", "+1", "--method", "lemon"];
  const where = ["--out", at("grown"), "--json", "--backend", testBackend];
  const { code, out } = await runCommand("expand", at("model"), ...growth, ...where);
  expect(code, out).toBe(0);
  const document = jsonDocuments.expand.schema.parse(JSON.parse(out)) as {
    exact: boolean;
    child: { d_model: number; n_layer: number };
    exactness: { max_abs_dlogit: number };
  };
  expect(document).toMatchObject({ exact: true, child: { d_model: width, n_layer: 3 } });
  expect(document.exactness.max_abs_dlogit).toBeLessThanOrEqual(1e-4);
  const inspected = await runCommand("inspect", at("grown"), "--json");
  expect(inspected.code, inspected.out).toBe(0);
});
