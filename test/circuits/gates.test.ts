import { expect, test } from "vitest";
import { evaluateGates, type Gate } from "../../circuits/index.ts";

const evidence = { held_out_loss: 4.2, parent_held_out_loss: 4.0 };

test("a held-out loss at the maximum passes, above it fails", () => {
  const [at] = evaluateGates("s", [{ kind: "held_out_loss", max: 4.2 }], evidence).gates;
  expect(at).toMatchObject({ value: 4.2, threshold: 4.2, passed: true });
  const document = evaluateGates("s", [{ kind: "held_out_loss", max: 4.1 }], evidence);
  expect(document.passed).toBe(false);
  expect(document.gates[0].message).toBe("held-out loss 4.200 is above 4.100 nats per token (max)");
});

test("max_increase is measured from the parent, and the tighter of both thresholds holds", () => {
  const [rise] = evaluateGates("s", [{ kind: "held_out_loss", max_increase: 0.1 }], evidence).gates;
  expect(rise.passed).toBe(false);
  expect(rise.threshold).toBeCloseTo(4.1, 12);
  expect(rise.message).toContain("the parent's 4.000 + max_increase 0.1");
  const both: Gate = { kind: "held_out_loss", max: 5, max_increase: 0.3 };
  const [tighter] = evaluateGates("s", [both], evidence).gates;
  expect(tighter).toMatchObject({ passed: true });
  expect(tighter.threshold).toBeCloseTo(4.3, 12);
});

test("what was not measured does not pass", () => {
  for (const held_out_loss of [null, Number.NaN, Number.POSITIVE_INFINITY]) {
    const document = evaluateGates("s", [{ kind: "held_out_loss", max: 9 }], {
      ...evidence,
      held_out_loss,
    });
    expect(document.passed).toBe(false);
    expect(document.gates[0].value).toBeNull();
  }
  const base = { held_out_loss: 4, parent_held_out_loss: null };
  const [gate] = evaluateGates("s", [{ kind: "held_out_loss", max_increase: 1 }], base).gates;
  expect(gate).toMatchObject({ passed: false, value: 4, threshold: null });
  expect(gate.message).toContain("parent");
});

test("no gates pass, and unknown or empty gates are refused", () => {
  expect(evaluateGates("s", [], evidence)).toEqual({
    format: "sae-carry/gates",
    version: 1,
    stage: "s",
    gates: [],
    passed: true,
  });
  const unknown = { kind: "toString", max: 1 } as unknown as Gate;
  expect(() => evaluateGates("s", [unknown], evidence)).toThrow(/gates\[0\]\.kind/);
  expect(() => evaluateGates("s", [{ kind: "held_out_loss" }], evidence)).toThrow(/max_increase/);
});
