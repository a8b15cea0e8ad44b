"""GPT-2's tokenizer from a checkpoint's folder: vocab.json and merges.txt, or tokenizer.json."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import gguf

END = "<|endoftext|>"


class Gpt2Tokenizer:
    """Tokens by id, and merges in their order."""

    def __init__(self, folder: Path) -> None:
        if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
            vocabulary, self.merges = self._two_files(folder)
        elif (folder / "tokenizer.json").is_file():
            vocabulary, self.merges = self._one_file(folder / "tokenizer.json")
        else:
            raise SystemExit(
                f"convert: {folder} has neither vocab.json and merges.txt nor tokenizer.json; "
                "give GPT-2's folder with --tokenizer."
            )
        ids = sorted(vocabulary.values())
        if not ids or ids != list(range(len(ids))):
            raise SystemExit(f"convert: the tokenizer in {folder} leaves out ids or uses one twice; fetch it again.")
        self.tokens = sorted(vocabulary, key=vocabulary.__getitem__)
        if END not in vocabulary:
            raise SystemExit(f"convert: the tokenizer in {folder} has no {END}; only GPT-2's kind can be converted.")
        self.end = vocabulary[END]

    def _two_files(self, folder: Path) -> tuple[dict[str, int], list[str]]:
        try:
            vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
        except ValueError as error:
            raise SystemExit(f"convert: {folder / 'vocab.json'} is no JSON ({error}); fetch it again.") from None
        lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
        return vocabulary, [line for line in lines if line and not line.startswith("#version")]

    def _one_file(self, path: Path) -> tuple[dict[str, int], list[str]]:
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            vocabulary = dict(stored["model"]["vocab"])
            merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in stored["model"]["merges"]]
            vocabulary |= {token["content"]: token["id"] for token in stored.get("added_tokens") or []}
            splits = (stored.get("pre_tokenizer") or {}).get("type")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise SystemExit(f"convert: {path} holds no BPE vocabulary and merges; fetch it again.") from None
        if splits != "ByteLevel":
            raise SystemExit(f"convert: {path} splits text by {splits!r}; only GPT-2's ByteLevel can be converted.")
        return vocabulary, merges

    def sha256(self) -> str:
        """The same hash as `Vocabulary.sha256` of a GGUF with this tokenizer."""
        return hashlib.sha256("\n".join(self.tokens).encode()).hexdigest()

    def adder(self, rows: int, mask_id: int | None = None) -> Callable[[gguf.GGUFWriter], None]:
        """Writes the tokenizer for a model with so many embedding rows; only a mask may have a row and no token."""
        spare = rows - len(self.tokens)
        if spare < 0 or (spare > 0 and (mask_id is None or mask_id < len(self.tokens))):
            raise SystemExit(
                f"convert: the checkpoint has {rows} rows of vocabulary and the tokenizer {len(self.tokens)} tokens; "
                "give the tokenizer that it was trained with (--tokenizer FOLDER)."
            )

        def add(writer: gguf.GGUFWriter) -> None:
            writer.add_tokenizer_model("gpt2")
            writer.add_tokenizer_pre("gpt-2")
            writer.add_token_list(self.tokens)
            kinds = [gguf.TokenType.NORMAL] * len(self.tokens)
            kinds[self.end] = gguf.TokenType.CONTROL
            writer.add_token_types(kinds)
            writer.add_token_merges(self.merges)
            writer.add_bos_token_id(self.end)
            writer.add_eos_token_id(self.end)
            writer.add_unk_token_id(self.end)
            writer.add_add_bos_token(False)
            writer.add_string("specdiff.tokenizer.sha256", self.sha256())

        return add
