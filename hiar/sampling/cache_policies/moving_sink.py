"""A cache whose sink moves along with the window, and may take in what leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from hiar.model.kv_cache import KVCache
from hiar.model.rope import frame_turn, rotate

if TYPE_CHECKING:
    from hiar.model.config import WanConfig
    from hiar.model.kv_cache import KeysValues


class MovingSinkCache(KVCache):
    """A ring like `KVCache`, but for the rotary phase of its sink, and if asked for its content.

    Keys lie in the ring at their own frame, the sink's at frames that end where the window begins.
    A copy of the sink at its own frames stays beside the ring; whenever the window moves on, the
    ring's sink is turned anew from it, so that rounding does not add up.

    Args:
        config: Sizes of the model.
        average: What the sink keeps of itself when frames leave the window; None keeps all.
        sizes: The other arguments of `KVCache`.
    """

    def __init__(self, config: WanConfig, *, average: float | None = None, **sizes: Any) -> None:
        super().__init__(config, **sizes)
        self._average = average
        self._head_dim = config.head_dim
        self._sink = slice(0, self.sink * self.frame_tokens)
        self._sink_keys = torch.empty_like(self._keys[:, :, :, self._sink])
        self._moved_by = [0] * config.num_layers

    def clone(self) -> MovingSinkCache:
        """A second cache that holds the same frames."""
        twin = super().clone()
        assert isinstance(twin, MovingSinkCache)
        twin._sink_keys, twin._moved_by = self._sink_keys.clone(), list(self._moved_by)
        return twin

    def write(
        self, layer: int, first_frame: int, k_BLNK: torch.Tensor, v_BLNK: torch.Tensor
    ) -> KeysValues:
        """Store one block's keys and values and return all that the block may see.

        Args:
            layer, first_frame, k_BLNK, v_BLNK: See `KVCache.write`.
        """
        end = first_frame + k_BLNK.shape[1] // self.frame_tokens
        if self._average is not None and first_frame == self.num_frames:
            for frame in range(first_frame, end):
                self._take_in(layer, frame - (self.capacity - self.sink), self._average)
        seen = super().write(layer, first_frame, k_BLNK, v_BLNK)
        if first_frame < self.sink:
            self._sink_keys[layer].copy_(self._keys[layer][:, :, self._sink])
        self._move(layer, max(0, end - self.capacity))
        return seen

    def _move(self, layer: int, frames: int) -> None:
        """Turn the ring's sink so that it lies that many frames later than it was made."""
        if frames != self._moved_by[layer]:
            turn = frame_turn(frames, self._head_dim, self._keys.device)
            self._keys[layer][:, :, self._sink] = rotate(self._sink_keys[layer], turn)
            self._moved_by[layer] = frames

    def _take_in(self, layer: int, frame: int, average: float) -> None:
        """Mix a frame that leaves the window into the sink's frame at the same place of a block."""
        if frame < self.sink:
            return
        into = (frame - self.sink) % self.sink
        place, target = (self._tokens(each) for each in (self._place(frame), into))
        turn = frame_turn(into - frame, self._head_dim, self._keys.device)
        leaving = rotate(self._keys[layer][:, :, place], turn), self._values[layer][:, :, place]
        held = self._sink_keys[layer][:, :, target], self._values[layer][:, :, target]
        for mine, other in zip(held, leaving, strict=True):
            mine.copy_(average * mine + (1 - average) * other)

    def _tokens(self, place: int) -> slice:
        return slice(place * self.frame_tokens, (place + 1) * self.frame_tokens)
