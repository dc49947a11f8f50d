"""Keys and values of earlier blocks, kept out of place so that a gradient can pass.

At inference a context pass overwrites a block's slot in the ring (`hiar.model.kv_cache`). In
training
later blocks see the same values; what differs is where the gradient of these values goes, since
context passes run without one:

    straight_through   K_seen = K_shown + (K_denoised - sg[K_denoised]): on into the denoising pass
                       of the earlier block. The release's in-place writes amount to this.
    detached           K_seen = sg[K_shown]: nowhere.

B videos, L tokens of a block, N heads, K head_dim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch

from hiar.errors import UsageError

if TYPE_CHECKING:
    from hiar.model.transformer import KeysValues

CacheGradient = Literal["straight_through", "detached"]


def check_cache_gradient(name: str) -> None:
    """An error if there is no such way of the gradient."""
    if name not in get_args(CacheGradient):
        choices = ", ".join(get_args(CacheGradient))
        raise UsageError(f"cache_gradient {name!r} is unknown: use one of {choices}")


class BlockPass:
    """The cache of one forward pass over one block: the blocks before it, and what it leaves.

    It takes the place of a `KVCache` in `CausalWan.forward_block`. Activation checkpointing runs
    a layer again in the backward pass, when the video has gone on: what the pass may see is
    therefore fixed here, and the keys that a second run makes are not kept.

    Args:
        seen: Of each layer, the keys and values of the blocks before, oldest first.
    """

    def __init__(self, seen: list[list[KeysValues]]) -> None:
        self._seen = seen
        self.left: dict[int, KeysValues] = {}
        """Keys and values of the block itself by layer, as its pass made them."""

    def write(
        self, layer: int, first_frame: int, k_BLNK: torch.Tensor, v_BLNK: torch.Tensor
    ) -> KeysValues:
        """Keep the block's keys and values; return all that the block may see, itself last."""
        del first_frame  # a pass has one block
        self.left.setdefault(layer, (k_BLNK, v_BLNK))
        seen = self._seen[layer]
        if not seen:
            return k_BLNK, v_BLNK
        keys, values = zip(*seen, strict=True)
        return torch.cat((*keys, k_BLNK), dim=1), torch.cat((*values, v_BLNK), dim=1)

    def advance(self, num_frames: int) -> None:
        """Nothing: a pass ends with its block."""


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """A block as later ones see it: its frames and, by layer, its keys and values."""

    first_frame: int
    num_frames: int
    layers: list[KeysValues]


class GradientCache:
    """What the blocks of a video leave for those after them, at one noise level.

    Args:
        num_layers: Of the model.
        frame_tokens: Tokens of one latent frame.
        window: Latent frames visible to a block, its own included; None = all.
        sink: First latent frames that never leave the window.
        gradient: Where the gradient of what was shown goes.
    """

    def __init__(
        self,
        num_layers: int,
        frame_tokens: int,
        *,
        window: int | None = None,
        sink: int = 0,
        gradient: CacheGradient = "straight_through",
    ) -> None:
        check_cache_gradient(gradient)
        self._num_layers = num_layers
        self._frame_tokens = frame_tokens
        self._window = window
        self._sink = sink
        self._gradient = gradient
        self._blocks: list[_Shown] = []

    def begin(self, first_frame: int, num_frames: int) -> BlockPass:
        """A pass over a block of `num_frames` latent frames that begins at `first_frame`."""
        room = None if self._window is None else self._window - self._sink
        oldest = 0 if room is None else max(self._sink, first_frame + num_frames - room)
        runs = [(0, min(self._sink, oldest)), (oldest, first_frame)]
        return BlockPass([
            [part for start, end in runs for part in self._between(layer, start, end)]
            for layer in range(self._num_layers)
        ])  # fmt: skip

    def show(
        self, first_frame: int, num_frames: int, denoised: BlockPass, shown: BlockPass | None
    ) -> None:
        """Leave a block to those after it.

        Args:
            first_frame: Index of its first latent frame.
            num_frames: Its latent frames.
            denoised: Its denoising pass, with the gradient if there is one.
            shown: Its context pass; None shows the denoising pass's own keys and values.
        """
        layers = []
        for layer in range(self._num_layers):
            keys, values = denoised.left[layer]
            shown_keys, shown_values = (shown or denoised).left[layer]
            layers.append(
                (self._with_path(shown_keys, keys), self._with_path(shown_values, values))
            )
        self._blocks.append(_Shown(first_frame=first_frame, num_frames=num_frames, layers=layers))
        self._forget(first_frame + num_frames)

    def _with_path(self, shown: torch.Tensor, denoised: torch.Tensor) -> torch.Tensor:
        """The shown values, with the gradient's way to the denoising pass if it has one."""
        if self._gradient == "detached":
            return shown.detach()
        if shown is denoised or not denoised.requires_grad:
            return shown
        return shown + (denoised - denoised.detach())

    def _between(self, layer: int, start: int, end: int) -> list[KeysValues]:
        """Keys and values of frames start..end."""
        parts = []
        for block in self._blocks:
            first = max(start, block.first_frame) - block.first_frame
            last = min(end, block.first_frame + block.num_frames) - block.first_frame
            if first < last:
                tokens = slice(first * self._frame_tokens, last * self._frame_tokens)
                keys, values = block.layers[layer]
                parts.append((keys[:, tokens], values[:, tokens]))
        return parts

    def _forget(self, num_frames: int) -> None:
        """Let go of the blocks that no later block can see."""
        if self._window is None:
            return
        oldest = num_frames - (self._window - self._sink)
        self._blocks = [
            block
            for block in self._blocks
            if block.first_frame < self._sink or block.first_frame + block.num_frames > oldest
        ]
