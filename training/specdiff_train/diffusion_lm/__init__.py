"""A small masked diffusion language model (MDLM) on a target's tokenizer: text, start, training, evaluation, export."""
