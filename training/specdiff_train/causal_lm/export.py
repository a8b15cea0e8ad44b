"""Export of the causal language model to a GGUF of llama.cpp's `qwen2` architecture, which any drafter kind `causal`
(and stock llama.cpp) loads."""

import gguf

from ..convert.model_file import ModelFile, write_model
from ..diffusion_lm.export import add_origin
from ..diffusion_lm.settings import Settings
from ..diffusion_lm.trainer import latest
from ..vocabulary import Vocabulary
from .model import CausalShape


def export(settings: Settings) -> None:
    """Write the latest checkpoint to `settings.output`."""
    vocabulary = Vocabulary(settings.target)
    state = latest(settings, "causal-lm", vocabulary)
    recipe = state["recipe"]
    shape = CausalShape(len(vocabulary.tokens), recipe["width"], recipe["blocks"], recipe["heads"], recipe["context"])

    def add_metadata(writer: gguf.GGUFWriter) -> None:
        writer.add_name(settings.name)
        writer.add_license(settings.licence)
        writer.add_context_length(shape.context)
        writer.add_embedding_length(shape.width)
        writer.add_feed_forward_length(shape.inner)
        writer.add_block_count(shape.blocks)
        writer.add_head_count(shape.heads)
        writer.add_layer_norm_rms_eps(shape.eps)
        writer.add_rope_freq_base(shape.rope_base)

    # The parameters' names are llama.cpp's.
    model = ModelFile("qwen2", add_metadata, state["model"])
    write_model(model, settings.type, settings.output, lambda writer: add_origin(writer, settings, vocabulary, recipe))
