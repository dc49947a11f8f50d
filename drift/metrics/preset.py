"""The preset of a score: which metrics count, on what scale and with what weight; it has a hash.

The paper gives neither normalisers nor weights, so they are explicit here and every result carries
the preset's name and sha256; scores of different hashes are never compared.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from drift.errors import UsageError
from drift.typed_data import checked

PRESET_SCHEMA = "drift-preset/1"
ABOUT = ("schema", "sha256", "origin")
"""Keys of a preset file that say what it is and where it is from, beside the preset itself."""


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


BESIDE_THE_SCORE = tuple(
    PresetTerm(metric=metric, family=family, scale=scale, weight=0.0)
    for metric, family, scale in (
        ("brightness", "exposure", 0.10),
        ("contrast", "exposure", 0.05),
        ("clipped", "exposure", 0.10),
        ("difference", "motion", math.log(2)),
        ("clip_text", "prompt", 0.05),
    )
)
"""Metrics that are reported beside every score and count in none, unless a preset names them. Their
scales are ours: a tenth of the range; of contrast a tenth of its largest value, 0.5; of difference
a factor 2, as for sharpness; of clip_text a cosine of 0.05, as for dino_coherence."""


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
        """Returns the term of one metric: the preset's own, else one without weight.

        Raises:
            KeyError: the preset has no such metric, and it is none of `BESIDE_THE_SCORE`.
        """
        return {term.metric: term for term in (*BESIDE_THE_SCORE, *self.terms)}[metric]

    def check_covers(self, metrics: tuple[str, ...]) -> None:
        """Refuses metrics that the preset cannot score.

        Raises:
            UsageError: a metric without a term, or no weight on any of them.
        """
        known = {*self.metrics, *(term.metric for term in BESIDE_THE_SCORE)}
        absent = [name for name in metrics if name not in known]
        if absent:
            raise UsageError(
                f"preset {self.name} has no scale for {', '.join(absent)}; score with --metrics "
                f"{','.join(self.metrics)}, or calibrate a preset on runs that have them"
            )
        if metrics and not any(self.term(name).weight for name in metrics):
            raise UsageError(
                f"preset {self.name} gives no weight to {', '.join(metrics)}; measure "
                f"{', '.join(term.metric for term in self.terms if term.weight)} too"
            )

    def missing(self, metrics: tuple[str, ...]) -> tuple[str, ...]:
        """Metrics of the preset that have a weight and are not among `metrics`, in order."""
        return tuple(t.metric for t in self.terms if t.weight and t.metric not in metrics)

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


def preset_from_data(data: Mapping[str, Any]) -> Preset:
    """Builds a preset from the data of `dataclasses.asdict`.

    Raises:
        UsageError: a field is missing or unknown, or a scale or weight is impossible.
    """
    return checked(Preset, {key: data[key] for key in data if key not in ABOUT})


def dump_preset(preset: Preset, origin: Mapping[str, Any]) -> dict[str, Any]:
    """Content of a preset file: the preset, its hash and how it was made.

    Args:
        preset: Preset to write.
        origin: How it was made; not part of the hash.

    Returns:
        Data for JSON.
    """
    return {"schema": PRESET_SCHEMA, **asdict(preset), "sha256": preset.sha256, "origin": origin}


def load_preset(name_or_path: str | Path) -> Preset:
    """Reads a preset file, as `drift calibrate` writes it.

    Args:
        name_or_path: `v1`, or JSON with `schema`, `name`, `terms` and, unless it was written by
            hand, `sha256`.

    Returns:
        The preset.

    Raises:
        UsageError: there is no such file, it holds no preset, or its hash does not match.
    """
    if str(name_or_path) == "v1":
        return preset_v1()
    path = Path(name_or_path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict) or data.get("schema") != PRESET_SCHEMA:
            raise ValueError(f"its schema is not {PRESET_SCHEMA!r}")
        preset = preset_from_data(data)
    except FileNotFoundError:
        raise UsageError(
            f"{path}: no such file; give v1 or a file that `drift calibrate` wrote"
        ) from None
    except (ValueError, OSError) as error:
        raise UsageError(f"{path} is no preset ({error}); `drift calibrate` writes one") from None
    if "sha256" in data and data["sha256"] != preset.sha256:
        raise UsageError(
            f"{path} was changed after it was written: its sha256 does not match; remove its "
            "sha256 line to keep the change"
        )
    return preset
