/** @file What commands say of a transcoder beside what they say of any SAE. */
import type { SaeConfig } from "../sae/index.ts";
import type { Row } from "./output.ts";

/** Fields of a JSON document: none for an SAE. */
export interface OutputFields {
  readonly d_out?: number;
  readonly hook_name_out?: string;
  readonly skip_connection?: boolean;
}

/** What a transcoder reconstructs, for a JSON document. */
export function outputFields({ d_out, hook_name_out, skip_connection }: SaeConfig): OutputFields {
  return hook_name_out === null ? {} : { d_out, hook_name_out, skip_connection };
}

/** The same as rows of a table. */
export function outputRows({ d_out, hook_name_out }: SaeConfig): Row[] {
  if (hook_name_out === null) return [];
  return [
    ["reconstructs", hook_name_out],
    ["outputs", d_out],
  ];
}
