"""Brightness, contrast and clipped pixels: closed forms, and their place beside the score."""

import json

import numpy as np
import pytest
from metric_tester import ParityTester
from PIL import Image

from drift.cli.main import main
from drift.metrics.brightness import brightness
from drift.metrics.clipped import clipped
from drift.metrics.contrast import contrast
from drift.metrics.preset import preset_v1
from drift.metrics.registry import EXPOSURE, resolve_metrics

pytestmark = pytest.mark.numerics


def grey(frame: np.ndarray) -> np.ndarray:
    """Luminance as Pillow rounds it, in 0..1."""
    return np.asarray(Image.fromarray(frame).convert("L")) / 255


class TestBrightness(ParityTester):
    metric = "brightness"
    absolute = 0.5 / 255  # the reference rounds each pixel

    def reference(self, frames):
        return [grey(frame).mean() for frame in frames]


class TestContrast(ParityTester):
    metric = "contrast"
    absolute = 0.5 / 255

    def reference(self, frames):
        return [grey(frame).std() for frame in frames]


class TestClipped(ParityTester):
    metric = "clipped"

    def reference(self, frames):
        return [((frame == 0) | (frame == 255)).any(axis=2).mean() for frame in frames]


def flat(*colour: int) -> np.ndarray:
    return np.full((6, 8, 3), colour, np.uint8)


def halves(left: int, right: int) -> np.ndarray:
    return np.concatenate([flat(left, left, left), flat(right, right, right)], axis=1)


def test_brightness_in_closed_form() -> None:
    assert brightness(flat(0, 0, 0)) == 0.0
    assert brightness(flat(255, 255, 255)) == pytest.approx(1.0, rel=1e-12)
    # Rec. 601: 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2 of 255.
    assert brightness(flat(200, 100, 50)) == pytest.approx(124.2 / 255, rel=1e-12)


def test_contrast_in_closed_form() -> None:
    assert contrast(flat(90, 90, 90)) == 0.0
    assert contrast(halves(0, 255)) == 0.5
    # Two equal halves deviate by half their difference: 30 of 255.
    assert contrast(halves(100, 160)) == pytest.approx(30 / 255, rel=1e-12)


def test_clipped_counts_pixels_not_channels() -> None:
    assert clipped(flat(1, 254, 100)) == 0.0
    assert clipped(flat(0, 255, 255)) == 1.0
    assert clipped(halves(128, 255)) == 0.5
    frame = flat(128, 128, 128)
    frame[0, 0, 2] = 0
    assert clipped(frame) == pytest.approx(1 / 48, rel=1e-12)


def test_the_group_stands_outside_preset_v1() -> None:
    assert resolve_metrics(["exposure"]) == EXPOSURE == ("brightness", "contrast", "clipped")
    assert not set(EXPOSURE) & set(preset_v1().metrics)
    assert not set(EXPOSURE) & set(resolve_metrics(["all"]))


def test_a_darkening_video_is_told_and_the_score_stays(tmp_path, make_video, pan) -> None:
    frames = [
        (frame * (1 - 0.4 * i / 40)).astype(np.uint8) for i, frame in enumerate(pan("coffee", 40))
    ]
    make_video(tmp_path / "v" / "a.mp4", frames, "libx264rgb", "rgb24")
    summaries = {}
    for name, options in (("without", ["--metrics", "fast"]), ("beside", [])):
        out = tmp_path / name
        assert main(["score", str(tmp_path / "v"), "--out", str(out), *options]) == 0
        summaries[name] = json.loads((out / "summary.json").read_text())
    without, beside = summaries["without"], summaries["beside"]
    for name, entry in without["metrics"].items():
        assert beside["metrics"].pop(name) == entry
    assert set(beside["metrics"]) == {*EXPOSURE, "difference"}
    same = set(without) - {"metrics", "seams", "provenance"}
    assert {name: beside[name] for name in same} == {name: without[name] for name in same}
    entry = beside["metrics"]["brightness"]
    assert (entry["label"], entry["weight"]) == ("darkening", 0.0)
    means = [brightness(frame) for frame in frames]
    expected = [np.mean(means[8 * i : 8 * i + 8]) for i in range(5)]
    assert entry["segment_means"] == pytest.approx(expected, abs=1e-9)
    assert main(["score", str(tmp_path / "v"), "--out", str(tmp_path / "x"),
                 "--metrics", "exposure"]) == 2  # fmt: skip
