/** @file The map between the hooks of the two SAEs of `compare`: a written one, the identity, or one fitted on the rows. */
import {
  type Frame,
  fitRows,
  identityFrame,
  outputHook,
  type PairedRows,
  type Sae,
  saeKind,
} from "../../sae/index.ts";
import {
  applyE,
  applyReadout,
  carriedHook,
  type ExpansionMap,
  type MapKind,
  mapKind,
  mapReadouts,
  mapVectors,
  parentWidth,
  vectorMap,
} from "../../src/expansion/index.ts";
import { UsageError } from "../../src/io/index.ts";

/** How directions of the first SAE look to the second. */
export interface Between {
  readonly frame: Frame;
  readonly kind: MapKind | "same";
  /** Of a map that is not exact, on rows that it was not fitted on; null where it was not measured. */
  readonly r2: number | null;
}

/** How to come by the map. */
export interface MapWish {
  readonly expansion: ExpansionMap | null;
  /** Default: the expansion's, else the identity where both SAEs read the same activations, else fitted. */
  readonly map?: "same" | "fit";
  readonly isShared: boolean;
}

/** The hook of the child that an expansion leads to; the SAE's own without one. Errors: UsageError for a hook not in it. */
export function hookThrough(map: ExpansionMap | null, { cfg }: Sae): string {
  return map === null ? cfg.hook_name : carriedHook(map, cfg.hook_name).to[0];
}

/** The map from the hook of `a` to that of `b`. Errors: UsageError where widths or wishes don't fit. */
export async function mapBetween(
  { expansion, map, isShared }: MapWish,
  a: Sae,
  b: Sae,
  pairs: PairedRows,
): Promise<Between> {
  const [d, D] = [a.cfg.d_in, b.cfg.d_in];
  const isPair = a.cfg.hook_name_out !== null && b.cfg.hook_name_out !== null;
  if (!isPair && (a.cfg.hook_name_out !== null || b.cfg.hook_name_out !== null)) {
    throw new UsageError({
      code: "sae-kind",
      where: "compare",
      expected: "two SAEs or two transcoders",
      got: `a ${saeKind(a.cfg)} and a ${saeKind(b.cfg)}`,
    });
  }
  if (expansion !== null) {
    if (map !== undefined) throw badMap("no --map beside --expansion", map);
    const entry = carriedHook(expansion, a.cfg.hook_name);
    const { tensor, to } = entry;
    if (!to.includes(b.cfg.hook_name)) {
      throw new UsageError({
        code: "wrong-hook",
        where: "--expansion",
        expected: `an SAE at ${to.join(" or ")}, where ${a.cfg.hook_name} is in the child`,
        got: b.cfg.hook_name,
      });
    }
    const width = parentWidth(vectorMap(expansion, tensor)) ?? d;
    const probe = mapVectors(expansion, tensor, new Float32Array(width));
    if (width !== d || probe.length !== D) {
      throw new UsageError({
        code: "sae-width",
        where: "--expansion",
        expected: `SAEs of ${width} and ${probe.length} numbers`,
        got: `${d} and ${D}`,
      });
    }
    return {
      ...mapKind(entry),
      frame: {
        decoder: (rows) => mapVectors(expansion, writtenTensor(expansion, a, b), rows),
        encoder: (rows) => mapReadouts(expansion, tensor, rows),
      },
    };
  }
  if (map === "same" && d !== D) throw badMap(`widths that are equal`, `${d} and ${D}`);
  if (map === "same" || (map === undefined && isShared)) {
    return { frame: identityFrame, kind: "same", r2: null };
  }
  if (isPair) {
    throw badMap("--expansion, or the same activations: two hooks need two maps", "a fit of one");
  }
  const fitted = await fitRows(pairs, d, D);
  const dense = { kind: "dense", ...fitted.map } as const;
  return {
    kind: "fitted",
    r2: fitted.r2,
    frame: {
      decoder: (rows) => applyE(dense, rows),
      encoder: (rows) => applyReadout(dense, rows),
    },
  };
}

/** The map's tensor where `a` writes. Errors: UsageError where `b` writes elsewhere in the child. */
function writtenTensor(expansion: ExpansionMap, a: Sae, b: Sae): string {
  const { tensor, to } = carriedHook(expansion, outputHook(a.cfg));
  if (to.includes(outputHook(b.cfg))) return tensor;
  throw new UsageError({
    code: "wrong-hook",
    where: "--expansion",
    expected: `an SAE that reconstructs ${to.join(" or ")}, where ${outputHook(a.cfg)} is in the child`,
    got: outputHook(b.cfg),
  });
}

function badMap(expected: string, got: string): UsageError {
  return new UsageError({ code: "bad-flag", where: "--map", expected, got });
}
