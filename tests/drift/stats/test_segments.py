"""Segments cover every frame once; pair metrics belong to the left frame."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift.stats.segments import segment_bounds, segment_means

pytestmark = pytest.mark.numerics


@given(st.integers(1, 12), st.integers(0, 500))
def test_segments_cover_every_frame_once_in_order(num_segments, extra):
    num_frames = num_segments + extra
    bounds = segment_bounds(num_frames, num_segments)
    covered = [frame for start, stop in bounds for frame in range(start, stop)]
    assert covered == list(range(num_frames))
    sizes = {stop - start for start, stop in bounds}
    assert max(sizes) - min(sizes) <= 1


def test_bounds_of_321_frames_by_hand():
    # floor(i * 321 / 5): 0, 64.2, 128.4, 192.6, 256.8, 321
    assert segment_bounds(321, 5) == [(0, 64), (64, 128), (128, 192), (192, 256), (256, 321)]


def test_a_pair_belongs_to_the_segment_of_its_left_frame():
    # 10 frames, 9 pairs: pair 1 joins frames 1 and 2 across the first boundary.
    np.testing.assert_allclose(segment_means(range(9), 10, 5), [0.5, 2.5, 4.5, 6.5, 8.0])


@given(st.floats(-1e6, 1e6), st.integers(10, 60))
def test_equal_values_give_that_value_exactly(value, num_frames):
    assert (segment_means([value] * num_frames, num_frames, 5) == value).all()


@given(st.lists(st.floats(-1e3, 1e3), min_size=10, max_size=60))
def test_means_are_those_of_numpy(values):
    expected = [
        np.mean([v for f, v in enumerate(values) if a <= f < b])
        for a, b in segment_bounds(len(values), 5)
    ]
    np.testing.assert_allclose(segment_means(values, len(values), 5), expected, atol=1e-9)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="cannot fill"):
        segment_bounds(4, 5)
    with pytest.raises(ValueError, match="do not fit"):
        segment_means([1.0] * 8, 10, 5)
    with pytest.raises(ValueError, match="empty"):
        segment_means([1.0] * 4, 5, 5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_never_reaches_a_mean(bad):
    with pytest.raises(ValueError, match="frame 3"):
        segment_means([1.0, 1.0, 1.0, bad, *[1.0] * 6], 10, 5)


@given(st.data())
def test_frames_that_are_skipped_are_left_out_of_means(data):
    num_frames = data.draw(st.integers(10, 60))
    values = data.draw(st.lists(st.floats(-1e3, 1e3), min_size=num_frames, max_size=num_frames))
    first = {start for start, _ in segment_bounds(num_frames, 5)}
    kept = sorted(first | data.draw(st.sets(st.integers(0, num_frames - 1))))
    expected = [
        np.mean([values[f] for f in kept if a <= f < b]) for a, b in segment_bounds(num_frames, 5)
    ]
    ours = segment_means([values[f] for f in kept], num_frames, 5, frames=kept)
    np.testing.assert_allclose(ours, expected, atol=1e-9)
    if len(kept) == num_frames:
        np.testing.assert_array_equal(ours, segment_means(values, num_frames, 5))


@pytest.mark.parametrize("frames", [[0, 2, 4, 6, 10], [-1, 2, 4, 6, 8], [0, 2, 2, 6, 8], [0, 2]])
def test_frame_indices_that_cannot_be_are_refused(frames):
    with pytest.raises(ValueError, match="frame indices"):
        segment_means([1.0] * 5, 10, 5, frames=frames)
