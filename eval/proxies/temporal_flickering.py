"""VBench's temporal_flickering without VBench: mean absolute difference of neighbouring frames.

It needs no weights, so it runs anywhere. Videos are decoded with OpenCV, as upstream does it,
because another decoder's colour conversion gives other values.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from drift.errors import UsageError

NAME = "temporal_flickering"


def flicker_score(differences: Sequence[np.float32]) -> float:
    """The score of one video.

    Args:
        differences: Mean absolute difference of each pair of neighbouring frames, in [0, 255].

    Returns:
        (255 - mean) / 255: 1 for a still picture, 0 for black and white frames in turn.

    Source:
        Vchitect/VBench 45e79ec vbench/temporal_flickering.py, cal_score.
    """
    mean = np.mean(np.array(differences, dtype=np.float32)).item()  # float32, as upstream
    return (255.0 - mean) / 255.0


def frame_difference(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> np.float32:
    """Mean absolute difference of two frames (H, W, 3) in [0, 255], in float32 as upstream."""
    difference: Any = cv2.absdiff(first.astype(np.float32), second.astype(np.float32))
    return np.float32(np.mean(difference))


def measure_video(path: Path) -> float:
    """Scores one video; two frames are in memory at a time.

    Raises:
        UsageError: The video cannot be decoded to its end, or has fewer than two frames.
            Upstream leaves such videos out, or returns NaN.
    """
    capture = cv2.VideoCapture(str(path))
    try:
        declared = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        differences = []
        decoded, (good, before) = 0, capture.read()
        while good:
            decoded += 1
            good, frame = capture.read()
            if good:
                differences.append(frame_difference(before, frame))
                before = frame
    finally:
        capture.release()
    if decoded < 2 or (path.suffix != ".gif" and decoded < declared):
        raise UsageError(
            f"{path.name}: {decoded} of {max(declared, 2)} frames decoded; make this video again"
        )
    return flicker_score(differences)


def measure_videos(
    paths: Sequence[Path], progress: Callable[[int], None] = lambda done: None
) -> list[Any]:
    """Scores videos and returns what upstream's result file would hold.

    Args:
        paths: Files of the videos.
        progress: Called with the number of videos done.

    Returns:
        [mean over videos, [{"video_path": name, "video_results": score}, ...]].
    """
    results = []
    for done, path in enumerate(paths, 1):
        results.append({"video_path": path.name, "video_results": measure_video(path)})
        progress(done)
    return [float(np.mean([result["video_results"] for result in results])), results]
