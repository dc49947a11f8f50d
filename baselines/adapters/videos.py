"""Writes frames to an mp4 of exactly the length that was asked for, and reads frames."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baselines.errors import VideoFailedError
from baselines.spec import Length
from hiar.codecs.video import open_mp4


def write_video(path: Path, chunks: Iterable[NDArray[np.uint8]], length: Length, fps: int) -> str:
    """Encode the first frames of a video; later chunks are not requested.

    Args:
        path: The mp4 file, which appears only when it is complete.
        chunks: Frames, uint8 RGB (T, H, W, 3), in order.
        length: Length that says how many frames are kept.
        fps: Frames a second.

    Returns:
        SHA-256 of the frames that were kept.

    Raises:
        VideoFailedError: There are too few frames.
    """
    with open_mp4(path, fps) as writer:
        for chunk in chunks:
            writer.write(chunk[: length.num_frames - writer.num_frames])
            if writer.num_frames == length.num_frames:
                break
        else:
            raise VideoFailedError(
                f"the video is too short: {writer.num_frames} of {length.num_frames} frames"
            )
    return writer.frames_sha256


def read_frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yields the frames of a program's output, in chunks (T, H, W, 3).

    Args:
        path: A video file, or uint8 frames (T, H, W, 3) saved by numpy.

    Raises:
        VideoFailedError: The file is not a video, or is cut short.
    """
    if path.suffix == ".npy":
        yield _load_array(path)
        return
    from drift.video.decode import BrokenVideoError, open_video  # noqa: PLC0415

    try:
        with open_video(path) as reader:
            for frame in reader.frames():
                yield frame[None]
    except BrokenVideoError as error:
        raise VideoFailedError(f"the video is {error.status}: {error.reason}") from error


def _load_array(path: Path) -> NDArray[np.uint8]:
    try:
        frames: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise VideoFailedError(f"the frames cannot be read: {error}") from error
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise VideoFailedError(
            f"the frames are {frames.dtype} {frames.shape}, not uint8 (T, H, W, 3)"
        )
    return np.asarray(frames)


def to_uint8(frames: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Rounds frames in [0, 1] to the nearest of 256 levels.

    Raises:
        VideoFailedError: A value is not finite; it would silently become black.
    """
    if not np.isfinite(frames).all():
        raise VideoFailedError("the frames are not finite: check weights and dtype")
    levels: NDArray[np.uint8] = np.rint(np.clip(frames, 0, 1) * 255).astype(np.uint8)
    return levels
