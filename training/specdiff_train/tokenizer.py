"""The target's own tokenizer, rebuilt from its GGUF."""

import hashlib
from pathlib import Path

import gguf
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

# Splits of llama.cpp's pre-tokenizers that this pipeline knows (llama-vocab.cpp, LLAMA_VOCAB_PRE_TYPE_*).
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_DIGIT_FIRST = {"smollm", "starcoder", "refact", "command-r", "codeshell"}


class TargetTokenizer:
    """Byte-level BPE with llama.cpp's semantics for the `smollm` family of pre-tokenizers."""

    def __init__(self, path: Path) -> None:
        fields = gguf.GGUFReader(path).fields
        model = fields["tokenizer.ggml.model"].contents()
        pre = fields["tokenizer.ggml.pre"].contents()
        if model != "gpt2" or pre not in _DIGIT_FIRST | {"gpt-2"}:
            raise SystemExit(
                f"tokenizer: {path.name} uses tokenizer {model}/{pre}, which this pipeline doesn't know yet; "
                "add its split to specdiff_train/tokenizer.py."
            )
        self.tokens: list[str] = fields["tokenizer.ggml.tokens"].contents()
        merges = [tuple(merge.split(" ", 1)) for merge in fields["tokenizer.ggml.merges"].contents()]
        self.special = {t: i for i, t in enumerate(self.tokens) if t.startswith("<|") or t == "<empty_output>"}
        self.eos: int = fields["tokenizer.ggml.eos_token_id"].contents()
        self._bpe = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(self.tokens)}, merges=merges))
        digits = [pre_tokenizers.Digits(individual_digits=True)] if pre in _DIGIT_FIRST else []
        self._bpe.pre_tokenizer = pre_tokenizers.Sequence(
            [
                *digits,
                pre_tokenizers.Split(Regex(_GPT2), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        self._bpe.decoder = decoders.ByteLevel()

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text; special tokens in it are text like any other."""
        return self._bpe.encode(text).ids

    def decode(self, ids: list[int]) -> str:
        """Text of token ids; a character cut in two decodes to U+FFFD."""
        return self._bpe.decode(ids, skip_special_tokens=False)

    def chat(self) -> tuple[list[int], list[int]]:
        """ChatML ids before and after the user's message (the default target's template, default system prompt)."""
        start, end = self.special["<|im_start|>"], self.special["<|im_end|>"]
        system = "system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"
        newline = self.encode("\n")
        head = [start, *self.encode(system), end, *newline, start, *self.encode("user\n")]
        return head, [end, *newline, start, *self.encode("assistant\n")]

    def sha256(self) -> str:
        """SHA-256 over the token strings joined by newlines, UTF-8."""
        return hashlib.sha256("\n".join(self.tokens).encode()).hexdigest()
