"""What a metric is, and the built-in ones as data. Listing them imports no decoder and no torch.

To add one: write `drift/metrics/<name>.py` with a function of that name, which maps a frame to its
value, or with `new_metric`, which returns what maps the next frames of a video to values; add its
line here and its term in a preset, and a test of the same name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from drift.metrics.networks.settings import MetricSettings
from drift.metrics.preset import BESIDE_THE_SCORE, preset_v1

Metric: TypeAlias = Callable[[Sequence[Any]], list[float]]
"""A metric at work on one video: maps its next frames to the values that they complete.

A frame is uint8 (H, W, 3) RGB.
"""


@runtime_checkable
class Curved(Protocol):
    """A metric that also compares frames that lie far apart."""

    def curve(self) -> list[float]:
        """Means over all pairs of the frames so far that lie 1, 2, ... frames apart."""


@runtime_checkable
class Prompted(Protocol):
    """A metric that compares frames with the prompts of their video."""

    def leads(self) -> list[float]:
        """How far each frame so far is nearer to its prompt than to the one before that.

        Empty for a video with one prompt.
        """


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to run a learned metric.

    Args:
        name: Name on the command line.
        weights: Names in `drift.metrics.weights.local` of the files that it loads.
        about: Description in a few words.
    """

    name: str
    weights: tuple[str, ...]
    about: str


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """What a reader needs to know about a metric.

    Args:
        name: Name in files and on the command line; `drift.metrics.<name>` holds the code.
        version: Version that goes up whenever a per-frame value changes; old records are then
            measured again.
        unit: Unit and range of the per-frame values in `frames.parquet`.
        slope_unit: Unit of segment values, slopes and scales.
        better: `higher`, `lower`, or `steady` where a change either way is drift.
        log_floor: None if slopes are taken on the values. Else they are taken on
            `ln(max(value, log_floor))`, so that a value of 0 stays finite.
        labels: Words for a rising and for a falling slope.
        source: Origin of the definition.
        variants: Ways to run a learned metric, the default first; empty for a metric without a
            network. Values of two variants are never mixed or compared.
        sampled: Whether `--every k` restricts the metric to frames 0, k, 2k, ...
        needs_prompt: Whether its values depend on the prompts of a video, which it cannot do
            without.
        min_side_px: Smallest height and width of a frame that the metric can measure.
    """

    name: str
    version: int
    unit: str
    slope_unit: str
    better: Literal["higher", "lower", "steady"]
    log_floor: float | None
    labels: tuple[str, str]
    source: str
    variants: tuple[Variant, ...] = ()
    sampled: bool = False
    needs_prompt: bool = False
    min_side_px: int = 1

    @property
    def learned(self) -> bool:
        """Whether the metric runs a network, and so needs torch and weights."""
        return bool(self.variants)

    def variant(self, name: str | None = None) -> Variant:
        """The variant of that name; for None the first.

        Raises:
            ValueError: the metric has no such variant.
        """
        for variant in self.variants:
            if name in (None, variant.name):
                return variant
        choices = ", ".join(variant.name for variant in self.variants) or "there are none"
        raise ValueError(f"{self.name} has no variant {name!r}; choose from: {choices}")

    def new_metric(
        self,
        settings: MetricSettings | None = None,
        variant: str | None = None,
        prompts: Sequence[tuple[int, str]] = (),
    ) -> Metric:
        """Imports the metric's module and starts the metric on one video.

        Args:
            settings: Device, precision and weights of a learned metric.
            variant: Name of a variant; None means the first.
            prompts: First frame, counted among those that are measured, and text of each prompt;
                for a metric that needs prompts.
        """
        module = import_module(f"drift.metrics.{self.name}")
        if not hasattr(module, "new_metric"):  # a function of one frame
            of_frame = getattr(module, self.name)
            return lambda frames: [of_frame(frame) for frame in frames]
        arguments: list[Any] = []
        if self.learned:
            arguments = [settings or MetricSettings(), self.variant(variant).name]
        if self.needs_prompt:
            arguments.append(prompts)
        metric: Metric = module.new_metric(*arguments)
        return metric

    def label(self, slope: float) -> str:
        """Names the direction of a slope; exactly 0 is `steady`."""
        if slope == 0:
            return "steady"
        return self.labels[0] if slope > 0 else self.labels[1]


