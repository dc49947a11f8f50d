"""CLIP text score: the cosine of each frame with the prompt that holds while it is shown."""

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from drift.errors import UsageError
from drift.metrics.networks.clip import DEVIATION, MEAN
from drift.metrics.networks.loading import load_network, precision
from drift.metrics.networks.parts import in_parts
from drift.metrics.networks.reading import read_openai
from drift.metrics.networks.settings import MetricSettings
from drift.metrics.registry import METRICS
from drift.video.batch import Frame, pixels_of

TOLERATES_BFLOAT16 = False  # not measured
SIDE = 224
MODELS = {"vit-b-32": "ViT-B-32-quickgelu"}
"""Variant -> name of the architecture in open_clip; OpenAI's weights have the quick GELU."""


def cosines(pictures: Tensor, texts: Tensor) -> Tensor:
    """Cosines of features of pictures (B, D) and texts (P, D), in float64: (B, P) in [-1, 1]."""
    unit_pictures, unit_texts = (
        functional.normalize(features.double(), dim=-1) for features in (pictures, texts)
    )
    return (unit_pictures @ unit_texts.T).clamp(-1, 1)


def prepare(pictures: Tensor) -> Tensor:
    """Makes pictures ready for CLIP as its authors do: shorter side 224, then the square inside.

    Args:
        pictures: (B, 3, H, W) in [0, 1].

    Returns:
        (B, 3, 224, 224), normalised by CLIP's mean and deviation; bicubic with antialiasing.
    """
    height, width = pictures.shape[-2:]
    short = min(height, width)
    size = [SIDE * height // short, SIDE * width // short]
    scaled = functional.interpolate(
        pictures, size, mode="bicubic", align_corners=False, antialias=True
    ).clamp(0, 1)
    top, left = (round((length - SIDE) / 2) for length in size)
    mean, deviation = (
        torch.tensor(constant, device=pictures.device)[:, None, None]
        for constant in (MEAN, DEVIATION)
    )
    return (scaled[..., top : top + SIDE, left : left + SIDE] - mean) / deviation


class ClipText:
    """The metric on one video: a value a frame, and the lead of each prompt over the one before.

    Args:
        settings: Device, precision, weights.
        variant: `vit-b-32`.
        prompts: First frame, counted among those that are measured, and text of each prompt.
    """

    def __init__(
        self, settings: MetricSettings, variant: str, prompts: Sequence[tuple[int, str]]
    ) -> None:
        self._network, tokenize = network(variant, settings)
        self._settings = settings
        self._dtype = precision(settings, tolerates_bfloat16=TOLERATES_BFLOAT16)
        self._starts = [start for start, _ in prompts]
        tokens = tokenize([text for _, text in prompts]).to(settings.device)
        self._texts = torch.cat(self._in_parts(self._network.encode_text, tokens))
        self._leads: list[float] = []
        self._num_frames = 0

    def __call__(self, frames: Sequence[Frame]) -> list[float]:
        """Cosines of the next frames with the prompts that hold."""
        values: list[float] = []
        for part in self._in_parts(self._compare, pixels_of(frames, self._settings.device)):
            for row in part.tolist():
                holding = sum(start <= self._num_frames for start in self._starts) - 1
                self._num_frames += 1
                values.append(row[holding])
                self._leads.append(row[holding] - row[holding - 1] if holding else 0.0)
        return values

    def leads(self) -> list[float]:
        """Cosine with the prompt that holds less that with the one before it, of each frame.

        It is 0 under the first prompt. Empty if there is only one.
        """
        return self._leads if len(self._starts) > 1 else []

    def _compare(self, pictures: Tensor) -> Tensor:
        return cosines(self._network.encode_image(prepare(pictures)), self._texts)

    def _in_parts(self, run: Any, batch: Tensor) -> list[Tensor]:
        return in_parts(run, batch, self._settings, self._dtype)


new_metric = ClipText


@cache
def network(variant: str, settings: MetricSettings) -> tuple[Any, Any]:
    """Both towers of open_clip's CLIP, and what makes tokens of texts."""
    open_clip = _open_clip()
    (weights,) = METRICS["clip_text"].variant(variant).weights
    model = load_network(
        lambda: open_clip.CLIP(**open_clip.get_model_config(MODELS[variant])),
        partial(read_openai, weights, settings.weights_dir),
        settings,
        "clip_text",
    )
    return model, open_clip.get_tokenizer(MODELS[variant])


def num_cut(prompts: Sequence[str], variant: str) -> int:
    """Number of prompts that are longer than what CLIP reads, and so count by their beginning."""
    tokenizer = _open_clip().get_tokenizer(MODELS[variant])
    # Two of the tokens that it reads mark the start and the end.
    longest = tokenizer.context_length - 2
    return sum(len(tokenizer.encode(prompt)) > longest for prompt in prompts)


def _open_clip() -> Any:
    try:
        import open_clip  # noqa: PLC0415  (takes seconds)
    except ImportError:
        raise UsageError(
            "clip_text needs the package open_clip_torch, which is not installed; "
            "pip install open_clip_torch, or leave clip_text out"
        ) from None
    return open_clip
