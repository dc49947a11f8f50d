"""Saturation: definition, colour order and a ramp with a closed form."""

import colorsys

import numpy as np
import pytest
from metric_tester import ParityTester
from skimage.color import rgb2hsv

from drift.metrics.saturation import saturation

pytestmark = pytest.mark.numerics


class TestSaturation(ParityTester):
    metric = "saturation"
    absolute = 1 / 510  # S is rounded to 1/255 a pixel

    def reference(self, frames):
        return [rgb2hsv(frame)[..., 1].mean() for frame in frames]


def ramp_frame(level: float) -> np.ndarray:
    """Every pixel has S = level: max 255, min 255 (1 - level)."""
    low = round(255 * (1 - level))
    return np.full((8, 8, 3), (255, low, low), np.uint8)


@pytest.mark.parametrize("pixel", [(200, 100, 50), (10, 240, 30), (7, 7, 7), (0, 0, 0)])
def test_flat_colour_agrees_with_colorsys(pixel):
    frame = np.full((4, 4, 3), pixel, np.uint8)
    expected = colorsys.rgb_to_hsv(*(value / 255 for value in pixel))[1]
    assert saturation(frame) == pytest.approx(expected, abs=1 / 510)


def test_linear_ramp_has_its_closed_form_slope(score_frames):
    # S rises by 1/255 a frame (every level is a whole number); 10 frames a segment.
    score = score_frames([ramp_frame(i / 255) for i in range(50)], "saturation")
    assert score.slope == pytest.approx(10 / 255, rel=1e-9)
    assert score.total_change == pytest.approx(40 / 255, rel=1e-9)
    assert score.drift == 1.0  # 40/255 = 0.157 is past the scale of 0.15
    assert score.label == "saturating"
