"""Plain PyTorch modules with the published checkpoints' parameter names: what the engine is compared with."""
