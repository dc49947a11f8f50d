"""Prompts to text embeddings, as Wan does it: clean, tokenise, encode, zero the padding.

Source: Wan2.1, wan/modules/tokenizers.py (whitespace cleaning) and wan/modules/t5.py; UMT5 itself
is transformers' `UMT5EncoderModel`. `hiar.codecs.text_cache` keeps embeddings on disk.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import torch

from hiar.errors import UsageError

if TYPE_CHECKING:
    from types import TracebackType

TOKENIZER_FILES = ("tokenizer.json", "spiece.model")


class PromptEncoder(Protocol):
    """What a pipeline needs of a text encoder."""

    @property
    def text_len(self) -> int:
        """Longest prompt in tokens; what is beyond is cut."""
        ...

    def encode(self, prompts: list[str]) -> torch.Tensor:
        """Embed prompts: [B, text_len, text_dim], zero past the end of each prompt."""
        ...

    def num_tokens(self, prompt: str) -> int:
        """Tokens of a prompt before it is cut."""
        ...

    def release(self) -> None:
        """Free the memory of the weights."""
        ...


def clean_prompt(prompt: str) -> str:
    """Repair broken Unicode, unescape HTML twice, collapse white space."""
    import ftfy  # noqa: PLC0415  (heavy, and only needed where text is encoded)

    repaired = html.unescape(html.unescape(ftfy.fix_text(prompt)))
    return re.sub(r"\s+", " ", repaired).strip()


class Released:
    """An encoder that is released at the end of a `with` block."""

    def release(self) -> None:
        """Free the weights."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class TextEncoder(Released):
    """A frozen UMT5 encoder with its tokenizer; as a context manager it frees the weights at exit.

    Args:
        model: A transformers `UMT5EncoderModel`.
        tokenizer: Tokenizer of that encoder; the tiny one reads bytes.
        text_len: Longest prompt in tokens; what is beyond is cut.
    """

    def __init__(self, model: Any, tokenizer: Any, text_len: int) -> None:
        self._model: Any | None = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.text_len = text_len

    @property
    def model(self) -> Any:
        """The UMT5 model.

        Raises:
            UsageError: After `release`.
        """
        if self._model is None:
            raise UsageError("the text encoder was released: load it again to encode more prompts")
        return self._model

    @torch.no_grad()
    def encode(self, prompts: list[str]) -> torch.Tensor:
        """Embed prompts.

        Args:
            prompts: Any texts; cleaned first.

        Returns:
            [B, text_len, text_dim]; zero past the end of each prompt.

        Raises:
            UsageError: For no prompts, or for embeddings that are not finite.
        """
        if not prompts:
            raise UsageError("there are 0 prompts to encode: give at least one")
        ids, mask = tokenize(self.tokenizer, [clean_prompt(p) for p in prompts], self.text_len)
        model = self.model
        mask = mask.to(model.device)
        hidden = model(ids.to(model.device), attention_mask=mask).last_hidden_state
        embedded: torch.Tensor = hidden.masked_fill(mask.unsqueeze(-1) == 0, 0)
        if not embedded.isfinite().all():
            dtype = str(embedded.dtype).removeprefix("torch.")
            raise UsageError(
                f"the text encoder gave NaN or infinite values in {dtype}: UMT5 exceeds the range "
                "of float16; load it in bfloat16 or float32"
            )
        return embedded

    def num_tokens(self, prompt: str) -> int:
        """Tokens of a prompt before it is cut."""
        return len(self.tokenizer(clean_prompt(prompt)).input_ids)

    def to(self, device: torch.device | str) -> Self:
        """Move the weights, such as off a GPU while the transformer runs there."""
        self.model.to(device)
        return self

    def release(self) -> None:
        """Free the weights (11 GB in bfloat16 for UMT5-XXL); tokens can still be counted."""
        self._model = None


def tokenize(
    tokenizer: Any, prompts: list[str], text_len: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, int64 [B, text_len] each, cut and padded to text_len."""
    batch = tokenizer(
        prompts, padding="max_length", max_length=text_len, truncation=True, return_tensors="pt"
    )
    return batch.input_ids, batch.attention_mask


def load_tokenizer(folder: Path) -> Any:
    """Load a tokenizer such as google/umt5-xxl's from a local folder; nothing is downloaded.

    Raises:
        UsageError: If the folder holds none.
    """
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise UsageError(f"no tokenizer at {folder}: it needs {' or '.join(TOKENIZER_FILES)}")
    from transformers import AutoTokenizer  # noqa: PLC0415  (4 s to import)

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def load_text_encoder(
    folder: Path,
    text_len: int,
    tokenizer: Any,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> TextEncoder:
    """Load a UMT5 encoder from a folder of config.json and safetensors; nothing is downloaded.

    Args:
        folder: Where it lies.
        text_len: Longest prompt in tokens.
        tokenizer: Tokenizer of that encoder.
        device, dtype: Device and dtype of the weights; transformers keeps the feed-forward output
            layers of T5 in float32 where float16 would overflow.

    Raises:
        UsageError: If the folder holds no config.
    """
    if not (folder / "config.json").is_file():
        raise UsageError(
            f"no text encoder at {folder}: it needs config.json and its .safetensors files"
        )
    from transformers import UMT5EncoderModel  # noqa: PLC0415  (4 s to import)
    from transformers.utils import logging  # noqa: PLC0415

    logging.disable_progress_bar()  # a bar for a file that loads in milliseconds
    model = UMT5EncoderModel.from_pretrained(folder, dtype=dtype, local_files_only=True)
    return TextEncoder(model.to(device), tokenizer, text_len)
