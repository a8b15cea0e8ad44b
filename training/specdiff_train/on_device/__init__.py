"""Answers and training on a machine with a GPU: the target's answers in large batches, hidden states computed as they
are needed, nothing of them stored.

asked (here) -> decode (GPU) -> cut (here, by the product's stop rules) -> fit (GPU).
"""
