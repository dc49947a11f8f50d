"""DINO coherence: cosine of DINOv2's features of consecutive frames. It rises on freezing."""

from collections.abc import Sequence
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from drift.metrics.networks.dinov2 import PATCH, Dinov2
from drift.metrics.networks.loading import load_network, precision
from drift.metrics.networks.parts import in_parts
from drift.metrics.networks.reading import read_weights
from drift.metrics.networks.rounded import pack_linears, round_weights
from drift.metrics.networks.settings import MetricSettings
from drift.metrics.registry import METRICS
from drift.video.batch import Frame, pixels_of

TOLERATES_BFLOAT16 = True  # docs/metrics.md
SIDE = 224
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZES = {"vit-b": (768, 12), "vit-s": (384, 6)}
"""Width and number of heads of each variant."""


def cosine(left: Tensor, right: Tensor) -> Tensor:
    """Cosine of vectors (B, D), in float64: (B,) in [-1, 1]."""
    return functional.cosine_similarity(left.double(), right.double(), dim=-1).clamp(-1, 1)


def prepare(pictures: Tensor) -> Tensor:
    """Scales whole frames to 224 x 224 and normalises them by ImageNet's mean and deviation.

    Args:
        pictures: (B, 3, H, W) in [0, 1].

    Returns:
        (B, 3, 224, 224); bicubic with antialiasing, the aspect ratio is not kept.
    """
    mean, deviation = (
        torch.tensor(constant, device=pictures.device)[:, None, None]
        for constant in (MEAN, DEVIATION)
    )
    square = functional.interpolate(
        pictures, (SIDE, SIDE), mode="bicubic", align_corners=False, antialias=True
    )
    return (square - mean) / deviation


def mean_by_distance(vectors: NDArray[np.float64]) -> list[float]:
    """Mean cosine of all pairs of frames that lie 1, 2, ... frames apart.

    Args:
        vectors: (n, D) vectors of length 1, one a frame.

    Returns:
        n - 1 cosines, the first for neighbours and the last for the first and the last frame.
    """
    num = len(vectors)
    # The sum over pairs at every distance is an autocorrelation; padding keeps it from wrapping.
    power = np.square(np.abs(np.fft.rfft(vectors, 2 * num, axis=0))).sum(axis=1)
    sums = np.fft.irfft(power, 2 * num)[1:num]
    means: list[float] = np.clip(sums / np.arange(num - 1, 0, -1), -1, 1).tolist()
    return means


class DinoCoherence:
    """The metric on one video: a value a pair of frames i and i + 1, and a curve at the end.

    Args:
        settings: Device, precision, weights.
        variant: `vit-b` or `vit-s`.
    """

    def __init__(self, settings: MetricSettings, variant: str) -> None:
        self._network = _network(variant, settings)
        self._settings = settings
        self._dtype = precision(settings, tolerates_bfloat16=TOLERATES_BFLOAT16)
        self._last: list[Tensor] = []
        self._directions: list[Tensor] = []

    def __call__(self, frames: Sequence[Frame]) -> list[float]:
        """Cosines of the pairs that the next frames of the video complete."""
        pictures = pixels_of(frames, self._settings.device)
        parts = in_parts(
            lambda part: self._network(prepare(part)), pictures, self._settings, self._dtype
        )
        values: list[float] = []
        with torch.inference_mode():
            for part in parts:
                tokens = torch.cat((*self._last, part.float()))
                self._last = [tokens[-1:]]
                values += cosine(tokens[:-1], tokens[1:]).tolist()
                self._directions.append(functional.normalize(part.double(), dim=-1).cpu())
        return values

    def curve(self) -> list[float]:
        """Mean cosine by distance of the frames so far, at 1, 2, ... frames."""
        return mean_by_distance(torch.cat(self._directions).numpy())


new_metric = DinoCoherence


@cache
def _network(variant: str, settings: MetricSettings) -> Dinov2:
    """The network, made ready for pictures of one size in one precision."""
    network = published_network(variant, settings)
    side = SIDE // PATCH
    network.embeddings.resize(side, side)
    dtype = precision(settings, tolerates_bfloat16=TOLERATES_BFLOAT16)
    round_weights(network, dtype)
    pack_linears(network, settings, dtype, rows=1 + side**2)
    return network


def published_network(variant: str, settings: MetricSettings) -> Dinov2:
    """The network with the parameters of the published file."""
    (weights,) = METRICS["dino_coherence"].variant(variant).weights
    read = partial(read_weights, weights, settings.weights_dir)
    build = partial(Dinov2, *SIZES[variant])
    return load_network(build, read, settings, f"dino_coherence ({variant})")
