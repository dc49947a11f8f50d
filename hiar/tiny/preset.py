"""Sizes of the tiny models, and how to build them: the full classes at a few million parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hiar.errors import UsageError
from hiar.model.config import WanConfig

ASSETS = Path(__file__).parent / "assets"
HELD_OUT_PROMPTS = ASSETS / "heldout_prompts.txt"
HELD_OUT_SEED = 20260308
"""Seed that held-out prompts are drawn with; the file has the first sixteen."""

VAE_CONFIG: dict[str, Any] = {
    "base_dim": 16,
    "decoder_base_dim": 24,
    "z_dim": 16,
    "dim_mult": [1, 2, 2],
    "num_res_blocks": 1,
    "attn_scales": [],
    "temperal_downsample": [True, True],
    # As Wan2.2's VAE: 2 x 2 pixels enter as channels, and every resampling has a shortcut.
    "is_residual": True,
    "patch_size": 2,
    "in_channels": 12,
    "out_channels": 12,
    "scale_factor_spatial": 8,
    "scale_factor_temporal": 4,
}
TEXT_CONFIG: dict[str, Any] = {
    "vocab_size": 384,
    "d_model": WanConfig.tiny().text_dim,
    "d_kv": 16,
    "num_heads": 4,
    "d_ff": 128,
    "num_layers": 2,
    "dropout_rate": 0.0,
    "feed_forward_proj": "gated-gelu",
}


def byte_tokenizer() -> Any:
    """A tokenizer that reads bytes: no vocabulary file, any script, any emoji."""
    from transformers import ByT5Tokenizer  # noqa: PLC0415  (4 s to import)

    return ByT5Tokenizer(extra_ids=0)


def asset(*parts: str) -> Path:
    """Path of a shipped file or folder; an error with the remedy if it is not there."""
    path = ASSETS.joinpath(*parts)
    if not path.exists():
        name = "/".join(parts)
        raise UsageError(f"the tiny asset {name} is missing: make it with scripts/train_tiny.py")
    return path
