"""What training needs to know of the target's tokens; text itself is tokenized by the engine."""

import hashlib
from pathlib import Path

import gguf


class Vocabulary:
    """Token strings and special ids of a GGUF."""

    def __init__(self, path: Path) -> None:
        fields = gguf.GGUFReader(path).fields
        self.tokens: list[str] = fields["tokenizer.ggml.tokens"].contents()
        self.end: int = fields["tokenizer.ggml.eos_token_id"].contents()

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
