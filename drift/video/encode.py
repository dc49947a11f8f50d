"""Writes frames to an mp4 file, under settings with which equal frames make equal files.

They are those of `hiar.codecs.video`, which this package may not import (a test holds them equal),
with a preset of x264 that takes half the time and more bytes at the same quality.
"""

import hashlib
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from drift.files import atomic_path

CODEC = "libx264"
CRF = 12
PIXEL_FORMAT = "yuv420p"
DETERMINISTIC = {"threads": "4", "x264-params": "cpu-independent=1"}
"""Options of the encoder; the threads are fixed since x264 makes other files with other numbers."""
OPTIONS = {**DETERMINISTIC, "crf": str(CRF), "preset": "superfast"}
INTERPOLATION = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
"""Without the last two a processor with AVX2 rounds colours another way than one without."""
ENCODING = {"codec": CODEC, "pixel_format": PIXEL_FORMAT, **OPTIONS}
"""The settings, for the record of a video."""

Frame = NDArray[np.uint8]


def write_mp4(path: Path, frames: Iterable[Frame], rate: Fraction) -> str:
    """Encodes frames with H.264 into a file that appears whole or not at all.

    Args:
        path: The mp4 file.
        frames: uint8 (H, W, 3) RGB, at least one, all of one even size.
        rate: Frames a second.

    Returns:
        SHA-256 of the frames before they were encoded, one after the other: 64 hex digits.
    """
    digest = hashlib.sha256()
    reformatter = VideoReformatter()
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream(CODEC, rate=rate, options=OPTIONS)
        stream.pix_fmt = PIXEL_FORMAT
        for index, pixels in enumerate(frames):
            if index == 0:
                stream.height, stream.width = pixels.shape[:2]
            digest.update(np.ascontiguousarray(pixels).data)
            frame = reformatter.reformat(
                av.VideoFrame.from_ndarray(pixels, format="rgb24"),
                format=PIXEL_FORMAT,
                interpolation=INTERPOLATION,
                threads=1,
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return digest.hexdigest()
