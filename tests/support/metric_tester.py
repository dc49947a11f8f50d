"""One class of tests that every drift metric passes, as torchmetrics has.

A metric's test module derives a class from one of these and names the metric;
tests/drift/metrics/test_every_metric.py finds the class of each.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drift import ScoreConfig, score_folder
from drift.metrics.networks.settings import MetricSettings
from drift.metrics.registry import METRICS, Metric

Frame = np.ndarray[Any, np.dtype[np.uint8]]
Pan = Callable[..., list[Frame]]
NUM_FRAMES = 5
HEIGHT, WIDTH = 48, 64


def contrasty(pan: Pan, name: str, num_frames: int) -> list[Frame]:
    """A panned photograph, some of whose pixels are at 0 and some at 255."""
    frames = pan(name, num_frames, HEIGHT, WIDTH)
    return [np.clip(2.0 * frame - 100, 0, 255).astype(np.uint8) for frame in frames]


class MetricTester:
    """Batches, workers, resume, a constant video and a reversed one.

    Attributes:
        metric: Name of the metric.
        variant: Variant of a learned metric; None for the first.
        prompt: Prompt of the video, for a metric that needs one.
        rounding: Relative difference that batches and reversal may make; 0 without a network.
        still: Value of two equal frames, for a metric of pairs; None for one of single frames.
    """

    metric: str
    variant: str | None = None
    prompt: str = ""
    rounding: float = 0.0
    still: float | None = None

    def start(self) -> Metric:
        """The metric at the beginning of a video."""
        return METRICS[self.metric].new_metric(
            MetricSettings(random_weights=True), self.variant, [(0, self.prompt)]
        )

    def values(self, frames: Sequence[Frame]) -> list[float]:
        """The metric's values of a whole video."""
        return self.start()(frames)

    @pytest.mark.parametrize("size", [1, 3])
    def test_batches_join_without_a_seam(self, pan: Pan, size: int) -> None:
        frames, update = contrasty(pan, "astronaut", NUM_FRAMES), self.start()
        parts = [v for i in range(0, NUM_FRAMES, size) for v in update(frames[i : i + size])]
        assert len(parts) == NUM_FRAMES - (self.still is not None)
        assert len(set(parts)) > 1
        assert parts == pytest.approx(self.values(frames), rel=self.rounding, abs=0)

    def test_a_constant_video_has_equal_values(self, pan: Pan) -> None:
        first, *others = self.values(contrasty(pan, "coffee", 1) * 3)
        assert others == [first] * len(others)
        if self.still is not None:
            assert first == pytest.approx(self.still, abs=1e-6)

    def test_a_reversed_video_has_the_values_backwards(self, pan: Pan) -> None:
        frames = contrasty(pan, "chelsea", 3)
        forward, back = self.values(frames), self.values(frames[::-1])
        assert back == pytest.approx(forward[::-1], rel=self.rounding, abs=0)

    def test_workers_and_a_second_run_change_no_byte(
        self, pan: Pan, make_video: Callable[..., Path], tmp_path: Path
    ) -> None:
        for name in ("chelsea", "coffee"):
            make_video(tmp_path / "v" / f"{name}.mp4", pan(name, NUM_FRAMES, HEIGHT, WIDTH))
            (tmp_path / "v" / f"{name}.json").write_text(json.dumps({"prompt": self.prompt}))
        counted = tuple(dict.fromkeys((self.metric, "saturation")))  # one metric must have a weight
        variants = ((self.metric, self.variant),) if self.variant else ()

        def run(folder: str, workers: int) -> tuple[bytes, list[int]]:
            score_folder(
                tmp_path / "v", out=tmp_path / folder, workers=workers, progress=None,
                config=ScoreConfig(metrics=counted, variants=variants, segments=2),
                settings=MetricSettings(random_weights=True),
            )  # fmt: skip
            records = sorted((tmp_path / folder / "records").glob("*.json"))
            summary = (tmp_path / folder / "summary.json").read_bytes()
            return summary, [record.stat().st_mtime_ns for record in records]

        # Processes that load torch take long: lpips stands for all (run/test_measure.py).
        two = run("two", 1 if METRICS[self.metric].learned else 2)
        assert run("two", 1) == two  # a second run reads what the first measured
        assert run("one", 1)[0] == two[0]


class ParityTester(MetricTester):
    """The same, and agreement with another library.

    Networks agree with other libraries at several sizes in tests of their own.

    Attributes:
        relative, absolute: Tolerances of the agreement.
    """

    relative: float = 1e-9
    absolute: float = 0.0

    def reference(self, frames: Sequence[Frame]) -> list[float]:
        """The metric's values by an independent implementation."""
        raise NotImplementedError

    def test_agrees_with_an_independent_implementation(self, pan: Pan) -> None:
        frames = contrasty(pan, "astronaut", 3)
        expected = pytest.approx(self.reference(frames), rel=self.relative, abs=self.absolute)
        assert self.values(frames) == expected
