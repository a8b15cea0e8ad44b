"""What the diffusion language model is worth: its bound on held-out text, and τ as drafter of the target's answers."""

import json

import torch

from specdiff_reference.ddit import Mdlm
from specdiff_reference.samplers import sample

from ..evaluate import Count, simulate
from ..shards import load_split
from ..storage import write_text
from ..vocabulary import Vocabulary
from .settings import Settings
from .text import text
from .train import DiffusionTrainer, checkpoint_path

# Answers are the target's own (greedy, product rules) on packages that are in no training set.
ANSWERS, ANSWER_TOKENS, CONTEXT = 40, 64, 128
DRAFT = 7
STEPS = (1, 2, 4)


def evaluate(settings: Settings) -> None:
    """Print the figures and keep them in WORK/evaluation.json."""
    torch.set_num_threads(settings.threads)
    if not checkpoint_path(settings).exists():
        raise SystemExit(f"diffusion-lm: no checkpoint at {checkpoint_path(settings)}; run `diffusion-lm train` first.")
    trainer = DiffusionTrainer(settings, text(settings))
    figures: dict[str, object] = {"step": trainer.step, "bound": trainer.validate(), "draft_tokens": DRAFT}
    for steps in STEPS:
        count = tau(settings, trainer.whole_model(), steps)
        figures[f"tau, T={steps}"] = round(count.tau(), 4)
        print(f"diffusion-lm: T={steps}: {count}, τ {count.tau():.3f}", flush=True)
    write_text(settings.work / "evaluation.json", json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures))


@torch.no_grad()
def tau(settings: Settings, model: Mdlm, steps: int) -> Count:
    """Sums over target passes, drafting greedily in `steps` steps by confidence behind each prefix."""
    shards = load_split(settings.answers, "validation")
    if not shards:
        raise SystemExit(f"diffusion-lm: no validation answers in {settings.answers}; run the answers stage first.")
    end_token = Vocabulary(settings.target).end
    mask_id = model.shape.mask_id
    greedy = [s for shard in shards for s in shard.sequences if s.temperature == 0]
    count = Count()
    for sequence in greedy[:: max(1, len(greedy) // ANSWERS)][:ANSWERS]:
        tokens = sequence.tokens
        end = len(tokens) - (tokens[-1] == end_token)

        def propose(anchor: int, tokens: list[int] = tokens) -> list[int]:
            known = tokens[max(0, anchor + 1 - CONTEXT) : anchor + 1]
            ids = torch.tensor([known + [mask_id] * DRAFT])
            generator = torch.Generator().manual_seed(0)
            filled = sample(model.probabilities, ids, mask_id, steps, "confidence", generator, temperature=0)
            return filled[0, len(known) :].tolist()

        last = min(end, sequence.prompt_tokens + ANSWER_TOKENS)
        simulate(tokens, sequence.prompt_tokens, last, propose, [count])
    return count