STILL_LEVELS = 0.1
"""Difference in levels below which two consecutive frames are one picture. Ours: H.264 at quality
12 to 35 (x264, medium) leaves up to 0.014 between copies of one frame, its fastest presets up to
0.1 but for one pair in ten; the calmest pair of four real videos has 0.45."""

METRICS: dict[str, MetricSpec] = {
    spec.name: spec
    for spec in (
        MetricSpec(
            name="musiq",
            version=2,
            unit="MUSIQ score, about 0..100",
            slope_unit="points",
            better="higher",
            log_floor=None,
            labels=("improving", "degrading"),
            source="MUSIQ, Ke et al. 2021 (arXiv 2108.05997); checkpoints as in pyiqa 0.1.16",
            variants=(
                Variant(
                    name="koniq",
                    weights=("musiq-koniq",),
                    about="KonIQ-10k weights at the frame's own size, pyiqa's default",
                ),
                Variant(
                    name="spaq",
                    weights=("musiq-spaq",),
                    about="SPAQ weights, longer side at most 512: VBench's imaging quality x 100",
                ),
            ),
            sampled=True,
        ),
        MetricSpec(
            name="clip_iqa",
            version=2,
            unit="CLIP-IQA score, 0..1",
            slope_unit="score",
            better="higher",
            log_floor=None,
            labels=("improving", "degrading"),
            source="CLIP-IQA, Wang et al. 2022 (arXiv 2207.12396); CLIP RN50 of OpenAI",
            min_side_px=32,
            variants=(
                Variant(
                    name="five-pairs",
                    weights=("clip-rn50",),
                    about="mean over five prompt pairs, pyiqa's `clipiqa`",
                ),
                Variant(
                    name="paper-pair",
                    weights=("clip-rn50",),
                    about="the paper's pair, 'Good photo.' against 'Bad photo.'",
                ),
            ),
            sampled=True,
        ),
        MetricSpec(
            name="dino_coherence",
            version=2,
            unit="cosine of consecutive frames, -1..1",
            slope_unit="cosine",
            better="higher",
            log_floor=None,
            labels=("freezing", "flickering"),
            source="DINOv2, Oquab et al. 2023 (arXiv 2304.07193), class token",
            variants=(
                Variant(name="vit-b", weights=("dinov2-base",), about="ViT-B/14 at 224 x 224"),
                Variant(name="vit-s", weights=("dinov2-small",), about="ViT-S/14 at 224 x 224"),
            ),
        ),
        MetricSpec(
            name="lpips",
            version=2,
            unit="LPIPS distance of consecutive frames, >= 0",
            slope_unit="distance",
            better="lower",
            log_floor=None,
            labels=("flickering", "freezing"),
            source="LPIPS 0.1, Zhang et al. 2018 (arXiv 1801.03924), AlexNet",
            min_side_px=32,
            variants=(
                Variant(
                    name="alex",
                    weights=("alexnet", "lpips-alex"),
                    about="AlexNet trunk, linear heads of version 0.1",
                ),
            ),
        ),
        MetricSpec(
            name="saturation",
            version=1,
            unit="mean HSV S, 0..1",
            slope_unit="S",
            better="steady",
            log_floor=None,
            labels=("saturating", "fading"),
            source="HSV hexcone model (Smith 1978), 8-bit as OpenCV computes it",
        ),
        MetricSpec(
            name="sharpness",
            version=1,
            unit="variance of the Laplacian, grey levels 0..255 squared",
            slope_unit="ln variance",
            better="steady",
            # Rounding to 8 bits alone gives about 20/12 (kernel energy 20, variance 1/12), so
            # nothing below 1 is detail; the floor also bounds what one black frame can do.
            log_floor=1.0,
            labels=("sharpening", "blurring"),
            source="Pech-Pacheco et al. 2000, 4-neighbour kernel",
        ),
        MetricSpec(
            name="brightness",
            version=1,
            unit="mean luminance, 0..1",
            slope_unit="luminance",
            better="steady",
            log_floor=None,
            labels=("brightening", "darkening"),
            source="luma of ITU-R BT.601",
        ),
        MetricSpec(
            name="contrast",
            version=1,
            unit="standard deviation of luminance, 0..0.5",
            slope_unit="luminance",
            better="steady",
            log_floor=None,
            labels=("gaining contrast", "losing contrast"),
            source="root mean square contrast (Peli 1990)",
        ),
        MetricSpec(
            name="clipped",
            version=1,
            unit="share of pixels with a channel at 0 or 255, 0..1",
            slope_unit="share",
            better="steady",
            log_floor=None,
            labels=("clipping more", "clipping less"),
            source="ours",
        ),
        MetricSpec(
            name="difference",
            version=1,
            unit="mean absolute difference of consecutive frames, levels 0..255",
            slope_unit="ln levels",
            better="steady",
            log_floor=STILL_LEVELS,
            labels=("moving more", "moving less"),
            source="ours",
        ),
        MetricSpec(
            name="clip_text",
            version=1,
            unit="cosine of a frame and the prompt that holds, -1..1",
            slope_unit="cosine",
            better="higher",
            log_floor=None,
            labels=("nearing its prompt", "leaving its prompt"),
            source="CLIPScore without its factor 2.5, Hessel et al. 2021 (arXiv 2104.08718)",
            variants=(
                Variant(
                    name="vit-b-32",
                    weights=("clip-vit-b-32",),
                    about="CLIP ViT-B/32 of OpenAI; shorter side 224, bicubic, square in the "
                    "middle; features of length 1; the first 77 tokens of a prompt",
                ),
            ),
            sampled=True,
            needs_prompt=True,
        ),
    )
}

