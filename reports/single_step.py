"""How sharpness changes along a clip after a single denoising step: what Fig. 5 shows by eye."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.figure_records import ATTENTIONS, Strip, StripsRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

SMALLEST_VARIANCE = 1e-3
"""Below what one grey level in a picture of a megapixel gives: a flat frame has a logarithm too."""


@dataclass(frozen=True, kw_only=True)
class Sharpening:
    """Rise of ln sharpness from the first quarter of a clip to the last, causal less bidirectional.

    Above 0, causal frames get sharper along the clip by more than bidirectional ones.
    """

    value: float
    interval: tuple[float, float] | None
    clips: int


def sharpness_curves(strip: Strip) -> dict[str, list[float]]:
    """Returns ln of the Laplacian variance of each frame, by attention."""
    from drift.decode import open_video  # noqa: PLC0415  (decoding only where it is needed)
    from drift.metrics.sharpness import sharpness  # noqa: PLC0415

    curves = {}
    for attention in ATTENTIONS:
        with open_video(strip.videos[attention]) as reader:
            values = [sharpness(frame) for frame in reader.frames()]
        curves[attention] = [math.log(max(value, SMALLEST_VARIANCE)) for value in values]
    return curves


def rise(values: Sequence[float]) -> float:
    """Returns the mean of the last quarter less that of the first; at least a frame each."""
    quarter = max(1, len(values) // 4)
    return sum(values[-quarter:]) / quarter - sum(values[:quarter]) / quarter


def measure_sharpening(record: StripsRecord) -> Sharpening:
    """Measures how much more causal attention sharpens along the clips of a record.

    Returns:
        The mean, with a 95 % bootstrap interval over prompts from two of them on.
    """
    import numpy as np  # noqa: PLC0415

    from drift.bootstrap import bootstrap_ci  # noqa: PLC0415

    curves = [sharpness_curves(strip) for strip in record.strips]
    excess = np.array([rise(c["causal"]) - rise(c["bidirectional"]) for c in curves])
    prompts = [strip.prompt for strip in record.strips]
    interval = None
    if len(set(prompts)) > 1:
        low, high = bootstrap_ci(excess, prompts).tolist()
        interval = (low, high)
    return Sharpening(value=float(excess.mean()), interval=interval, clips=len(curves))
