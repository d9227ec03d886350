/** @file Where the activations of `compare` come from: for each side a dump, or a model and the text of both. */
import { type ActivationRows, dumpRows, modelRows, type Sae } from "../../sae/index.ts";
import type { TokenSet } from "../../src/data/index.ts";
import { createRng } from "../../src/engine/index.ts";
import { ActivationDump, UsageError } from "../../src/io/index.ts";
import {
  type HostModel,
  initModel,
  loadModel,
  type Model,
  modelSizes,
  placeModel,
} from "../../src/models/index.ts";
import { missingFlag } from "../missing-flag.ts";
import { evalDefaults } from "../plan/defaults.ts";
import { checkSaeFits } from "./sae-fits.ts";
import { tokensOfText } from "./text-tokens.ts";

/** The flags that name activations; those without a side hold for both. */
export interface SourceFlags {
  readonly model?: string;
  readonly modelA?: string;
  readonly modelB?: string;
  readonly text?: string;
  readonly activations?: string;
  readonly activationsA?: string;
  readonly activationsB?: string;
  readonly activationsRandom?: string;
  readonly tokens?: number;
}

/** A side: its SAE and where that lies. */
export interface SourceSae {
  readonly dir: string;
  readonly sae: Sae;
}

/** The activations of both sides, and of random weights in the shape of the second model where there are such. */
export interface Sources {
  readonly a: ActivationRows;
  readonly b: ActivationRows;
  readonly random: ActivationRows | null;
  /** Whether both sides are the same numbers. */
  readonly isShared: boolean;
  /** Frees the models. */
  readonly dispose: () => void;
}

/** Opens both sides. Errors: UsageError for flags that name too little or too much, and for files. */
export async function openSources(
  flags: SourceFlags,
  a: SourceSae,
  b: SourceSae,
  seed: number,
): Promise<Sources> {
  const { text, tokens = evalDefaults.tokens } = flags;
  const [placeA, placeB] = [placeOf(flags, "a"), placeOf(flags, "b")];
  const places = [placeA, placeB];
  if (text === undefined && places.some(({ kind }) => kind === "model")) {
    throw missingFlag("--text", "a text to run through the models");
  }
  if (text !== undefined && places.every(({ kind }) => kind === "dump")) {
    throw new UsageError({
      code: "bad-flag",
      where: "--text",
      expected: "no text, since both sides are dumps",
      got: text,
    });
  }
  const paths = new Set(places.flatMap(({ kind, path }) => (kind === "model" ? [path] : [])));
  const hosts = new Map([...paths].map((path) => [path, loadModel(path)]));
  const contexts = [...hosts.values()].map(({ config }) => modelSizes(config).context);
  const opened = new Map<string, OpenModel>();
  const placed: Model[] = [];
  const place = (host: HostModel): Model => {
    const model = placeModel(host);
    placed.push(model);
    return model;
  };
  const open = async ({ kind, path }: Place, { dir, sae }: SourceSae): Promise<ActivationRows> => {
    const hook = sae.cfg.hook_name;
    if (kind === "dump") return dumpRows(new ActivationDump(path), hook);
    const host = hosts.get(path) as HostModel;
    checkSaeFits(sae, host.config, dir);
    const { model, set } = opened.get(path) ?? {
      model: place(host),
      ...(await tokensOfText(path, host.config, text as string, tokens, Math.min(...contexts))),
    };
    opened.set(path, { model, set });
    return modelRows(model, hook, set, path);
  };
  const first = await open(placeA, a);
  const second = await open(placeB, b);
  const hook = b.sae.cfg.hook_name;
  let random: ActivationRows | null = null;
  const shape = opened.get(placeB.path);
  if (flags.activationsRandom !== undefined) {
    random = dumpRows(new ActivationDump(flags.activationsRandom), hook);
  } else if (shape !== undefined) {
    const weights = initModel(shape.model.config, createRng(`seed ${seed}`).fork("random weights"));
    random = modelRows(place(weights), hook, shape.set, placeB.path);
  }
  return {
    a: first,
    b: second,
    random,
    isShared: placeA.path === placeB.path && first.hook === second.hook,
    dispose: () => {
      for (const model of placed) model.dispose();
    },
  };
}

/** A model, and the text as its tokens. */
interface OpenModel {
  readonly model: Model;
  readonly set: TokenSet;
}

interface Place {
  readonly kind: "model" | "dump";
  readonly path: string;
}

function placeOf(flags: SourceFlags, side: "a" | "b"): Place {
  const model = (side === "a" ? flags.modelA : flags.modelB) ?? flags.model;
  const dump = (side === "a" ? flags.activationsA : flags.activationsB) ?? flags.activations;
  if (model !== undefined && dump !== undefined) {
    throw new UsageError({
      code: "bad-flag",
      where: `--model-${side} and --activations-${side}`,
      expected: "one of them",
      got: "both",
    });
  }
  if (model !== undefined) return { kind: "model", path: model };
  if (dump !== undefined) return { kind: "dump", path: dump };
  throw missingFlag(
    `--model-${side} or --activations-${side}`,
    "the model that the SAE reads, with --text, or a dump of its activations",
  );
}
