"""What self-attention sees: the whole video at once, or blocks that have earlier ones in a cache.

A layer hands its queries, keys and values to one of the two classes here and gets back what they
attended. Shapes: B videos, L tokens, N heads, K head_dim.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import torch

from hiar.errors import UsageError
from hiar.model.attention import AttentionFn, attend, attend_block_causal, attend_teacher_forcing
from hiar.model.kv_cache import CacheSlot

Attention = Literal["bidirectional", "block_causal", "teacher_forcing"]


class SelfAttention(Protocol):
    """Self-attention of every layer during one pass of the transformer."""

    def attend(
        self, layer: int, q_BLNK: torch.Tensor, k_BLNK: torch.Tensor, v_BLNK: torch.Tensor
    ) -> torch.Tensor:
        """The attended values [B, L, N, K] of a layer; q and k are rotated already."""
        ...


@dataclass(frozen=True, kw_only=True)
class WholeVideo:
    """Self-attention among all tokens of a video.

    Attributes:
        attention: Frames that each frame sees: all (`bidirectional`), those of its own block and of
            earlier ones (`block_causal`), or its own noisy block and earlier clean blocks
            (`teacher_forcing`; the clean half of the tokens comes first).
        frames_per_block: Latent frames of a block.
        window: Latent frames visible, counted back from the end of a block; None means all. Only
            `block_causal` has a window.
        frame_tokens: Tokens of a latent frame.
    """

    attention: Attention
    frames_per_block: int
    window: int | None
    frame_tokens: int

    def __post_init__(self) -> None:
        if self.frames_per_block < 1:
            raise UsageError(f"frames_per_block {self.frames_per_block} must be at least 1")
        if self.window is not None and self.attention != "block_causal":
            raise UsageError(f"window {self.window} needs attention='block_causal'")
        if self.window is not None and self.window < self.frames_per_block:
            raise UsageError(f"window {self.window} must hold a block of {self.frames_per_block}")
        if self.attention not in get_args(Attention):
            raise UsageError(
                f"attention {self.attention!r} is unknown: use one of "
                f"{', '.join(get_args(Attention))}"
            )

    def attend(
        self, layer: int, q_BLNK: torch.Tensor, k_BLNK: torch.Tensor, v_BLNK: torch.Tensor
    ) -> torch.Tensor:
        """The attended values [B, L, N, K]; every layer sees the same tokens."""
        del layer
        if self.attention == "bidirectional":
            return attend(q_BLNK, k_BLNK, v_BLNK)
        block_tokens = self.frames_per_block * self.frame_tokens
        if self.attention == "teacher_forcing":
            return attend_teacher_forcing(q_BLNK, k_BLNK, v_BLNK, block_tokens=block_tokens)
        window_tokens = None if self.window is None else self.window * self.frame_tokens
        return attend_block_causal(
            q_BLNK, k_BLNK, v_BLNK, block_tokens=block_tokens, window_tokens=window_tokens
        )


@dataclass(frozen=True, kw_only=True)
class CachedBlocks:
    """Self-attention of blocks, each to itself and to the earlier blocks in its cache.

    Attributes:
        slots: One slot a block: its cache, and its first frame. The batch holds the blocks one
            after the other, each for all videos.
        attend_cached: Function that computes attention.
    """

    slots: Sequence[CacheSlot]
    attend_cached: AttentionFn

    def attend(
        self, layer: int, q_BLNK: torch.Tensor, k_BLNK: torch.Tensor, v_BLNK: torch.Tensor
    ) -> torch.Tensor:
        """Write each block to its cache and let it attend; then comes the next block's turn.

        Blocks take turns because two may share a cache: the later one sees the earlier one, and
        may overwrite frames that the earlier one still had to see.
        """
        parts = (tensor.chunk(len(self.slots)) for tensor in (q_BLNK, k_BLNK, v_BLNK))
        outputs = [
            self.attend_cached(q, *slot.cache.write(layer, slot.first_frame, k, v))
            for slot, q, k, v in zip(self.slots, *parts, strict=True)
        ]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def write_blocks(
    slots: Sequence[CacheSlot], layer: int, k_BLNK: torch.Tensor, v_BLNK: torch.Tensor
) -> None:
    """Write the keys and values of each block of the batch to the cache of its slot."""
    parts = (tensor.chunk(len(slots)) for tensor in (k_BLNK, v_BLNK))
    for slot, k, v in zip(slots, *parts, strict=True):
        slot.cache.write(layer, slot.first_frame, k, v)
