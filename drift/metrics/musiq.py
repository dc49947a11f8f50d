"""MUSIQ: the technical quality that people would give a frame, by a transformer over patches."""

from collections.abc import Sequence
from functools import cache, partial

import torch
from torch import Tensor
from torch.nn import functional

from drift.metrics.networks.loading import load_network, precision
from drift.metrics.networks.musiq import Musiq
from drift.metrics.networks.parts import in_parts
from drift.metrics.networks.reading import read_weights
from drift.metrics.networks.settings import MetricSettings
from drift.metrics.registry import METRICS, Metric
from drift.video.batch import Frame, pixels_of

SPAQ_LONGER_SIDE = 512  # VBench 0.1.5, imaging_quality: larger frames are shrunk to it
TOLERATES_BFLOAT16 = False  # docs/metrics.md


def shrink(pictures: Tensor, longer_side: int) -> Tensor:
    """Pictures with the longer side at most `longer_side`, bilinear without antialiasing.

    Args:
        pictures: (B, 3, H, W).
        longer_side: Largest allowed side in pixels.

    Returns:
        The same pictures if they are small enough, else smaller ones; sizes are rounded down.

    Source: VBench 0.1.5, imaging_quality.
    """
    height, width = pictures.shape[-2:]
    if max(height, width) <= longer_side:
        return pictures
    scale = longer_side / max(height, width)
    size = (max(1, int(scale * height)), max(1, int(scale * width)))
    return functional.interpolate(pictures, size, mode="bilinear", align_corners=False)


def new_metric(settings: MetricSettings, variant: str) -> Metric:
    """Returns a metric for one video that gives one value a frame.

    Args:
        settings: Device, precision, weights.
        variant: `koniq`, or `spaq` for VBench's weights and size.
    """
    network = _network(variant, settings)
    dtype = precision(settings, tolerates_bfloat16=TOLERATES_BFLOAT16)

    def update(frames: Sequence[Frame]) -> list[float]:
        pictures = pixels_of(frames, settings.device)
        if variant == "spaq":
            pictures = shrink(pictures, SPAQ_LONGER_SIDE)
        parts = in_parts(network.token, pictures, settings, dtype)
        with torch.inference_mode():
            scores = torch.cat([network.score(token.float()) for token in parts])
            values: list[float] = scores.double().tolist()
        return values

    return update


@cache
def _network(variant: str, settings: MetricSettings) -> Musiq:
    (weights,) = METRICS["musiq"].variant(variant).weights
    read = partial(read_weights, weights, settings.weights_dir)
    return load_network(Musiq, read, settings, f"musiq ({variant})")
