"""What training needs to know of the target's tokens. Prompts are tokenized by the engine; plain text here."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import gguf

from .opened import opened

if TYPE_CHECKING:
    from tokenizers import Tokenizer


# How Qwen2's tokenizer cuts text into pieces (llama.cpp's LLAMA_VOCAB_PRE_TYPE_QWEN2).
QWEN2_PIECE = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


END_TEXTS = ("<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|end|>")


class Vocabulary:
    """Token strings and special ids of a GGUF."""

    def __init__(self, path: Path) -> None:
        self.fields = fields = opened(path).fields
        self.tokens: list[str] = fields["tokenizer.ggml.tokens"].contents()
        self.end: int = fields["tokenizer.ggml.eos_token_id"].contents()
        # Tokens that end an answer, by llama.cpp's rule: those that the file names, and these texts.
        named = (fields.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot", "eom"))
        known = {self.tokens.index(text) for text in END_TEXTS if text in self.tokens}
        self.ends = sorted(known | {int(field.contents()) for field in named if field is not None})
        self.kind: str = fields["tokenizer.ggml.pre"].contents() if "tokenizer.ggml.pre" in fields else ""

    def id_of(self, token: str) -> int:
        """Id of a token by its string."""
        try:
            return self.tokens.index(token)
        except ValueError:
            raise SystemExit(
                f"the target has no token {token}; name one that never occurs in text with --mask-token"
            ) from None

    def sha256(self) -> str:
        """SHA-256 over the token strings joined by newlines, UTF-8."""
        return hashlib.sha256("\n".join(self.tokens).encode()).hexdigest()

    def pieces(self) -> list[str]:
        """Of each token of a byte-level BPE its bytes in hex; '' for tokens without text."""
        # GPT-2's alphabet: printable bytes stand for themselves, the others for letters from 256 on.
        printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
        others = [byte for byte in range(256) if byte not in printable]
        byte_of = {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}
        kinds = self.fields["tokenizer.ggml.token_type"].contents()
        return [
            bytes(byte_of[letter] for letter in token).hex() if kind == gguf.TokenType.NORMAL else ""
            for token, kind in zip(self.tokens, kinds, strict=True)
        ]

    def tokenize(self, text: str) -> list[int]:
        """Ids of plain text, for byte-level BPE with GPT-2's, SmolLM's or Qwen2's splitting."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """The tokenizer that the file describes."""
        # Imported late: the machine that trains on a GPU has no registry, and needs no tokenizer.
        from tokenizers import Regex, Tokenizer, models, pre_tokenizers

        words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        qwen2 = pre_tokenizers.Split(Regex(QWEN2_PIECE), behavior="isolated")
        bytes_alone = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        splitting = {
            "gpt-2": [words],
            "smollm": [pre_tokenizers.Digits(individual_digits=True), words],
            "qwen2": [qwen2, bytes_alone],
        }
        if self.kind not in splitting or "tokenizer.ggml.merges" not in self.fields:
            raise SystemExit(
                f"texts: the target's tokenizer ({self.kind or 'no byte-level BPE'}) can't split plain text here; "
                "train on answers alone (--text-tokens 0)."
            )
        ids = {token: index for index, token in enumerate(self.tokens)}
        merges = self.fields["tokenizer.ggml.merges"].contents()
        tokenizer = Tokenizer(models.BPE(ids, [tuple(merge.split(" ")) for merge in merges]))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splitting[self.kind])
        return tokenizer
