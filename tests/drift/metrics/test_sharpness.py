"""Sharpness: definition, colour order, the floor of its log."""

import math

import numpy as np
import pytest
from metric_tester import ParityTester
from scipy import ndimage

from drift.metrics.sharpness import sharpness

pytestmark = pytest.mark.numerics


class TestSharpness(ParityTester):
    metric = "sharpness"
    relative = 5e-3  # OpenCV rounds grey in fixed point: a pixel may differ by one level

    def reference(self, frames):
        grey = [np.rint(frame @ np.array([0.299, 0.587, 0.114])) for frame in frames]
        return [ndimage.laplace(one, mode="mirror").var() for one in grey]


def test_colour_order_is_rgb():
    # A red-black checkerboard: grey 0.299 * 255 = 76, against 29 if red and blue were swapped.
    # Inside, |Laplacian| = 4 * 76 with alternating sign; mirrored borders keep that.
    board = np.zeros((8, 8, 3), np.uint8)
    board[::2, ::2, 0] = board[1::2, 1::2, 0] = 255
    assert sharpness(board) == pytest.approx((4 * 76) ** 2)
    swapped = np.ascontiguousarray(board[..., ::-1])
    assert sharpness(swapped) == pytest.approx((4 * 29) ** 2)


def test_flat_frames_are_finite_with_slope_0(score_frames):
    score = score_frames([np.full((32, 32, 3), 90, np.uint8)] * 20, "sharpness")
    assert score.segment_means == (0, 0, 0, 0, 0)  # ln of the floor of 1
    assert (score.slope, score.drift, score.vde) == (0, 0, None)


def test_segment_value_is_the_mean_of_logs(score_frames, pan):
    frames = pan("rocket", 10)
    expected = [math.log(sharpness(frame)) for frame in frames]
    got = score_frames(frames, "sharpness").segment_means
    assert got == pytest.approx([(expected[i] + expected[i + 1]) / 2 for i in range(0, 10, 2)])
