"""Measures how sharpness changes along clips of a single denoising step, which Fig. 5 shows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.records.figure_records import ATTENTIONS, Strip, StripsRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

SMALLEST_VARIANCE = 1e-3
"""Least variance that is taken, so that a flat frame has a logarithm. It lies below what a single
grey level gives in a picture of a megapixel."""


@dataclass(frozen=True, kw_only=True)
class Rise:
    """Mean rise of ln sharpness from the first quarter of a clip to the last.

    Attributes:
        interval: 95 % bootstrap interval over prompts, None with fewer than two.
    """

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class Sharpening:
    """Rises under each attention, and their paired difference, causal less bidirectional."""

    causal: Rise
    bidirectional: Rise
    difference: Rise
    clips: int


def sharpness_curves(strip: Strip) -> dict[str, list[float]]:
    """Returns ln of the Laplacian variance of each frame, by attention."""
    from drift.metrics.sharpness import sharpness  # noqa: PLC0415
    from drift.video.decode import open_video  # noqa: PLC0415  (decoding only where it is needed)

    curves = {}
    for attention in ATTENTIONS:
        with open_video(strip.videos[attention]) as reader:
            values = [sharpness(frame) for frame in reader.frames()]
        curves[attention] = [math.log(max(value, SMALLEST_VARIANCE)) for value in values]
    return curves


def rise(values: Sequence[float]) -> float:
    """Returns the mean of the last quarter of values less that of the first quarter."""
    quarter = max(1, len(values) // 4)
    return sum(values[-quarter:]) / quarter - sum(values[:quarter]) / quarter


def measure_sharpening(record: StripsRecord) -> Sharpening:
    """Measures how much clips sharpen under each attention, and how much more under causal.

    The difference is paired, since the clips of one prompt begin as the same noise.
    """
    import numpy as np  # noqa: PLC0415

    from drift.stats.bootstrap import bootstrap_ci  # noqa: PLC0415

    prompts = [strip.prompt for strip in record.strips]
    curves = [sharpness_curves(strip) for strip in record.strips]
    rises = {name: np.array([rise(c[name]) for c in curves]) for name in ATTENTIONS}

    def summary(values: NDArray[np.float64]) -> Rise:
        interval = None
        if len(set(prompts)) > 1:
            low, high = bootstrap_ci(values, prompts).tolist()
            interval = (low, high)
        return Rise(value=float(values.mean()), interval=interval)

    return Sharpening(
        causal=summary(rises["causal"]),
        bidirectional=summary(rises["bidirectional"]),
        difference=summary(rises["causal"] - rises["bidirectional"]),
        clips=len(curves),
    )