FAST: tuple[str, ...] = ("saturation", "sharpness")
"""Metrics that need neither weights nor torch."""

OUTSIDE: tuple[str, ...] = tuple(term.metric for term in BESIDE_THE_SCORE)
"""Metrics that are reported beside the score."""

BESIDE: tuple[str, ...] = tuple(name for name in OUTSIDE if not METRICS[name].learned)
"""Those of them that need neither weights nor torch."""

EXPOSURE: tuple[str, ...] = tuple(t.metric for t in BESIDE_THE_SCORE if t.family == "exposure")
"""The metrics of light among them."""

GROUPS: dict[str, tuple[str, ...]] = {
    "fast": FAST,
    "exposure": EXPOSURE,
    "beside": BESIDE,
    "all": preset_v1().metrics,
}
"""`all` always means every metric of the default preset, even if one were not in `METRICS`."""


def resolve_metrics(names: Sequence[str]) -> tuple[str, ...]:
    """Expands groups and puts metrics in preset order, each once.

    Args:
        names: Metric and group names.

    Returns:
        Names of built-in metrics.

    Raises:
        ValueError: a name is unknown, or there is none.
    """
    wanted = {metric for name in names for metric in GROUPS.get(name, (name,))}
    known = (*preset_v1().metrics, *OUTSIDE)
    for name in names:
        if name in METRICS and name not in known:
            raise ValueError(f"metric {name!r} has no scale yet; add it to drift/metrics/preset.py")
        if name not in known and name not in GROUPS:
            choices = ", ".join((*known, *GROUPS))
            raise ValueError(f"metric {name!r} is unknown; choose from {choices}")
    if not wanted:
        raise ValueError(f"no metric given; choose from {', '.join(METRICS)}")
    return tuple(name for name in known if name in wanted)
