"""When a series leaves its start for good."""

import numpy as np
import pytest

from drift.stats.onset import onset

pytestmark = pytest.mark.numerics


def test_a_step_is_found_at_its_window() -> None:
    step = np.repeat([0.0, 1.0], [60, 40])
    assert onset(step, 20, 10, 0.5) == 60
    assert onset(-step, 20, 10, 0.5) == 60


def test_a_ramp_leaves_where_the_mean_of_a_window_passes_the_threshold() -> None:
    # The start is the mean of 0..9, 4.5; the window at 10 k has the mean 10 k + 4.5.
    assert onset(np.arange(100.0), 10, 10, 25.0) == 30


def test_an_excursion_that_comes_back_is_none() -> None:
    hump = np.repeat([0.0, 1.0, 0.0], [40, 40, 20])
    assert onset(hump, 20, 10, 0.5) is None


def test_only_the_last_departure_counts_and_only_on_one_side() -> None:
    series = np.repeat([0.0, -1.0, 0.0, 1.0], [20, 20, 20, 40])
    assert onset(series, 20, 10, 0.5) == 60
    assert onset(np.repeat([0.0, -1.0, 1.0], [20, 40, 40]), 20, 10, 0.5) == 60


def test_short_series_and_a_rest_shorter_than_a_window() -> None:
    assert onset([0.0, 2.0], 1, 1, 1.0) == 1
    assert onset(np.repeat([0.0, 1.0], [60, 43]), 20, 10, 0.5) == 60
    assert onset([0.0] * 5, 2, 2, 0.5) is None
