"""LPIPS: perceptual distance of consecutive frames. It falls when a video freezes."""

from collections.abc import Mapping, Sequence
from functools import cache, partial

import torch
from torch import Tensor, nn

from drift.metrics.networks.alexnet import CHANNELS, AlexNetTrunk
from drift.metrics.networks.loading import load_network, precision
from drift.metrics.networks.parts import in_parts
from drift.metrics.networks.reading import read_weights
from drift.metrics.networks.settings import MetricSettings
from drift.metrics.networks.winograd import use_winograd
from drift.metrics.registry import METRICS, Metric
from drift.video.batch import Frame, pixels_of

TOLERATES_BFLOAT16 = False  # docs/metrics.md
EPSILON = 1e-10  # keeps the length of a feature of zeros above 0 (lpips 0.1.4)


class Lpips(AlexNetTrunk):
    """AlexNet's trunk and a weight for each of its channels, `lin0.model.1.weight` to `lin4...`."""

    def __init__(self) -> None:
        super().__init__()
        for index, channels in enumerate(CHANNELS):
            # The published heads are 1x1 convolutions behind a dropout, hence model.1.
            head = nn.ModuleDict({"1": nn.Conv2d(channels, 1, 1, bias=False)})
            for weight in head.parameters():
                weight.data.abs_()  # published weights are not negative either
            self.add_module(f"lin{index}", nn.ModuleDict({"model": head}))

    @property
    def heads(self) -> list[Tensor]:
        """The weights of each layer's channels, (C,) each."""
        named = dict(self.named_parameters())
        return [named[f"lin{i}.model.1.weight"].flatten() for i in range(len(CHANNELS))]


def unit_features(features: Sequence[Tensor]) -> list[Tensor]:
    """Scales the feature vector of each place to length 1, as float32 (B, C, H, W).

    float32 input is overwritten: at 1920 x 1080 the features of a frame are 90 MB, so a copy would
    cost much.
    """
    whole = [x.float() for x in features]
    return [x.div_(torch.linalg.vector_norm(x, dim=1, keepdim=True) + EPSILON) for x in whole]


def lpips(left: Sequence[Tensor], right: Sequence[Tensor], heads: Sequence[Tensor]) -> Tensor:
    """Distance of pictures: squared feature differences, weighted, averaged over places, summed.

    Args:
        left, right: Unit features (B, C, H, W), one tensor a layer.
        heads: (C,) weights of each layer.

    Returns:
        (B,).
    """
    layers = [
        torch.einsum("bchw,c->b", (a - b).square(), head) / (a.shape[-2] * a.shape[-1])
        for a, b, head in zip(left, right, heads, strict=True)
    ]
    return torch.stack(layers).sum(dim=0)


def new_metric(settings: MetricSettings, variant: str) -> Metric:
    """Returns a metric for one video that gives a value a pair of frames i and i + 1.

    The features of a frame are made once and serve both of its pairs.

    Args:
        settings: Device, precision, weights.
        variant: `alex`.
    """
    network = _network(variant, settings)
    heads = network.heads
    dtype = precision(settings, tolerates_bfloat16=TOLERATES_BFLOAT16)
    last: list[Tensor] = []

    def update(frames: Sequence[Frame]) -> list[float]:
        pictures = pixels_of(frames, settings.device)
        parts = in_parts(lambda part: unit_features(network(part)), pictures, settings, dtype)
        distances: list[float] = []
        with torch.inference_mode():
            for new in parts:
                if last:
                    distances += lpips(last, [x[:1] for x in new], heads).tolist()
                if len(new[0]) > 1:
                    pairs = lpips([x[:-1] for x in new], [x[1:] for x in new], heads)
                    distances += pairs.tolist()
                last[:] = [x[-1:].clone() for x in new]
        return distances

    return update


@cache
def _network(variant: str, settings: MetricSettings) -> Lpips:
    names = METRICS["lpips"].variant(variant).weights
    read = partial(_read, names, settings)
    network = load_network(Lpips, read, settings, "lpips").to(memory_format=torch.channels_last)
    use_winograd(network, settings, precision(settings, tolerates_bfloat16=TOLERATES_BFLOAT16))
    return network


def _read(names: tuple[str, ...], settings: MetricSettings) -> Mapping[str, Tensor]:
    """Reads trunk and heads, without the classifier of torchvision's AlexNet."""
    both: dict[str, Tensor] = {}
    for name in names:
        both |= read_weights(name, settings.weights_dir)
    return {name: value for name, value in both.items() if not name.startswith("classifier.")}
