"""VBench's final score as a pure function: normalise, weight, Quality, Semantic, Total."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from eval.protocol.dimensions import DIMENSIONS, GROUP_WEIGHTS, Dimension, Group


@dataclass(frozen=True, kw_only=True)
class DimensionScore:
    """One dimension's raw and normalised value; the latter is neither clipped nor weighted."""

    raw: float
    normalised: float


@dataclass(frozen=True, kw_only=True)
class VBenchScore:
    """The three headline scores and the values they are computed from.

    Attributes:
        quality: Weighted mean over the seven quality dimensions; None if one is missing.
        semantic: Mean over the nine semantic dimensions; None if one is missing.
        total: (4 quality + 1 semantic) / 5; None if either is None.
        dimensions: Values of the measured dimensions, by name, in the table's order.
        missing: Names of the dimensions without a value, in the table's order.
    """

    quality: float | None
    semantic: float | None
    total: float | None
    dimensions: Mapping[str, DimensionScore]
    missing: tuple[str, ...]


def score_dimensions(raw: Mapping[str, float]) -> VBenchScore:
    """Computes Quality, Semantic and Total from raw dimension values.

    Upstream's script counts a missing dimension as raw 0; here its group score and the total
    are None.

    Args:
        raw: Upstream's aggregates by name of the dimension; each is finite.

    Returns:
        The score.

    Raises:
        KeyError: A name is not one of the 16 dimensions.
        ValueError: A value is not finite.

    Source:
        Vchitect/VBench 45e79ec scripts/cal_final_score.py.
    """
    unknown = sorted(set(raw) - {dimension.name for dimension in DIMENSIONS})
    if unknown:
        raise KeyError(f"not a VBench dimension: {', '.join(unknown)}")
    not_finite = sorted(name for name, value in raw.items() if not math.isfinite(value))
    if not_finite:
        raise ValueError(f"not a finite number: {', '.join(not_finite)}")
    dimensions = {
        dimension.name: DimensionScore(
            raw=raw[dimension.name], normalised=dimension.normalise(raw[dimension.name])
        )
        for dimension in DIMENSIONS
        if dimension.name in raw
    }
    quality = _score_group("quality", dimensions)
    semantic = _score_group("semantic", dimensions)
    return VBenchScore(
        quality=quality,
        semantic=semantic,
        total=_combine(quality, semantic),
        dimensions=dimensions,
        missing=tuple(d.name for d in DIMENSIONS if d.name not in dimensions),
    )


def _score_group(group: Group, scores: Mapping[str, DimensionScore]) -> float | None:
    members: list[Dimension] = [d for d in DIMENSIONS if d.group == group]
    if any(member.name not in scores for member in members):
        return None
    weighted = math.fsum(member.weight * scores[member.name].normalised for member in members)
    return weighted / math.fsum(member.weight for member in members)


def _combine(quality: float | None, semantic: float | None) -> float | None:
    if quality is None or semantic is None:
        return None
    weights = GROUP_WEIGHTS["quality"], GROUP_WEIGHTS["semantic"]
    return (weights[0] * quality + weights[1] * semantic) / sum(weights)
