"""Closed forms of the seam statistics, and how often they see a seam where there is none."""

import cv2
import numpy as np
import pytest
import skimage.data

from drift.metrics.registry import METRICS
from drift.seams.pairs import PAIR_METRICS
from drift.seams.periodic import (
    Borders,
    estimate_borders,
    measure_seam,
    neighbour_medians,
    periodogram,
)

pytestmark = pytest.mark.numerics

WAN = Borders(first=9, block=12, source="given")
FLOOR = PAIR_METRICS["difference"].floor


def seam_of(values, borders=WAN, floor=FLOOR):
    return measure_seam([np.asarray(values, float)], borders, ["a prompt"], floor=floor)


def changes(frames, name):
    """Changes between consecutive frames by a pair metric."""
    pair = PAIR_METRICS[name]
    return pair.of_values(np.array(METRICS[pair.metric].new_metric()(frames)))


def with_jumps(height: float, level: float = 2.0, num_pairs: int = 240) -> np.ndarray:
    values = np.full(num_pairs, level)
    values[WAN.pairs(num_pairs)] += height
    return values


def test_borders_of_a_causal_vae() -> None:
    # Blocks of 3 latent frames decode to 9, 12, 12, ... frames: borders 8|9, 20|21, 32|33.
    assert WAN.pairs(40).tolist() == [8, 20, 32]
    assert WAN.phase == 8


def test_neighbours_leave_the_value_out_and_stop_at_the_ends() -> None:
    # Of 1, 9, 2, 3 with one neighbour on either side: 9; median(1, 2); median(9, 3); 2.
    assert neighbour_medians(np.array([1.0, 9.0, 2.0, 3.0]), 1).tolist() == [9.0, 1.5, 6.0, 2.0]


def test_a_planted_jump_comes_back_and_the_ratio_follows() -> None:
    seam = seam_of(with_jumps(3.0))
    assert seam.jump == 3.0
    assert seam.seam_ratio == pytest.approx((5 + FLOOR) / (2 + FLOOR), rel=1e-12)
    assert seam.ci95 == (seam.seam_ratio, seam.seam_ratio)
    assert seam.largest_other_phase == 1.0
    assert seam.trend == pytest.approx(0.0, abs=1e-12)
    assert seam.found
    assert int(np.argmax(seam.profile)) == WAN.phase


@pytest.mark.parametrize("level", [0.0, 2.0])
def test_even_change_has_no_seam(level: float) -> None:
    seam = seam_of(with_jumps(0.0, level))
    assert (seam.seam_ratio, seam.jump, seam.found) == (1.0, 0.0, False)


def test_the_wrong_phase_is_not_a_seam() -> None:
    wrong = Borders(first=10, block=12, source="given")
    seam = seam_of(with_jumps(3.0), wrong)
    assert not seam.found
    assert seam.largest_other_phase > 2


def test_slow_drift_of_the_motion_is_no_seam() -> None:
    assert not seam_of(np.linspace(1, 40, 240)).found


def test_a_cut_at_one_border_changes_nothing() -> None:
    values = with_jumps(0.0)
    values[20] = 90.0
    assert seam_of(values).seam_ratio == 1.0


def test_trend_is_the_change_over_the_video() -> None:
    # 20 borders whose ratios rise evenly from 1 to 3.
    values = with_jumps(0.0)
    at = WAN.pairs(len(values))
    values[at] = (2 + FLOOR) * np.linspace(1, 3, len(at)) - FLOOR
    assert seam_of(values).trend == pytest.approx(2.0, rel=1e-9)


def test_several_videos_count_border_by_border_and_vary_by_prompt() -> None:
    series = [with_jumps(1.0), with_jumps(1.0), with_jumps(5.0)]
    one = measure_seam(series, WAN, ["a", "a", "b"], floor=FLOOR)
    assert one.jump == 1.0
    low, high = one.ci95
    assert low == pytest.approx((3 + FLOOR) / (2 + FLOOR), rel=1e-9)
    assert high == pytest.approx((7 + FLOOR) / (2 + FLOOR), rel=1e-9)


def test_one_border_is_refused() -> None:
    with pytest.raises(ValueError):
        seam_of(np.ones(15))


@pytest.mark.parametrize(("first", "block"), [(9, 12), (1, 8), (17, 20), (29, 32)])
def test_borders_are_found_again(first: int, block: int) -> None:
    truth = Borders(first=first, block=block, source="given")
    values = np.random.default_rng(0).lognormal(0.0, 0.2, 480)
    values[truth.pairs(480)] *= 1.8
    found = estimate_borders([values], FLOOR)
    assert (found.phase, found.block, found.source) == (truth.phase, block, "estimated")


def test_power_at_a_period() -> None:
    time = np.arange(240)
    wave = np.exp(0.5 * np.cos(2 * np.pi * time / 12))
    power = periodogram(wave, 0.0, (4, 12))
    # A cosine of n values has |sum x e|^2 = (a n / 2)^2 and variance a^2 n / 2: n / 2 in all.
    assert power["12"] == pytest.approx(120, rel=1e-9)
    assert power["4"] == pytest.approx(0, abs=1e-9)
    noise = np.random.default_rng(1).lognormal(size=(400, 240))
    powers = [periodogram(one, 0.0, (12,))["12"] for one in noise]
    assert np.mean(powers) == pytest.approx(1.0, abs=0.15)


def pan(image: np.ndarray, top: int, speed: float, num_frames: int = 121) -> list[np.ndarray]:
    """A camera that moves to the right at `speed` pixels a frame, between pixels too."""
    frames = []
    for i in range(num_frames):
        centre = (60 + speed * i, top + 40)
        frames.append(cv2.getRectSubPix(image, (96, 64), centre))
    return frames


def crops() -> list[tuple[str, int]]:
    """Twenty places in photographs, each wide enough for the fastest pan."""
    names = ("astronaut", "chelsea", "coffee", "rocket")
    return [(name, top) for name in names for top in (0, 50, 100, 150, 200)]


def test_photographs_under_a_moving_camera_have_no_seam() -> None:
    """At most one in twenty of 20 places x 3 speeds x 2 metrics may look like a seam."""
    found = []
    for name, top in crops():
        image = np.ascontiguousarray(getattr(skimage.data, name)())
        for speed in (0.7, 1.5, 2.3):
            frames = pan(image, top, speed)
            for metric in ("difference", "luminance"):
                seam = seam_of(changes(frames, metric))
                found.append(seam.found)
                assert metric == "luminance" or seam.seam_ratio == pytest.approx(1.0, abs=0.1)
    assert len(found) == 120
    assert sum(found) <= 6


def test_a_step_of_light_at_each_border_comes_back_in_levels() -> None:
    image = np.ascontiguousarray(skimage.data.coffee())
    image = (image * 0.7 + 30).astype(np.uint8)  # no level leaves 0..255
    frames = pan(image, 100, 0.7)
    for border in WAN.pairs(120)[::2]:
        for i in range(border + 1, min(border + 13, 121)):
            frames[i] = frames[i] + 6
    seam = seam_of(changes(frames, "luminance"))
    assert seam.jump == pytest.approx(6.0, abs=0.3)
    assert seam.found
