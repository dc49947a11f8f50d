"""Saturation: definition, colour order, invariances and a ramp with a closed form."""

import colorsys

import numpy as np
import pytest
from skimage.color import rgb2hsv
from skimage.data import astronaut

from drift.metrics.saturation import saturation

pytestmark = pytest.mark.numerics


def ramp_frame(level: float) -> np.ndarray:
    """Every pixel has S = level: max 255, min 255 (1 - level)."""
    low = round(255 * (1 - level))
    return np.full((8, 8, 3), (255, low, low), np.uint8)


def test_agrees_with_scikit_image():
    expected = rgb2hsv(astronaut())[..., 1].mean()
    # S is rounded to 1/255 a pixel, so each pixel is off by at most 1/510.
    assert saturation(astronaut()) == pytest.approx(expected, abs=1 / 510)


@pytest.mark.parametrize("pixel", [(200, 100, 50), (10, 240, 30), (7, 7, 7), (0, 0, 0)])
def test_flat_colour_agrees_with_colorsys(pixel):
    frame = np.full((4, 4, 3), pixel, np.uint8)
    expected = colorsys.rgb_to_hsv(*(value / 255 for value in pixel))[1]
    assert saturation(frame) == pytest.approx(expected, abs=1 / 510)


def test_horizontal_flip_leaves_it_exactly():
    frame = astronaut()
    assert saturation(np.ascontiguousarray(frame[:, ::-1])) == saturation(frame)


def test_constant_video_has_slope_0(score_frames):
    score = score_frames([astronaut()] * 23, "saturation")
    assert (score.slope, score.drift, score.label) == (0, 0, "steady")


def test_linear_ramp_has_its_closed_form_slope(score_frames):
    # S rises by 1/255 a frame (every level is a whole number); 10 frames a segment.
    score = score_frames([ramp_frame(i / 255) for i in range(50)], "saturation")
    assert score.slope == pytest.approx(10 / 255, rel=1e-9)
    assert score.total_change == pytest.approx(40 / 255, rel=1e-9)
    assert score.drift == 1.0  # 40/255 = 0.157 is past the scale of 0.15
    assert score.label == "saturating"


def test_time_reversal_negates_the_slope(score_frames, pan):
    frames = pan("coffee", 30)
    forward, back = (score_frames(f, "saturation") for f in (frames, frames[::-1]))
    assert back.slope == pytest.approx(-forward.slope, rel=1e-9)
    assert back.drift == pytest.approx(forward.drift, rel=1e-9)
    assert {forward.label, back.label} == {"saturating", "fading"}


def test_permuted_segments_keep_the_mean_and_change_the_slope(score_frames):
    def score(levels):
        return score_frames([ramp_frame(v) for v in levels for _ in range(4)], "saturation")

    straight, mixed = score((0.1, 0.2, 0.3, 0.4, 0.5)), score((0.3, 0.1, 0.5, 0.2, 0.4))
    assert np.mean(mixed.segment_means) == pytest.approx(np.mean(straight.segment_means))
    assert mixed.slope != pytest.approx(straight.slope)
    assert mixed.slope_floor == pytest.approx(straight.slope_floor)


def test_more_degradation_scores_higher(score_frames, pan):
    def fade(strength: float) -> float:
        frames = []
        for i, frame in enumerate(pan("chelsea", 25)):
            grey = frame.mean(axis=2, keepdims=True)
            mix = strength * i / 24
            frames.append(((1 - mix) * frame + mix * grey).round().astype(np.uint8))
        return score_frames(frames, "saturation").slope

    slopes = [fade(strength) for strength in (0.0, 0.3, 0.6, 0.9)]
    assert slopes == sorted(slopes, reverse=True)
