"""Prompts to text embeddings, as Wan does it: clean, tokenise, encode, zero the padding.

Source: Wan2.1, wan/modules/tokenizers.py (whitespace cleaning) and wan/modules/t5.py; UMT5 itself
is transformers' `UMT5EncoderModel`.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import torch


def clean_prompt(prompt: str) -> str:
    """Repair broken Unicode, unescape HTML twice, collapse white space."""
    import ftfy  # noqa: PLC0415  (heavy, and only needed where text is encoded)

    repaired = html.unescape(html.unescape(ftfy.fix_text(prompt)))
    return re.sub(r"\s+", " ", repaired).strip()


class TextEncoder:
    """A frozen UMT5 encoder with its tokenizer.

    Args:
        model: A transformers `UMT5EncoderModel`.
        tokenizer: Its tokenizer; the tiny one reads bytes.
        text_len: Longest prompt in tokens; what is beyond is cut.
    """

    def __init__(self, model: Any, tokenizer: Any, text_len: int) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.text_len = text_len

    @torch.no_grad()
    def encode(self, prompts: list[str]) -> torch.Tensor:
        """Embed prompts.

        Args:
            prompts: Any texts; cleaned first.

        Returns:
            [B, text_len, text_dim]; zero past the end of each prompt.
        """
        ids, mask = tokenize(self.tokenizer, [clean_prompt(p) for p in prompts], self.text_len)
        device = self.model.device
        hidden = self.model(ids.to(device), attention_mask=mask.to(device)).last_hidden_state
        embedded: torch.Tensor = hidden * mask.to(device).unsqueeze(-1)
        return embedded

    def num_tokens(self, prompt: str) -> int:
        """Tokens of a prompt before it is cut."""
        return len(self.tokenizer(clean_prompt(prompt)).input_ids)


def tokenize(
    tokenizer: Any, prompts: list[str], text_len: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, int64 [B, text_len] each, cut and padded to text_len."""
    batch = tokenizer(
        prompts, padding="max_length", max_length=text_len, truncation=True, return_tensors="pt"
    )
    return batch.input_ids, batch.attention_mask


def load_text_encoder(folder: Path, text_len: int, tokenizer: Any) -> TextEncoder:
    """Load a UMT5 encoder from a folder of config.json and safetensors."""
    from transformers import UMT5EncoderModel  # noqa: PLC0415  (4 s to import)
    from transformers.utils import logging  # noqa: PLC0415

    logging.disable_progress_bar()  # a bar for a file that loads in milliseconds
    return TextEncoder(UMT5EncoderModel.from_pretrained(folder), tokenizer, text_len)
