"""Cheap stand-ins for dimensions of VBench, without weights, for videos of the tiny world.

Each is a *tiny proxy*: it compares rows of one study with one another, and its value is not
VBench's. The exception is temporal_flickering, whose formula needs no network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drift.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hiar.tiny.dynamics import Motion

SCHEMA = "proxies/1"


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A video as the proxies see it.

    Attributes:
        path: File of the video.
        frames: uint8 RGB (T, H, W, 3).
        prompt: Prompt in the video's sidecar.
    """

    path: Path
    frames: NDArray[np.uint8]
    prompt: str

    @cached_property
    def motion(self) -> Motion:
        """How much the clip moves."""
        from hiar.tiny.dynamics import measure_motion  # noqa: PLC0415

        return measure_motion(self.frames)


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """One proxy.

    Attributes:
        name: Name in records.
        stands_for: Dimension or group of VBench that it stands for; "" if it is read beside them.
        unit: Unit of its value; "" if it has none.
        how: Description of the measure in one line.
        measure: Function that returns a clip's value; higher is better, or means more motion.
    """

    name: str
    stands_for: str
    unit: str
    how: str
    measure: Callable[[Clip], float]


def _motion_smoothness(clip: Clip) -> float:
    from eval.proxies.motion_smoothness import motion_smoothness  # noqa: PLC0415

    return motion_smoothness(clip.frames)


def _prompt_following(clip: Clip) -> float:
    from hiar.tiny.detect import prompt_following  # noqa: PLC0415

    return prompt_following(clip.frames, clip.prompt).mean


def _temporal_flickering(clip: Clip) -> float:
    from eval.proxies.temporal_flickering import measure_video  # noqa: PLC0415

    return measure_video(clip.path)


PROXIES: tuple[Proxy, ...] = (
    Proxy(
        name="dynamic_degree", stands_for="dynamic_degree", unit="px/frame at 256",
        how="OpenCV flow, mean of the largest 5 % of magnitudes",
        measure=lambda clip: clip.motion.top,
    ),
    Proxy(
        name="mean_flow", stands_for="", unit="px/frame at 256",
        how="OpenCV flow, mean of all magnitudes", measure=lambda clip: clip.motion.mean,
    ),
    Proxy(
        name="motion_smoothness", stands_for="motion_smoothness", unit="",
        how="every second frame against its neighbours, warped by OpenCV flow",
        measure=_motion_smoothness,
    ),
    Proxy(
        name="prompt_following", stands_for="semantic", unit="",
        how="share of frames with the prompt's shape, and with its colour, by detectors; the mean",
        measure=_prompt_following,
    ),
    Proxy(
        name="temporal_flickering", stands_for="temporal_flickering", unit="",
        how="VBench's own formula", measure=_temporal_flickering,
    ),
)  # fmt: skip


def measure_folder(
    folder: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    recursive: bool = False,
) -> dict[str, Any]:
    """Measures every proxy on every video of a folder.

    Args:
        folder: Folder of videos with the sidecars of `hiar sample`.
        progress: Called with the number of videos done and the number of all.
        recursive: Whether to look in sub-folders too.

    Returns:
        The record; docs/tiny_study.md describes it.

    Raises:
        UsageError: The folder holds no video, or a video is broken, has no prompt, or has a
            prompt that is not of the tiny world.
    """
    import cv2  # noqa: PLC0415

    from drift.video.discover import find_videos  # noqa: PLC0415

    cv2.setNumThreads(1)  # on pictures of 48 pixels more threads only wait for one another
    found = find_videos([folder], recursive=recursive, skip=folder / "-").videos
    values: dict[str, dict[str, float]] = {proxy.name: {} for proxy in PROXIES}
    for done, video in enumerate(found, 1):
        for name, value in _measure(video.file, video.path, video.prompt).items():
            values[name][video.path] = value
        progress(done, len(found))
    return make_record(values, [video.cluster for video in found])


def make_record(
    values: Mapping[str, Mapping[str, float]], clusters: Sequence[str]
) -> dict[str, Any]:
    """Builds the record: means with 95 % bootstrap intervals over prompts.

    Args:
        values: Value by proxy and by video; every proxy has the same videos in the same order.
        clusters: Each video's prompt, in that order.
    """
    from drift.stats.bootstrap import bootstrap_ci  # noqa: PLC0415

    measures = {}
    for proxy in PROXIES:
        mine = list(values[proxy.name].values())
        interval = bootstrap_ci(mine, clusters).tolist() if len(set(clusters)) > 1 else None
        measures[proxy.name] = {
            "mean": sum(mine) / len(mine),
            "ci95": interval,
            "unit": proxy.unit,
            "stands_for": proxy.stands_for,
            "how": proxy.how,
            "videos": dict(values[proxy.name]),
        }
    return {"schema": SCHEMA, "scale": "tiny", "videos": len(clusters), "measures": measures}


def _measure(file: Path, name: str, prompt: str) -> dict[str, float]:
    import numpy as np  # noqa: PLC0415

    from drift.video.decode import BrokenVideoError, open_video  # noqa: PLC0415
    from hiar.errors import UsageError as HiarUsageError  # noqa: PLC0415

    if not prompt:
        raise UsageError(f"{name}: no sidecar with its prompt; make the video with `hiar sample`")
    try:
        with open_video(file) as reader:
            frames = np.stack(list(reader.frames()))
        clip = Clip(path=file, frames=frames, prompt=prompt)
        return {proxy.name: proxy.measure(clip) for proxy in PROXIES}
    except (BrokenVideoError, HiarUsageError, UsageError) as error:
        raise UsageError(f"{name}: {error}") from None
