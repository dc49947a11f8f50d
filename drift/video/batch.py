"""Consecutive frames of a video, turned into a tensor once for all metrics that want one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Frame = NDArray[np.uint8]


class FrameBatch(Sequence[Any]):
    """A sequence of frames, uint8 (H, W, 3) RGB, that turns them into one tensor when asked.

    Args:
        frames: Frames, all of one size.
        first: Index of the first of them in the video.
    """

    def __init__(self, frames: Sequence[Frame], first: int = 0) -> None:
        self._frames = list(frames)
        self._first = first
        self._whole: tuple[FrameBatch, slice] | None = None
        self._pixels: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...
    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        return self._frames[index]

    def every(self, step: int) -> FrameBatch:
        """The frames whose index in the video is a multiple of `step`; they share this tensor."""
        if step == 1:
            return self
        part = slice(-self._first % step, None, step)
        chosen = FrameBatch(self._frames[part], self._first + part.start)
        chosen._whole = (self, part)
        return chosen

    def pixels(self, device: str) -> Tensor:
        """The frames as one tensor, made on first use.

        Args:
            device: Device that holds the tensor.

        Returns:
            float32 (N, 3, H, W) in [0, 1], stored channels last. Metrics share it, so none may
            write to it.
        """
        if device not in self._pixels:
            if self._whole is None:
                self._pixels[device] = to_pixels(self._frames, device)
            else:
                whole, part = self._whole
                self._pixels[device] = whole.pixels(device)[part]
        return self._pixels[device]


def to_pixels(frames: Sequence[Frame], device: str) -> Tensor:
    """Frames as one float32 tensor (N, 3, H, W) in [0, 1], stored channels last."""
    import torch  # noqa: PLC0415  (the fast metrics need no torch)

    bytes_NHWC = torch.from_numpy(np.stack(frames)).to(device)
    return bytes_NHWC.permute(0, 3, 1, 2).float().div_(255)


def pixels_of(frames: Sequence[Frame], device: str) -> Tensor:
    """`FrameBatch.pixels`, for any sequence of frames."""
    return (frames if isinstance(frames, FrameBatch) else FrameBatch(frames)).pixels(device)
