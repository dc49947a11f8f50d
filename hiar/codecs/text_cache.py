"""Text embeddings kept on disk: a prompt is encoded once, whatever is sampled with it later.

The encoder of the full-size model has 5.7 billion weights, four times the transformer's; with
every prompt on disk it is not even loaded. One file a prompt: the embedding of its own tokens,
without the padding, in the encoder's dtype.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from torch.nn import functional

from hiar.codecs.text import Released, clean_prompt
from hiar.errors import UsageError
from hiar.weights.tensor_files import write_tensors

if TYPE_CHECKING:
    from collections.abc import Callable

    from hiar.codecs.text import TextEncoder

SCHEMA = "text-embedding/1"


class CachedTextEncoder(Released):
    """A text encoder that is loaded only for prompts that are not on disk yet.

    Prompts are encoded one by one, so that an embedding does not depend on which prompts it was
    computed beside. Where the folder cannot be written, as in a home without room, a line says so
    once and embeddings stay in memory.

    Args:
        load: Loads the encoder; called at most once between two releases.
        folder: Where embeddings are kept.
        identity: SHA-256 of the encoder's weights and tokenizer: other weights, other files.
        text_len: Longest prompt in tokens; what is beyond is cut.
        dtype: Dtype of the encoder and of the embeddings.
    """

    def __init__(
        self,
        load: Callable[[], TextEncoder],
        folder: Path,
        *,
        identity: str,
        text_len: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._load = load
        self._encoder: TextEncoder | None = None
        self._unwritten: dict[Path, tuple[torch.Tensor, int]] = {}
        self.folder = folder
        self.identity = identity
        self.text_len = text_len
        self.dtype = dtype

    @property
    def is_loaded(self) -> bool:
        """Whether the weights are in memory."""
        return self._encoder is not None

    def encode(self, prompts: list[str]) -> torch.Tensor:
        """Embed prompts, from disk where they are there.

        Args:
            prompts: Any texts; cleaned first.

        Returns:
            [B, text_len, text_dim] on the CPU; zero past the end of each prompt.
        """
        if not prompts:
            raise UsageError("there are 0 prompts to encode: give at least one")
        return torch.stack([self._fetch(prompt)[0] for prompt in prompts])

    def num_tokens(self, prompt: str) -> int:
        """Tokens of a prompt before it is cut; encodes a prompt that is not on disk."""
        return self._fetch(prompt)[1]

    def release(self) -> None:
        """Free the weights; the next prompt that is not on disk loads them again."""
        if self._encoder is not None:
            self._encoder.release()
            self._encoder = None

    def path(self, prompt: str) -> Path:
        """Where a prompt's embedding is kept."""
        facts = [
            SCHEMA, clean_prompt(prompt), self.identity, self.text_len,
            str(self.dtype).removeprefix("torch."),
        ]  # fmt: skip
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        return self.folder / digest[:2] / f"{digest}.safetensors"

    def _fetch(self, prompt: str) -> tuple[torch.Tensor, int]:
        """The padded embedding [text_len, text_dim] and the number of tokens before the cut."""
        path = self.path(prompt)
        found = self._unwritten.get(path) or read_embedding(path)
        if found is None:
            found = self._encode(prompt)
            self._keep(path, found, prompt)
        embedding, num_tokens = found
        return functional.pad(embedding, (0, 0, 0, self.text_len - len(embedding))), num_tokens

    def _keep(self, path: Path, found: tuple[torch.Tensor, int], prompt: str) -> None:
        try:
            write_embedding(path, *found, prompt)
        except OSError as error:
            if not self._unwritten:
                sys.stderr.write(
                    f"hiar: text embeddings cannot be kept in {self.folder} ({error.strerror}): "
                    "the next run encodes the prompts again; make room or set HIAR_WEIGHTS to "
                    "another folder\n"
                )
            self._unwritten[path] = found

    def _encode(self, prompt: str) -> tuple[torch.Tensor, int]:
        if self._encoder is None:
            self._encoder = self._load()
        num_tokens = self._encoder.num_tokens(prompt)
        padded = self._encoder.encode([prompt])[0]
        own = padded[: min(num_tokens, self.text_len)]
        return own.to("cpu", self.dtype), num_tokens


def read_embedding(path: Path) -> tuple[torch.Tensor, int] | None:
    """The embedding [tokens, text_dim] and its number of tokens; None if absent or damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["facts"])
            return file.get_tensor("embedding"), int(facts["num_tokens"])
    except (FileNotFoundError, SafetensorError, KeyError, TypeError, ValueError):
        return None  # a cache: what cannot be read is computed again


def write_embedding(path: Path, embedding: torch.Tensor, num_tokens: int, prompt: str) -> None:
    """Write one embedding in one piece.

    Raises:
        OSError: If it cannot be written.
    """
    facts = json.dumps({"schema": SCHEMA, "prompt": prompt, "num_tokens": num_tokens})
    write_tensors(path, {"embedding": embedding}, {"facts": facts})
