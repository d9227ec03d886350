/** The model types that a plan can train from scratch, where --help needs them and nothing heavy may be loaded. */
export const modelTypes = [
  "gpt2",
  "gpt_neox",
  "llama",
  "mistral",
  "qwen2",
  "qwen3",
  "mixtral",
] as const;
