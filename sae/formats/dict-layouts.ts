/**
 * @file The classes of dictionary_learning (dictionary.py, trainers/*.py at 60ec6bf) by how their state_dicts name and
 * lay out what an SAE has. A matrix is transposed where it is the weight of a torch.nn.Linear.
 */
import type { SaeArchitecture } from "../architectures.ts";

/** A matrix of a state_dict: encoders are [d_in, d_sae] and decoders [d_sae, d_in] unless transposed. */
export interface DictMatrix {
  readonly name: string;
  readonly isTransposed: boolean;
}

/** How a class lies in its file. */
export interface DictLayout {
  readonly architecture: SaeArchitecture;
  readonly encoder: DictMatrix;
  readonly encoderBias: string;
  readonly decoder: DictMatrix;
  readonly decoderBias: string;
  /** Whether the encoder reads x − b_dec. */
  readonly subtractsBias: boolean;
  /** Whether `k` and one `threshold` are stored. */
  readonly hasK: boolean;
  /** Whether `group_sizes` is stored. */
  readonly hasGroups: boolean;
}

const linears = {
  encoder: { name: "encoder.weight", isTransposed: true },
  encoderBias: "encoder.bias",
  decoder: { name: "decoder.weight", isTransposed: true },
};
const parameters = {
  encoder: { name: "W_enc", isTransposed: false },
  encoderBias: "b_enc",
  decoder: { name: "W_dec", isTransposed: false },
  decoderBias: "b_dec",
};

/** The name of a class. */
export type DictClass =
  | "AutoEncoder"
  | "AutoEncoderNew"
  | "GatedAutoEncoder"
  | "JumpReluAutoEncoder"
  | "AutoEncoderTopK"
  | "BatchTopKSAE"
  | "MatryoshkaBatchTopKSAE";

/** Every class that is read and written. */
export const dictLayouts: Readonly<Record<DictClass, DictLayout>> = {
  AutoEncoder: {
    ...linears,
    architecture: "standard",
    decoderBias: "bias",
    subtractsBias: true,
    hasK: false,
    hasGroups: false,
  },
  AutoEncoderNew: {
    ...linears,
    architecture: "standard",
    decoderBias: "decoder.bias",
    subtractsBias: false,
    hasK: false,
    hasGroups: false,
  },
  GatedAutoEncoder: {
    ...linears,
    architecture: "gated",
    encoderBias: "gate_bias",
    decoderBias: "decoder_bias",
    subtractsBias: true,
    hasK: false,
    hasGroups: false,
  },
  JumpReluAutoEncoder: {
    ...parameters,
    architecture: "jumprelu",
    subtractsBias: false,
    hasK: false,
    hasGroups: false,
  },
  AutoEncoderTopK: {
    ...linears,
    architecture: "topk",
    decoderBias: "b_dec",
    subtractsBias: true,
    hasK: true,
    hasGroups: false,
  },
  BatchTopKSAE: {
    ...linears,
    architecture: "batchtopk",
    decoderBias: "b_dec",
    subtractsBias: true,
    hasK: true,
    hasGroups: false,
  },
  MatryoshkaBatchTopKSAE: {
    ...parameters,
    architecture: "matryoshka_batchtopk",
    subtractsBias: true,
    hasK: true,
    hasGroups: true,
  },
};

/** Their names. */
export const dictClasses: readonly DictClass[] = Object.keys(dictLayouts) as DictClass[];
