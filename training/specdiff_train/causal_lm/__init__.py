"""A small causal language model on a target's tokenizer: the fair baseline of the MDLM in diffusion_lm."""
