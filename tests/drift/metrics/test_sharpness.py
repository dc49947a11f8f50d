"""Sharpness: definition, colour order, invariances, the floor of its log."""

import math

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage.data import astronaut

from drift.metrics.sharpness import sharpness

pytestmark = pytest.mark.numerics


def test_agrees_with_scipy_on_grey_levels():
    frame = astronaut()
    grey = np.rint(frame @ np.array([0.299, 0.587, 0.114]))
    expected = ndimage.laplace(grey, mode="mirror").var()
    # OpenCV rounds grey in fixed point: a pixel may differ by one level.
    assert sharpness(frame) == pytest.approx(expected, rel=5e-3)


def test_colour_order_is_rgb():
    # A red-black checkerboard: grey 0.299 * 255 = 76, against 29 if red and blue were swapped.
    # Inside, |Laplacian| = 4 * 76 with alternating sign; mirrored borders keep that.
    board = np.zeros((8, 8, 3), np.uint8)
    board[::2, ::2, 0] = board[1::2, 1::2, 0] = 255
    assert sharpness(board) == pytest.approx((4 * 76) ** 2)
    swapped = np.ascontiguousarray(board[..., ::-1])
    assert sharpness(swapped) == pytest.approx((4 * 29) ** 2)


def test_horizontal_flip_leaves_it_exactly():
    frame = astronaut()
    assert sharpness(np.ascontiguousarray(frame[:, ::-1])) == sharpness(frame)


def test_flat_frames_are_finite_with_slope_0(score_frames):
    score = score_frames([np.full((32, 32, 3), 90, np.uint8)] * 20, "sharpness")
    assert score.segment_means == (0, 0, 0, 0, 0)  # ln of the floor of 1
    assert (score.slope, score.drift, score.vde) == (0, 0, None)


def test_constant_video_has_slope_0(score_frames):
    score = score_frames([astronaut()] * 23, "sharpness")
    assert (score.slope, score.drift) == (0, 0)


def test_segment_value_is_the_mean_of_logs(score_frames, pan):
    frames = pan("rocket", 10)
    expected = [math.log(sharpness(frame)) for frame in frames]
    got = score_frames(frames, "sharpness").segment_means
    assert got == pytest.approx([(expected[i] + expected[i + 1]) / 2 for i in range(0, 10, 2)])


def test_rising_blur_is_blurring_and_its_reverse_sharpening(score_frames):
    frames = [cv2.GaussianBlur(astronaut(), (0, 0), 0.3 + 0.1 * i) for i in range(20)]
    forward, back = (score_frames(f, "sharpness") for f in (frames, frames[::-1]))
    assert (forward.label, back.label) == ("blurring", "sharpening")
    assert back.slope == pytest.approx(-forward.slope, rel=1e-9)
    assert forward.drift == back.drift == 1.0


def test_gain_leaves_the_log_slope(score_frames):
    # Even grey levels, halved exactly: every variance is divided by 4, the log is shifted.
    frames = [cv2.GaussianBlur(astronaut(), (0, 0), 0.5 + 0.05 * i) for i in range(10)]
    grey = [np.repeat(f[..., :1] // 2 * 2, 3, axis=2) for f in frames]
    full, half = (score_frames(f, "sharpness") for f in (grey, [f // 2 for f in grey]))
    assert half.slope == pytest.approx(full.slope, rel=1e-9)


def test_one_black_frame_is_bounded(score_frames):
    frames = [astronaut()] * 80
    glitch = [*frames[:79], np.zeros_like(frames[0])]
    score = score_frames(glitch, "sharpness")
    # One of 16 frames of the last segment falls to ln 1 = 0; the last segment has lever 0.2.
    assert score.slope == pytest.approx(-0.2 * math.log(sharpness(astronaut())) / 16, rel=1e-9)
