"""CLIP-IQA: how much closer a frame is to a text of praise than to one of blame."""

from collections.abc import Sequence
from functools import cache, partial

import torch
from torch import Tensor, nn

from drift.metrics.networks.clip import Clip, PictureTower, fold_norms
from drift.metrics.networks.loading import load_network, precision
from drift.metrics.networks.parts import in_parts
from drift.metrics.networks.reading import read_openai
from drift.metrics.networks.rounded import round_weights
from drift.metrics.networks.settings import MetricSettings
from drift.metrics.networks.winograd import use_winograd
from drift.metrics.registry import METRICS, Metric
from drift.video.batch import Frame, pixels_of

TOLERATES_BFLOAT16 = True  # docs/metrics.md

# Token numbers of a good and of a bad text, without CLIP's start and end marks.
Pair = tuple[tuple[int, ...], tuple[int, ...]]
START, END = 49406, 49407
PROMPTS: dict[str, dict[tuple[str, str], Pair]] = {
    "five-pairs": {
        ("Good image", "bad image"): ((886, 2867), (2103, 2867)),
        ("Sharp image", "blurry image"): ((8157, 2867), (21977, 2867)),
        ("sharp edges", "blurry edges"): ((8157, 20938), (21977, 20938)),
        ("High resolution image", "low resolution image"): (
            (1400, 9977, 2867),
            (1042, 9977, 2867),
        ),
        ("Noise-free image", "noisy image"): ((9307, 268, 1139, 2867), (33495, 2867)),
    },
    "paper-pair": {
        ("Good photo.", "Bad photo."): ((886, 1125, 269), (2103, 1125, 269)),
    },
}
"""Source: pyiqa 0.1.16 `clipiqa`; Wang et al. 2022, section 3.1."""


def clip_iqa(features: Tensor, text_features: Tensor, scale: Tensor) -> Tensor:
    """Mean over prompt pairs of the softmax share of the good text.

    Args:
        features: (B, D) features of the pictures; their length does not matter.
        text_features: (P, 2, D) features of P pairs, good text first; as above.
        scale: Factor on cosines before the softmax.

    Returns:
        (B,) in [0, 1].
    """
    pictures, texts = (nn.functional.normalize(x, dim=-1) for x in (features, text_features))
    logits = scale * torch.einsum("bd,pkd->bpk", pictures, texts)
    return logits.softmax(dim=-1)[..., 0].mean(dim=-1)


def new_metric(settings: MetricSettings, variant: str) -> Metric:
    """Returns a metric for one video that gives one value a frame.

    Args:
        settings: Device, precision, weights.
        variant: `five-pairs`, or `paper-pair`.
    """
    tower, text_features, scale = _networks(variant, settings)
    dtype = precision(settings, tolerates_bfloat16=TOLERATES_BFLOAT16)

    def update(frames: Sequence[Frame]) -> list[float]:
        parts = in_parts(tower, pixels_of(frames, settings.device), settings, dtype)
        with torch.inference_mode():
            shares = [clip_iqa(part.float(), text_features, scale) for part in parts]
            scores: list[float] = torch.cat(shares).double().tolist()
        return scores

    return update


@cache
def _networks(variant: str, settings: MetricSettings) -> tuple[PictureTower, Tensor, Tensor]:
    """The picture tower, the text features (P, 2, D) and the scale of cosines."""
    weights = METRICS["clip_iqa"].variant(variant).weights[0]
    read = partial(read_openai, weights, settings.weights_dir)
    network = load_network(Clip, read, settings, "clip_iqa")
    texts = [(START, *text, END) for pair in PROMPTS[variant].values() for text in pair]
    with torch.inference_mode():
        text_features = network.encode_texts(texts).unflatten(0, (-1, 2))
    tower = fold_norms(network.visual).to(memory_format=torch.channels_last)
    dtype = precision(settings, tolerates_bfloat16=TOLERATES_BFLOAT16)
    round_weights(tower, dtype)
    use_winograd(tower, settings, dtype)
    return tower, text_features, network.logit_scale.exp()
