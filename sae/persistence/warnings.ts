// What a reader of a comparison must not overlook, in words: missing witnesses and maps, few seeds, arms
// that are not matched, verdicts that were not given, failed checks of the rule, growth that is not exact.
import type { PersistenceDocument } from "./document.ts";
import type { FreshAlone } from "./fresh-alone.ts";
import type { ArmRole, InexactGrowth, PersistenceInput, PersistenceOptions } from "./input.ts";

// Roles that are trained with several seeds, and from how many on the document does not warn of their intervals: what
// 2 or 3 seeds add to a percentile interval ends at the lowest and the highest of them.
const seededRoles: readonly ArmRole[] = ["fresh", "scratch", "fresh-parent"];
const fewestSeeds = 4;

/** Everything that a reader of this document must not overlook. */
export function warningsOn(
  document: Omit<PersistenceDocument, "warnings">,
  { arms, probes, inexact = null }: PersistenceInput,
  { matchedWithin, minFirings }: PersistenceOptions,
): string[] {
  const warnings: string[] = [];
  const seeds = (role: ArmRole): number => arms.filter((arm) => arm.role === role).length;
  const carried = arms.find(({ role }) => role === "carried")!;
  if (document.eligible === 0) {
    warnings.push(`no parent latent fires ${minFirings} times in these tokens: nothing to compare`);
  }
  if (carried.frame === null) {
    warnings.push("no expansion map was given: directions are not compared, drift can't be seen");
  }
  if (seeds("fresh") === 0 && probes === null) {
    warnings.push(
      "no fresh SAE and no probe was given: nothing can witness that a latent persisted",
    );
  } else if (probes !== null && probes.random === null) {
    warnings.push("no random-weights model was given: probes have no null and count as no witness");
  }
  for (let n = 1; n < fewestSeeds; n++) {
    const roles = seededRoles.filter((role) => seeds(role) === n);
    if (roles.length > 0) warnings.push(seedWarning(n, roles));
  }
  warnings.push(...freshWarnings(document.fresh_alone));
  const unmatched = document.arms.filter(({ matched }) => matched === false);
  if (unmatched.length > 0) {
    warnings.push(
      `L0 or FVU differ by more than ${matchedWithin * 100}% from the carried arm: ${unmatched.map(({ arm }) => arm).join(", ")}`,
    );
  }
  if ((document.reinit_persisted.value ?? 0) > 0.05) {
    warnings.push(
      "more than 5% persist in a model with random weights: the verdicts can't be trusted",
    );
  }
  if (inexact !== null) warnings.push(...growthWarnings(inexact, document.start_kept.value));
  const isExactHere = inexact === null || inexact.through === "exact";
  if (isExactHere && (document.start_kept.value ?? 1) < 0.99) {
    warnings.push("less than 99% are kept before any training: the verdicts can't be trusted");
  }
  return warnings;
}

/** In words, the verdicts that are not given because they would rest on fresh SAEs alone. */
function freshWarnings(words: FreshAlone): string[] {
  return (["split", "merged"] as const).flatMap((kind) => {
    const { called, mirror, stands } = words[kind];
    if (stands || called === 0) return [];
    const why =
      mirror === null
        ? "no fresh parent SAE is there to hold that against"
        : `with parent and child exchanged ${mirror}, so it may be no more than chance`;
    return [`fresh SAEs alone would call ${called} ${kind}, which is not done: ${why}`];
  });
}

/** What an interval from few seeds leaves out. */
function seedWarning(n: number, roles: readonly ArmRole[]): string {
  const of = roles.join(", ");
  if (n === 1) return `one seed of ${of}: intervals leave out how much seeds differ`;
  return `${n} seeds of ${of}: how much seeds differ is drawn from these ${n} alone, so intervals can be too narrow; ${fewestSeeds} or more tell more`;
}

/** What growth itself changed, which the verdicts can't tell from what training changed. */
function growthWarnings(
  { method, through, r2, loss_parent, loss_child }: InexactGrowth,
  kept: number | null,
): string[] {
  const loss =
    loss_parent === null || loss_child === null
      ? ""
      : `: the loss went from ${loss_parent.toFixed(3)} to ${loss_child.toFixed(3)} nats at once`;
  const explained =
    r2 === null ? "" : `, which explains ${(100 * r2).toFixed(1)}% of the variance there`;
  const way = {
    exact: "at this SAE's hook the map is exact all the same",
    published: `at this SAE's hook the method's own map is only near${explained}`,
    fitted: `the method has no map at this SAE's hook: one fitted on text took its place${explained}`,
    copied: `the method has no map at this SAE's hook and none was fitted: coordinates were copied${explained}`,
  };
  const warnings = [`growth by ${method} is not exact${loss}; ${way[through]}`];
  if (through !== "exact" && kept !== null) {
    warnings.push(
      `${(100 * kept).toFixed(1)}% are kept before any training: what growth itself lost counts as lost`,
    );
  }
  return warnings;
}
