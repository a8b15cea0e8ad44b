"""Published checkpoints (GPT-2, GPT-Neo) to GGUF files that the engine takes as targets or as causal drafters."""
