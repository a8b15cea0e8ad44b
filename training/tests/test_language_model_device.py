"""Batches on a CUDA device without one: fake tensors know their device, and an operation across two devices fails."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import language_model_settings
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from specdiff_train.causal_lm.settings import CausalSettings
from specdiff_train.causal_lm.train import CausalTrainer
from specdiff_train.diffusion_lm.settings import Settings
from specdiff_train.diffusion_lm.text import text
from specdiff_train.diffusion_lm.train import DiffusionTrainer
from specdiff_train.diffusion_lm.windows import CountedWindows

pytestmark = pytest.mark.skipif(torch.version.cuda is None, reason="this PyTorch is built without CUDA")


def moved(module, device):
    """Module.to, which fake tensors don't allow."""
    for part in module.modules():
        for values in (part._parameters, part._buffers):
            for name, value in values.items():
                if value is not None:
                    there = value.detach().to(device)
                    values[name] = nn.Parameter(there) if isinstance(value, nn.Parameter) else there
    return module


@pytest.mark.filterwarnings("ignore:CUDA is not available")
@pytest.mark.parametrize(("kind", "knobs"), [(DiffusionTrainer, Settings), (CausalTrainer, CausalSettings)])
def test_a_batch_stays_on_its_device(kind, knobs, tmp_path, monkeypatch):
    """Nor does it ask for a value, for which a GPU would be waited for: fake tensors have none."""
    settings = language_model_settings(knobs, tmp_path)
    words = text(settings)
    here = kind(settings, words)
    counted = CountedWindows(words.train, here.row_of, len(here.kept), here.distances)
    mode, from_numpy = FakeTensorMode(allow_non_fake_inputs=False), torch.from_numpy
    monkeypatch.setattr(torch, "from_numpy", lambda array: mode.from_tensor(from_numpy(array)))
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)
    monkeypatch.setattr(nn.Module, "to", moved)
    monkeypatch.setattr(kind, "initial", lambda self, *_: self.empty())
    with mode:
        trainer = kind(replace(settings, device="cuda"), words)
        counted.device = trainer.device
        for pairs in counted.pairs:
            for name in ("starts", "rows", "shares"):
                setattr(pairs, name, mode.from_tensor(getattr(pairs, name)).to("cuda"))
        trainer.counted = counted
        held = [*trainer.parameters, trainer.kept, trainer.row_of, trainer.rest, trainer.rest_bias]
        assert {value.device.type for value in held} == {"cuda"}
        for loss in (trainer.text_loss, trainer.counted_loss):
            assert loss(np.random.default_rng(1)).device.type == "cuda"
        with pytest.raises(RuntimeError, match="[Dd]evice"):
            trainer.kept = torch.zeros(3) + trainer.rest_bias[:3]
