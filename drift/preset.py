"""The score preset: which metrics count, on what scale and with what weight, as data with a hash.

The paper gives neither normalisers nor weights, so they are explicit here and every result carries
the preset's name and sha256; scores of different hashes are never compared.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class PresetTerm:
    """One metric's part of the score.

    Args:
        metric: Name of the metric.
        family: `quality`, `coherence` or `low-level`.
        scale: Total change over a video that counts as drift 1, in the unit of the slopes.
        weight: Share of the score; the weights of a preset sum to 1.
    """

    metric: str
    family: str
    scale: float
    weight: float

    def __post_init__(self) -> None:
        """Rejects a scale or weight that would make a score meaningless."""
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"scale of {self.metric} is {self.scale}; it must be positive")
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise ValueError(f"weight of {self.metric} is {self.weight}; it must not be negative")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A named set of terms, in the order in which metrics are listed everywhere."""

    name: str
    terms: tuple[PresetTerm, ...]

    def __post_init__(self) -> None:
        """Rejects a metric that stands twice and weights that do not sum to 1."""
        if len(set(self.metrics)) != len(self.terms):
            raise ValueError(f"preset {self.name} names a metric twice: {self.metrics}")
        if not math.isclose(sum(term.weight for term in self.terms), 1.0, rel_tol=1e-9):
            raise ValueError(f"the weights of preset {self.name} do not sum to 1")

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, in order."""
        return tuple(term.metric for term in self.terms)

    @property
    def sha256(self) -> str:
        """Hash of the preset's content (canonical JSON), 64 hex digits."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def term(self, metric: str) -> PresetTerm:
        """Returns the term of one metric.

        Raises:
            KeyError: the preset has no such metric.
        """
        return {term.metric: term for term in self.terms}[metric]

    def missing(self, metrics: tuple[str, ...]) -> tuple[str, ...]:
        """Names the preset's metrics that are not among `metrics`, in order."""
        return tuple(name for name in self.metrics if name not in metrics)

    def weights(self, metrics: tuple[str, ...]) -> dict[str, float]:
        """Weights of `metrics`, rescaled to sum to 1 over those present.

        Raises:
            ValueError: the weights of `metrics` sum to zero.
        """
        raw = {name: self.term(name).weight for name in metrics}
        total = sum(raw.values())
        if total <= 0:
            raise ValueError(f"metrics {metrics} have no weight in preset {self.name}")
        return {name: weight / total for name, weight in raw.items()}


def preset_v1() -> Preset:
    """The fixed scales of preset v1: 1/6 a metric, so 1/3 a family.

    Source: ours; the paper (arXiv 2603.08703, Table 1) names the families and gives no constants.
    """
    rows = (
        ("musiq", "quality", 25.0),  # points of 100
        ("clip_iqa", "quality", 0.25),  # of 1
        ("dino_coherence", "coherence", 0.05),  # cosine
        ("lpips", "coherence", 0.10),
        ("saturation", "low-level", 0.15),  # S in 0..1
        ("sharpness", "low-level", math.log(2)),  # a factor 2 in Laplacian variance
    )
    return Preset(
        name="v1",
        terms=tuple(
            PresetTerm(metric=metric, family=family, scale=scale, weight=1 / 6)
            for metric, family, scale in rows
        ),
    )
