"""Export of the trained diffusion language model to the GGUF that the engine's diffusion drafters read."""

import json

import gguf

from specdiff_reference.ddit import DditShape

from ..convert.ddit import ddit_model
from ..convert.model_file import write_model
from ..corpus import training_licences
from ..export import copy_tokenizer
from ..vocabulary import Vocabulary
from .settings import Settings
from .trainer import latest


def export(settings: Settings) -> None:
    """Write the latest checkpoint to `settings.output`."""
    vocabulary = Vocabulary(settings.target)
    state = latest(settings, "diffusion-lm", vocabulary)
    recipe = state["recipe"]
    shape = DditShape(
        vocab=len(vocabulary.tokens),
        width=recipe["width"],
        blocks=recipe["blocks"],
        heads=recipe["heads"],
        context=recipe["context"],
        mask=vocabulary.id_of(recipe["mask_token"]),
    )
    model = ddit_model("mdlm", shape, False, state["model"], settings.name, settings.licence)
    write_model(model, settings.type, settings.output, lambda writer: add_origin(writer, settings, vocabulary, recipe))


def add_origin(writer: gguf.GGUFWriter, settings: Settings, vocabulary: Vocabulary, recipe: dict[str, object]) -> None:
    """The target's tokenizer, and where the weights come from."""
    copy_tokenizer(writer, settings.target)
    writer.add_string("specdiff.tokenizer.sha256", vocabulary.sha256())
    writer.add_string("specdiff.recipe", json.dumps(recipe, sort_keys=True))
    writer.add_string("specdiff.licences", ", ".join(training_licences()))
