"""Decoded video as callers want it, and their pictures as the VAE wants them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from hiar.errors import UsageError
from hiar.model.geometry import TEMPORAL_STRIDE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

OutputType = Literal["np", "pt", "pil", "uint8", "latent"]
OUTPUT_TYPES: tuple[OutputType, ...] = ("np", "pt", "pil", "uint8", "latent")


def check_output_type(output_type: str) -> None:
    """Raise for a name that is not in `OUTPUT_TYPES`."""
    if output_type not in OUTPUT_TYPES:
        known = ", ".join(OUTPUT_TYPES)
        raise UsageError(f"output_type {output_type!r} is unknown: use one of {known}")


def to_output(video: torch.Tensor, output_type: OutputType) -> Any:
    """Convert a decoded video.

    Args:
        video: Float video [B, 3, T, H, W] in [-1, 1].
        output_type: `np` float32 (B, T, H, W, 3) in [0, 1] and `pil` lists of pictures, both as
            diffusers has them; `pt` float32 [B, T, 3, H, W] in [0, 1]; `uint8` (B, T, H, W, 3).

    Returns:
        The video on the CPU.
    """
    unit = ((video.float().clamp(-1, 1) + 1) / 2).permute(0, 2, 1, 3, 4).cpu()
    if output_type == "pt":
        return unit
    last = unit.movedim(2, -1)
    if output_type == "np":
        return last.contiguous().numpy()
    pixels = (last * 255).round().to(torch.uint8).contiguous().numpy()
    if output_type == "uint8":
        return pixels
    from PIL import Image  # noqa: PLC0415

    return [[Image.fromarray(frame) for frame in frames] for frames in pixels]


def join(chunks: Sequence[Any], output_type: OutputType) -> Any:
    """Chunks of `to_output` as one video."""
    if output_type == "pt":
        return torch.cat(list(chunks), dim=1)
    if output_type == "pil":
        return [list(chain.from_iterable(parts)) for parts in zip(*chunks, strict=True)]
    import numpy as np  # noqa: PLC0415

    return np.concatenate(chunks, axis=1)


def fit_picture(picture: Image | NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture scaled to cover (height, width) and cut to its middle, uint8 RGB (H, W, 3)."""
    import numpy as np  # noqa: PLC0415
    from PIL import Image, ImageOps  # noqa: PLC0415

    if not isinstance(picture, Image.Image):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise UsageError(
                f"a picture of {picture.dtype} {picture.shape}: it must be uint8 (H, W, 3)"
            )
        picture = Image.fromarray(picture)
    height, width = size_px
    fitted = ImageOps.fit(picture.convert("RGB"), (width, height), Image.Resampling.LANCZOS)
    return np.asarray(fitted)


def fit_video(
    frames: Sequence[Image] | NDArray[np.uint8], size_px: tuple[int, int]
) -> NDArray[np.uint8]:
    """Frames of that size, uint8 RGB (T, H, W, 3), T = 4 k + 1: up to three first ones go."""
    import numpy as np  # noqa: PLC0415

    if len(frames) == 0:
        raise UsageError("the video to continue has no frame")
    kept = frames[(len(frames) - 1) % TEMPORAL_STRIDE :]
    return np.stack([fit_picture(frame, size_px) for frame in kept])


def read_picture(path: Path) -> Image:
    """Read an image file.

    Raises:
        UsageError: If there is none or it is no picture.
    """
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415

    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except FileNotFoundError:
        raise UsageError(f"no picture {path}: give a PNG or JPEG file") from None
    except (UnidentifiedImageError, OSError) as error:
        raise UsageError(f"{path} is no picture that can be read: {error}") from None


def read_video(path: Path) -> list[Image]:
    """Read all frames of a video file.

    Raises:
        UsageError: If there is none or it is no video.
    """
    import av  # noqa: PLC0415

    try:
        with av.open(str(path)) as container:
            return [frame.to_image() for frame in container.decode(video=0)]
    except FileNotFoundError:
        raise UsageError(f"no video {path}: give an mp4 file") from None
    except (av.error.FFmpegError, IndexError) as error:
        raise UsageError(f"{path} is no video that can be read: {error}") from None
