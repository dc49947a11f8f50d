"""eval.scores.score against values from upstream's scripts/cal_final_score.py (VBench 45e79ec)."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.protocol.dimensions import DIMENSIONS
from eval.scores.score import score_dimensions

NAMES = tuple(dimension.name for dimension in DIMENSIONS)
QUALITY = tuple(d.name for d in DIMENSIONS if d.group == "quality")

# (raw value of all 16 dimensions, Quality, Semantic, Total) of upstream's script, except Quality at
# 0.5: it is derived. Every score is affine in the raw value, so Quality(0.5) is the mean of
# Quality(0) and Quality(1): (-0.7145977172038273 + 1.0013194352816994) / 2 = 0.143360859038936;
# upstream's own Total and Semantic at 0.5 give the same, (5 T - S) / 4 = 0.143360859038936.
UPSTREAM = [
    (0.5, 0.143360859038936, 0.8454518533083267, 0.2837790578928142),
    (1.0, 1.0013194352816994, 1.6912550769609966, 1.1393065636175588),
    (0.0, -0.7145977172038273, -0.00035137034434293746, -0.5717484478319304),
]
TOLERANCE = 1e-12  # the same float64 formula; only the order of the sum may differ


@pytest.mark.parametrize(("value", "quality", "semantic", "total"), UPSTREAM)
def test_equals_upstream(value: float, quality: float, semantic: float, total: float) -> None:
    score = score_dimensions(dict.fromkeys(NAMES, value))
    assert score.quality == pytest.approx(quality, abs=TOLERANCE, rel=0)
    assert score.semantic == pytest.approx(semantic, abs=TOLERANCE, rel=0)
    assert score.total == pytest.approx(total, abs=TOLERANCE, rel=0)
    assert score.missing == ()


def test_published_quality_values_give_the_published_quality() -> None:
    # MemFlow's seven quality values (its issue 7) through upstream's script.
    raw = {
        "subject_consistency": 0.9672831586313744,
        "background_consistency": 0.962255859375,
        "temporal_flickering": 0.989440996222371,
        "motion_smoothness": 0.9844899026780265,
        "dynamic_degree": 0.6222222222222222,
        "aesthetic_quality": 0.6345151881376903,
        "imaging_quality": 0.7047906258108452,
    }
    score = score_dimensions(raw)
    assert score.quality == pytest.approx(0.844288173229995, abs=TOLERANCE, rel=0)
    assert score.semantic is None
    assert score.total is None
    assert len(score.missing) == 9


def test_table_has_seven_quality_and_nine_semantic_dimensions() -> None:
    assert len(NAMES) == len(set(NAMES)) == 16
    assert len(QUALITY) == 7
    assert sum(d.weight for d in DIMENSIONS if d.group == "quality") == 6.5


@pytest.mark.parametrize("dimension", DIMENSIONS, ids=lambda d: d.name)
def test_bounds_normalise_to_0_and_1(dimension) -> None:
    assert dimension.normalise(dimension.low) == 0.0
    assert dimension.normalise(dimension.high) == 1.0


@pytest.mark.parametrize("gone", NAMES)
def test_missing_dimension_empties_its_group_and_the_total(gone: str) -> None:
    score = score_dimensions({name: 0.5 for name in NAMES if name != gone})
    assert score.missing == (gone,)
    assert (score.quality is None) == (gone in QUALITY)
    assert (score.semantic is None) == (gone not in QUALITY)
    assert score.total is None


def test_order_of_the_input_does_not_matter() -> None:
    raw = {name: 1.0 / (i + 2) for i, name in enumerate(NAMES)}
    assert score_dimensions(raw) == score_dimensions(dict(reversed(raw.items())))


@given(st.lists(st.floats(-1.0, 1.0), min_size=16, max_size=16))
def test_total_is_affine_in_each_dimension(values: list[float]) -> None:
    # Effective share of one dimension in Total: 0.8 w / 6.5 or 0.2 / 9, over (high - low).
    raw = dict(zip(NAMES, values, strict=True))
    base = score_dimensions(raw).total
    assert base is not None
    for d in DIMENSIONS:
        share = 0.8 * d.weight / 6.5 if d.group == "quality" else 0.2 / 9
        moved = score_dimensions(raw | {d.name: raw[d.name] + 0.25}).total
        assert moved is not None
        expected = base + share * 0.25 / (d.high - d.low)
        assert math.isclose(moved, expected, abs_tol=1e-9)


def test_unknown_name_and_nan_are_errors() -> None:
    with pytest.raises(KeyError, match="colour"):
        score_dimensions({"colour": 0.5})
    with pytest.raises(ValueError, match="scene"):
        score_dimensions({"scene": float("nan")})
