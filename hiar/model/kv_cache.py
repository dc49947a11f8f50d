"""Keys and values of earlier latent frames, in a ring that never moves what it holds.

Keys are stored already rotated by their absolute frame index, so attention does not care in which
order they lie: a new frame overwrites the oldest one in place and nothing is rolled. The first
`sink` frames have places of their own and stay. Writing a frame again (the context pass after the
denoising pass) overwrites it.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Protocol

import torch

from hiar.errors import UsageError

if TYPE_CHECKING:
    from hiar.model.config import WanConfig


class BlockCache(Protocol):
    """What a pass over one block needs of a cache: `KVCache`, or one that keeps gradients."""

    def write(
        self, layer: int, first_frame: int, k_BLNK: torch.Tensor, v_BLNK: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store one block's keys and values and return all that the block may see."""
        ...

    def advance(self, num_frames: int) -> None:
        """Note that the video's first `num_frames` latent frames have been written in full."""
        ...


class KVCache:
    """Rotated keys and values of all layers for one video at one noise level.

    Args:
        config: Sizes of the model.
        batch_size: Videos.
        frame_tokens: Tokens of one latent frame.
        capacity: Latent frames kept: the window, or the whole video.
        sink: First latent frames that are never overwritten.
        device, dtype: Of the stored tensors.
    """

    def __init__(
        self,
        config: WanConfig,
        *,
        batch_size: int,
        frame_tokens: int,
        capacity: int,
        sink: int = 0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if not 0 <= sink < capacity:
            raise UsageError(f"a sink of {sink} latent frames leaves no room in {capacity}")
        self.frame_tokens = frame_tokens
        self.capacity = capacity
        self.sink = sink
        self.num_frames = 0
        # Heads before tokens: a head's keys lie together, which a CPU's attention reads faster.
        shape = (
            config.num_layers, batch_size, config.num_heads,
            capacity * frame_tokens, config.head_dim,
        )  # fmt: skip
        self._keys = torch.empty(shape, device=device, dtype=dtype)
        self._values = torch.empty(shape, device=device, dtype=dtype)

    def clone(self) -> KVCache:
        """A second cache that holds the same frames."""
        twin = copy.copy(self)
        twin._keys, twin._values = self._keys.clone(), self._values.clone()
        return twin

    def reset(self) -> None:
        """Forget everything; the memory is kept."""
        self.num_frames = 0

    @property
    def size_bytes(self) -> int:
        """Memory of the stored keys and values."""
        return 2 * self._keys.numel() * self._keys.element_size()

    def write(
        self, layer: int, first_frame: int, k_BLNK: torch.Tensor, v_BLNK: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store one block's keys and values and return all that the block may see.

        Args:
            layer: Transformer block.
            first_frame: Absolute index of the block's first latent frame. It follows what is
                stored, or repeats the newest block.
            k_BLNK, v_BLNK: [B, frames x frame_tokens, heads, head_dim].

        Returns:
            Keys and values [B, M, heads, head_dim]: the block itself, the sink and the frames of
            the window, in the ring's order. Views, valid until the next write.
        """
        num_new = k_BLNK.shape[1] // self.frame_tokens
        end = first_frame + num_new
        if not self.num_frames - num_new <= first_frame <= self.num_frames:
            raise AssertionError(f"frames {first_frame}..{end} do not follow {self.num_frames}")
        keys, values = self._keys[layer].transpose(1, 2), self._values[layer].transpose(1, 2)
        for source, target, length in self._runs(first_frame, num_new):
            tokens = slice(source * self.frame_tokens, (source + length) * self.frame_tokens)
            places = slice(target * self.frame_tokens, (target + length) * self.frame_tokens)
            keys[:, places] = k_BLNK[:, tokens]
            values[:, places] = v_BLNK[:, tokens]
        filled = min(end, self.capacity) * self.frame_tokens
        return keys[:, :filled], values[:, :filled]

    def advance(self, num_frames: int) -> None:
        """Note that the video's first `num_frames` latent frames have been written in full."""
        self.num_frames = num_frames

    def _runs(self, first_frame: int, num_new: int) -> list[tuple[int, int, int]]:
        """Contiguous (source, place, length) pieces that put new frames where they belong."""
        runs: list[tuple[int, int, int]] = []
        for offset in range(num_new):
            place = self._place(first_frame + offset)
            if runs and runs[-1][1] + runs[-1][2] == place:
                source, target, length = runs[-1]
                runs[-1] = (source, target, length + 1)
            else:
                runs.append((offset, place, 1))
        return runs

    def _place(self, frame: int) -> int:
        if frame < self.sink:
            return frame
        return self.sink + (frame - self.sink) % (self.capacity - self.sink)
