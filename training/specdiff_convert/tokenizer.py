"""GPT-2's byte-level BPE from a checkpoint's folder: vocab.json and merges.txt, or tokenizer.json."""

import json
from dataclasses import dataclass
from pathlib import Path

import gguf


@dataclass
class Tokenizer:
    """Token strings by id, merges in their order, and the id that ends a text."""

    tokens: list[str]
    merges: list[str]
    end: int

    def write(self, writer: gguf.GGUFWriter, size: int) -> None:
        """Into a GGUF; ids up to `size` that have no token become unused ones."""
        if len(self.tokens) > size:
            raise SystemExit(
                f"convert: the tokenizer has {len(self.tokens)} tokens and the model {size}: they don't fit."
            )
        padding = [f"[PAD{index}]" for index in range(len(self.tokens), size)]
        normal, control, unused = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL, gguf.TokenType.UNUSED
        types = [control if index == self.end else normal for index in range(len(self.tokens))]
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_list([*self.tokens, *padding])
        writer.add_token_types([*types, *[unused] * len(padding)])
        writer.add_token_merges(self.merges)
        writer.add_bos_token_id(self.end)
        writer.add_eos_token_id(self.end)


def read(folder: Path) -> Tokenizer:
    """The folder's tokenizer."""
    try:
        if (folder / "vocab.json").exists():
            ids = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
            lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
            merges = [line for line in lines if line and not line.startswith("#version")]
        else:
            whole = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
            ids = dict(whole["model"]["vocab"])
            merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in whole["model"]["merges"]]
            ids.update({entry["content"]: entry["id"] for entry in whole.get("added_tokens", [])})
        tokens = sorted(ids, key=ids.__getitem__)
        if [ids[token] for token in tokens] != list(range(len(tokens))):
            raise ValueError("its ids have gaps")
        end = ids["<|endoftext|>"]
    except FileNotFoundError:
        raise SystemExit(
            f"convert: {folder} has no tokenizer (vocab.json and merges.txt, or tokenizer.json); download it too."
        ) from None
    except (KeyError, TypeError, ValueError) as error:
        raise SystemExit(f"convert: the tokenizer in {folder} can't be read ({error}); download it again.") from None
    return Tokenizer(tokens, merges, end)
