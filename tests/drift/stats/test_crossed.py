"""Intervals over trainings and prompts together."""

import numpy as np
import pytest

from drift.stats.bootstrap import bootstrap_ci, bootstrap_means, change_interval
from drift.stats.crossed import crossed_change_interval, crossed_interval


def test_equal_factors_leave_an_interval_of_no_width() -> None:
    table = np.outer([1.0, 2.0, 3.0], [0.5, 1.0, 4.0, 2.0])
    assert crossed_change_interval(0.7 * table, table) == pytest.approx((-0.3, -0.3))


def test_without_spread_between_trainings_it_is_the_bootstrap_over_prompts() -> None:
    rng = np.random.default_rng(5)
    prompts = rng.uniform(0.5, 1.5, size=(2, 24))
    ours, theirs = (np.tile(row, (4, 1)) for row in prompts)
    found = crossed_change_interval(ours, theirs)
    names = [str(index) for index in range(24)]
    one_training = change_interval(bootstrap_means(prompts[::-1].T, names))
    assert found == pytest.approx(one_training, abs=0.01)


def test_a_mean_s_interval_is_over_both() -> None:
    rng = np.random.default_rng(6)
    prompts, names = rng.uniform(0.5, 1.5, size=24), [str(index) for index in range(24)]
    assert crossed_interval(np.tile(prompts, (4, 1))) == pytest.approx(
        tuple(bootstrap_ci(prompts, names)), abs=0.01
    )
    low, high = crossed_interval(np.outer([0.5, 1.0, 1.5], np.ones(24)))
    assert (low, high) == (0.5, 1.5)  # three trainings alike are drawn once in nine times
    with pytest.raises(ValueError, match="2 by 2"):
        crossed_interval(prompts[None])


def test_the_nominal_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """No change between two rows whose trainings and prompts differ by chance."""
    rng = np.random.default_rng(11)
    held = 0
    for _ in range(60):
        common = rng.normal(0, 0.3, size=16)
        rows = [
            np.exp(
                common + rng.normal(0, 0.2, size=16) + rng.normal(0, 0.15, size=(6, 1))
                + rng.normal(0, 0.4, size=(6, 16))
            )
            for _ in range(2)
        ]  # fmt: skip
        interval = crossed_change_interval(*rows)
        assert interval is not None
        held += interval[0] <= 0 <= interval[1]
    assert held >= 53  # 60 x 0.95 = 57; binomially below 53 once in 100


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (np.ones((2, 3)), np.ones((3, 2))),
        (np.ones((1, 3)), np.ones((1, 3))),
        (np.full((2, 2), np.nan), np.ones((2, 2))),
    ],
)
def test_tables_that_allow_no_interval_are_refused(ours: np.ndarray, theirs: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"equal tables|finite"):
        crossed_change_interval(ours, theirs)


def test_a_measure_that_may_be_0_has_no_relative_change() -> None:
    theirs = np.array([[0.0, 0.0], [0.0, 1.0]])
    assert crossed_change_interval(np.ones((2, 2)), theirs) is None
