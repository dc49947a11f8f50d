"""Keys and values of earlier blocks, kept out of place so that a gradient can pass.

At inference a context pass overwrites a block's slot in the ring (`hiar.model.kv_cache`). In
training later blocks see the same values. What differs is where the gradient of these values
goes, since context passes run without one:

    straight_through   K_seen = K_context + (K_denoised - sg[K_denoised]): on into the denoising
                       pass of the earlier block. The release's in-place writes amount to this.
    detached           K_seen = sg[K_context]: nowhere.

sg[x] is x without its gradient. Shape letters: B videos, L tokens of a block, N heads, K head_dim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch

from hiar.errors import UsageError

if TYPE_CHECKING:
    from hiar.model.kv_cache import KeysValues

CacheGradient = Literal["straight_through", "detached"]


def check_cache_gradient(name: str) -> None:
    """Raise UsageError unless `name` is a `CacheGradient`."""
    if name not in get_args(CacheGradient):
        choices = ", ".join(get_args(CacheGradient))
        raise UsageError(f"cache_gradient {name!r} is unknown: use one of {choices}")


class BlockPass:
    """The cache of one forward pass over one block: what the block sees, and what it leaves.

    It takes the place of a `KVCache` in `CausalWan.forward_cached`. Activation checkpointing runs
    a layer again in the backward pass, when later blocks have been added to the video. What the
    pass may see is therefore fixed here, and the keys that a second run makes are not kept.

    Args:
        earlier: Keys and values of the visible earlier blocks, a list for each layer, oldest
            first.
    """

    def __init__(self, earlier: list[list[KeysValues]]) -> None:
        self._earlier = earlier
        self.left: dict[int, KeysValues] = {}
        """Keys and values of the block itself by layer, as its pass made them."""

    def write(
        self, layer: int, first_frame: int, k_BLNK: torch.Tensor, v_BLNK: torch.Tensor
    ) -> KeysValues:
        """Keep the block's keys and values; return all that the block may see, itself last."""
        del first_frame  # a pass has one block
        self.left.setdefault(layer, (k_BLNK, v_BLNK))
        earlier = self._earlier[layer]
        if not earlier:
            return k_BLNK, v_BLNK
        keys, values = zip(*earlier, strict=True)
        return torch.cat((*keys, k_BLNK), dim=1), torch.cat((*values, v_BLNK), dim=1)

    def advance(self, num_frames: int) -> None:
        """Do nothing: a pass ends with its block."""


@dataclass(frozen=True, kw_only=True)
class _Context:
    """A block as later ones see it: its frames and, by layer, its keys and values."""

    first_frame: int
    num_frames: int
    layers: list[KeysValues]


class GradientCache:
    """What the blocks of a video leave for those after them, at one noise level.

    Args:
        num_layers: Layers of the model.
        frame_tokens: Tokens of one latent frame.
        window: Latent frames visible to a block, its own included; None = all.
        sink: First latent frames that never leave the window.
        gradient: How gradients flow through cached context.
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
        self._blocks: list[_Context] = []

    def begin(self, first_frame: int, num_frames: int) -> BlockPass:
        """A pass over a block of `num_frames` latent frames that begins at `first_frame`."""
        room = None if self._window is None else self._window - self._sink
        oldest = 0 if room is None else max(self._sink, first_frame + num_frames - room)
        runs = [(0, min(self._sink, oldest)), (oldest, first_frame)]
        return BlockPass([
            [part for start, end in runs for part in self._between(layer, start, end)]
            for layer in range(self._num_layers)
        ])  # fmt: skip

    def write_context(
        self, first_frame: int, num_frames: int, denoised: BlockPass, context: BlockPass | None
    ) -> None:
        """Leave a block's keys and values to later blocks.

        Args:
            first_frame: Index of the block's first latent frame.
            num_frames: Latent frames of the block.
            denoised: Denoising pass of the block, with the gradient if there is one.
            context: Context pass of the block; None leaves the keys and values of the denoising
                pass itself.
        """
        layers = []
        for layer in range(self._num_layers):
            keys, values = denoised.left[layer]
            seen_keys, seen_values = (context or denoised).left[layer]
            layers.append(
                (self._with_gradient(seen_keys, keys), self._with_gradient(seen_values, values))
            )
        self._blocks.append(_Context(first_frame=first_frame, num_frames=num_frames, layers=layers))
        self._forget(first_frame + num_frames)

    def _with_gradient(self, seen: torch.Tensor, denoised: torch.Tensor) -> torch.Tensor:
        """The values `seen`, with a gradient that flows as the cache was told to let it."""
        if self._gradient == "detached":
            return seen.detach()
        if seen is denoised or not denoised.requires_grad:
            return seen
        return seen + (denoised - denoised.detach())

    def _between(self, layer: int, start: int, end: int) -> list[KeysValues]:
        """Keys and values of latent frames start to end, end excluded."""
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
        """Free the blocks that no block after the first `num_frames` latent frames can see."""
        if self._window is None:
            return
        oldest = num_frames - (self._window - self._sink)
        self._blocks = [
            block
            for block in self._blocks
            if block.first_frame < self._sink or block.first_frame + block.num_frames > oldest
        ]
