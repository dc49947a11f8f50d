"""Keys and values of earlier latent frames, in a ring that never moves what it holds.

Keys are stored already rotated by their absolute frame index, so attention does not depend on the
order in which they lie: a new frame overwrites the oldest one in place, and nothing is moved. The
first `sink` frames have places of their own and stay. When a frame is written again (by the context
pass that follows its denoising pass) it overwrites itself.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch

from hiar.errors import UsageError

if TYPE_CHECKING:
    from hiar.model.config import WanConfig

KeysValues = tuple[torch.Tensor, torch.Tensor]


class BlockCache(Protocol):
    """What a pass over a block asks of a cache: `KVCache`, or training's that keeps gradients."""

    def write(
        self, layer: int, first_frame: int, k_BLNK: torch.Tensor, v_BLNK: torch.Tensor
    ) -> KeysValues:
        """Store one block's keys and values and return all that the block may see."""
        ...

    def advance(self, num_frames: int) -> None:
        """Note that the video's first `num_frames` latent frames have been written in full."""
        ...


class CacheSlot(NamedTuple):
    """Where a block is written during a pass, and which earlier blocks it sees.

    Attributes:
        cache: Cache that holds the earlier blocks; it holds this block too after the pass.
        first_frame: Index of the block's first latent frame in the video.
    """

    cache: BlockCache
    first_frame: int


class KVCache:
    """Rotated keys and values of all layers for one video at one noise level.

    Args:
        config: Sizes of the model.
        batch_size: Number of videos.
        frame_tokens: Tokens of one latent frame.
        capacity: Latent frames that are kept: the window, or the whole video.
        sink: Number of latent frames at the video's start that are never overwritten.
        device: Device that holds the keys and values.
        dtype: Dtype of the keys and values.
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
        # Heads come before tokens, so that a head's keys lie together: a CPU's attention reads
        # them faster.
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

    def write(
        self, layer: int, first_frame: int, k_BLNK: torch.Tensor, v_BLNK: torch.Tensor
    ) -> KeysValues:
        """Store one block's keys and values and return all that the block may see.

        Args:
            layer: Index of the transformer's layer.
            first_frame: Absolute index of the block's first latent frame. It follows the stored
                frames, or is that of the newest block, which is then overwritten.
            k_BLNK, v_BLNK: [B, frames x frame_tokens, heads, head_dim].

        Returns:
            Keys and values [B, M, heads, head_dim] of the block itself, the sink and the frames of
            the window, in the ring's order. They are views, valid until the next write.
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

    def layer(self, layer: int) -> KeysValues:
        """All keys and values of a layer, [B, heads, capacity x frame_tokens, head_dim]."""
        return self._keys[layer], self._values[layer]

    def token_places(self, first_frame: int, num_frames: int) -> torch.Tensor:
        """Places in the ring of the tokens of some frames, int64 [num_frames x frame_tokens]."""
        frames = torch.tensor([self._place(first_frame + offset) for offset in range(num_frames)])
        return (frames[:, None] * self.frame_tokens + torch.arange(self.frame_tokens)).flatten()

    def _runs(self, first_frame: int, num_new: int) -> list[tuple[int, int, int]]:
        """Contiguous pieces of new frames: (first in the block, place in the ring, length)."""
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
        """Position of a frame in the ring."""
        if frame < self.sink:
            return frame
        return self.sink + (frame - self.sink) % (self.capacity - self.sink)


class RingWriter:
    """Writes blocks to a full cache at places that are read from a buffer.

    A pass that was recorded with it can be replayed for any block: only the buffer's content tells
    where the block goes. The order of frames is not checked.

    Args:
        cache: The cache, whose window is full once the block is written.
        num_frames: Latent frames of a block.
    """

    def __init__(self, cache: KVCache, num_frames: int) -> None:
        self._cache, self._num_frames = cache, num_frames
        device = cache.layer(0)[0].device
        self._places = cache.token_places(0, num_frames).to(device)

    def aim(self, first_frame: int) -> None:
        """Write the next block where this frame and those after it belong."""
        self._places.copy_(self._cache.token_places(first_frame, self._num_frames))

    def write(
        self, layer: int, first_frame: int, k_BLNK: torch.Tensor, v_BLNK: torch.Tensor
    ) -> KeysValues:
        """Store a block's keys and values and return those of the whole window.

        Args:
            layer: Index of the transformer's layer.
            first_frame: Not used: `aim` says where the block goes.
            k_BLNK, v_BLNK: [B, frames x frame_tokens, heads, head_dim].
        """
        del first_frame
        keys, values = self._cache.layer(layer)
        keys.index_copy_(2, self._places, k_BLNK.transpose(1, 2))
        values.index_copy_(2, self._places, v_BLNK.transpose(1, 2))
        return keys.transpose(1, 2), values.transpose(1, 2)

    def advance(self, num_frames: int) -> None:
        """Nothing: whoever replays the pass advances the cache."""
