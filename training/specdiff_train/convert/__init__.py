"""Published checkpoints (config.json and weights) to GGUF."""
