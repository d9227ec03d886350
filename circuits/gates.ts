/**
 * Gates: named checks with a threshold that stop a plan before its next expansion. A kind is one
 * entry of `gateKinds`; what could not be measured does not pass.
 */
import { UsageError } from "../src/io/index.ts";

/** Held-out loss at most `max`, and at most `max_increase` above the parent stage's. At least one of the two. */
export interface HeldOutLossGate {
  readonly kind: "held_out_loss";
  /** Nats per token. */
  readonly max?: number;
  /** Nats per token over the parent stage's held-out loss. */
  readonly max_increase?: number;
}

/** A gate of a plan. */
export type Gate = HeldOutLossGate;

/** What gates are judged by; null = not measured. */
export interface GateEvidence {
  readonly held_out_loss: number | null;
  /** Null in the base stage. */
  readonly parent_held_out_loss: number | null;
}

/** One gate's outcome: passes when value ≤ threshold. */
export interface GateResult {
  readonly kind: Gate["kind"];
  readonly value: number | null;
  readonly threshold: number | null;
  readonly passed: boolean;
  /** One sentence for people. */
  readonly message: string;
}

/** `gates.json` of a stage. */
export interface GatesDocument {
  readonly format: "sae-carry/gates";
  readonly version: 1;
  readonly stage: string;
  readonly gates: readonly GateResult[];
  readonly passed: boolean;
}

/** How each kind is judged. */
export const gateKinds: {
  readonly [K in Gate["kind"]]: (
    gate: Extract<Gate, { kind: K }>,
    evidence: GateEvidence,
  ) => GateResult;
} = { held_out_loss: heldOutLossGate };

/** Judges a stage's gates. Errors: UsageError for an unknown kind or a gate without a threshold. */
export function evaluateGates(
  stage: string,
  gates: readonly Gate[],
  evidence: GateEvidence,
): GatesDocument {
  const results = gates.map((gate, i) => {
    if (!Object.hasOwn(gateKinds, gate.kind)) {
      throw new UsageError({
        code: "gate-kind",
        where: `gates[${i}].kind`,
        expected: Object.keys(gateKinds).join(" or "),
        got: String(gate.kind),
      });
    }
    if (gate.max === undefined && gate.max_increase === undefined) {
      throw new UsageError({
        code: "gate-threshold",
        where: `gates[${i}]`,
        expected: "max or max_increase",
        got: "neither",
      });
    }
    return gateKinds[gate.kind](gate, evidence);
  });
  const passed = results.every((result) => result.passed);
  return { format: "sae-carry/gates", version: 1, stage, gates: results, passed };
}

function heldOutLossGate(
  { kind, max, max_increase }: HeldOutLossGate,
  { held_out_loss: value, parent_held_out_loss: parent }: GateEvidence,
): GateResult {
  const failed = (message: string, threshold: number | null): GateResult => ({
    kind,
    value: Number.isFinite(value) ? value : null,
    threshold,
    passed: false,
    message,
  });
  if (max_increase !== undefined && (parent === null || !Number.isFinite(parent))) {
    return failed("max_increase needs a parent stage with a measured held-out loss", max ?? null);
  }
  const rise = max_increase === undefined ? Number.POSITIVE_INFINITY : parent! + max_increase;
  const threshold = Math.min(max ?? Number.POSITIVE_INFINITY, rise);
  const meaning =
    threshold === max ? "max" : `the parent's ${parent!.toFixed(3)} + max_increase ${max_increase}`;
  if (value === null || !Number.isFinite(value)) {
    return failed(
      `the held-out loss was not measured, so it can't be within ${meaning}`,
      threshold,
    );
  }
  const passed = value <= threshold;
  return {
    kind,
    value,
    threshold,
    passed,
    message: `held-out loss ${value.toFixed(3)} is ${passed ? "within" : "above"} ${threshold.toFixed(3)} nats per token (${meaning})`,
  };
}
