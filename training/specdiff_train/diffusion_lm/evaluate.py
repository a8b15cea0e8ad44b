"""What the diffusion language model is worth: its bound on held-out text, and τ as drafter of the target's answers."""

import json
from collections.abc import Callable
from dataclasses import replace

import torch

from specdiff_reference.ddit import Mdlm
from specdiff_reference.samplers import sample

from ..evaluate import Count, passes
from ..shards import load_split
from ..storage import write_text
from ..vocabulary import Vocabulary
from .served import ServedDrafter
from .settings import Settings
from .text import text
from .train import DiffusionTrainer
from .trainer import trained_checkpoint

# Answers are the target's own (greedy, product rules) on packages that are in no training set.
ANSWER_TOKENS, CONTEXT = 64, 128
DRAFT = 7
STEPS = (1, 2, 4)

Draft = Callable[[list[int]], list[int]]


def evaluate(settings: Settings) -> None:
    """Print the figures and keep them in WORK/evaluation.json."""
    torch.set_num_threads(settings.threads)
    trained_checkpoint(settings, "diffusion-lm")
    trainer = DiffusionTrainer(replace(settings, device="cpu"), text(settings))
    figures: dict[str, object] = {"step": trainer.step, "bound": trainer.validate(), "draft_tokens": DRAFT}
    drafts = {f"T={steps}": by_reference(trainer.whole_model(), steps) for steps in STEPS}
    served = None
    if settings.served:
        served = ServedDrafter(settings.served, trainer.shape.vocab, trainer.mask_id, settings.threads)
        name = settings.served.name
        drafts |= {
            f"{name}, T=1": lambda known: served.draft(known, DRAFT, False),
            f"{name}, T=1, frozen prefix": lambda known: served.draft(known, DRAFT, True),
        }
    for name, draft in drafts.items():
        count = tau(settings, draft)
        figures[f"tau, {name}"] = round(count.tau(), 4)
        print(f"diffusion-lm: {name}: {count}, τ {count.tau():.3f}", flush=True)
    if served:
        served.close()
    write_text(settings.work / "evaluation.json", json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures))


def tau(settings: Settings, draft: Draft) -> Count:
    """Sums over target passes on the target's own greedy answers; `draft` gives DRAFT tokens after a prefix."""
    shards = load_split(settings.answers, "validation")
    if not shards:
        raise SystemExit(f"diffusion-lm: no validation answers in {settings.answers}; run the answers stage first.")
    end_token = Vocabulary(settings.target).end
    greedy = [s for shard in shards for s in shard.sequences if s.temperature == 0]
    count, wanted = Count(), settings.evaluated_answers
    for sequence in greedy[:: max(1, len(greedy) // wanted)][:wanted]:
        tokens = sequence.tokens
        end = len(tokens) - (tokens[-1] == end_token)

        def propose(anchor: int, tokens: list[int] = tokens) -> list[int]:
            return draft(tokens[max(0, anchor + 1 - CONTEXT) : anchor + 1])

        last = min(end, sequence.prompt_tokens + ANSWER_TOKENS)
        for one in passes(tokens, sequence.prompt_tokens, last, propose):
            count.add(one)
    return count


def by_reference(model: Mdlm, steps: int) -> Draft:
    """Greedy drafts in `steps` steps by confidence, in PyTorch."""
    mask_id = model.shape.mask_id

    def draft(known: list[int]) -> list[int]:
        ids = torch.tensor([known + [mask_id] * DRAFT])
        generator = torch.Generator().manual_seed(0)
        filled = sample(model.probabilities, ids, mask_id, steps, "confidence", generator, temperature=0)
        return filled[0, len(known) :].tolist()

    return draft
