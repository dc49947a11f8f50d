"""The bootstrap against scipy and a plain loop; clusters stay together; order does not matter."""

import numpy as np
import pytest
from scipy import stats

from drift.stats.bootstrap import bootstrap_ci

pytestmark = pytest.mark.numerics


def test_single_videos_agree_with_scipy():
    values = np.random.default_rng(3).normal(1.0, 0.5, size=40)
    ours = bootstrap_ci(values, [f"p{i:02}" for i in range(40)])
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=0
    ).confidence_interval
    # Two Monte Carlo quantiles of 10 000 draws: about 2 % of the width each.
    assert ours == pytest.approx([theirs.low, theirs.high], abs=0.02)


def test_clusters_are_drawn_whole():
    values, clusters = np.array([0.0, 0.0, 0.0, 1.0]), ["a", "a", "a", "b"]
    rng = np.random.default_rng(9)
    groups = [values[:3], values[3:]]
    drawn = [
        np.concatenate([groups[k] for k in rng.integers(2, size=2)]).mean() for _ in range(20_000)
    ]
    # Only 0, 1/4 and 1 can occur; both ends have probability 1/4, so the interval is [0, 1].
    assert set(np.unique(drawn)) == {0.0, 0.25, 1.0}
    assert bootstrap_ci(values, clusters).tolist() == [0.0, 1.0]


def test_one_cluster_has_an_interval_of_width_0():
    assert bootstrap_ci([1.0, 3.0], ["a", "a"]).tolist() == [2.0, 2.0]


def test_columns_see_the_same_draws_and_order_does_not_matter():
    rng = np.random.default_rng(5)
    table, clusters = rng.normal(size=(12, 3)), [f"p{i % 7}" for i in range(12)]
    both = bootstrap_ci(table, clusters)
    assert both.shape == (3, 2)
    np.testing.assert_allclose(both[1], bootstrap_ci(table[:, 1], clusters), rtol=1e-12)
    order = rng.permutation(12)
    shuffled = bootstrap_ci(table[order], [clusters[i] for i in order])
    np.testing.assert_allclose(both, shuffled, rtol=1e-12)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="finite"):
        bootstrap_ci([1.0, float("nan")], ["a", "b"])
    with pytest.raises(ValueError, match="do not fit"):
        bootstrap_ci([], [])
