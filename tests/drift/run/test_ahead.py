"""Beside a GPU, decoding and the metrics without networks run while the networks work."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from drift.metrics.networks.settings import MetricSettings
from drift.metrics.registry import MetricSpec
from drift.run.ahead import made_ahead
from drift.run.measure import Task, measure
from drift.run.plan import make_plan
from drift.score.config import ScoreConfig

LONG_S = 60.0
"""Far longer than anything here takes; only a test that fails waits for it."""


def test_items_keep_their_order_and_the_next_is_made_while_one_is_used() -> None:
    second_was_made = threading.Event()

    def items() -> Iterator[int]:
        yield 0
        second_was_made.set()
        yield from range(1, 50)

    taken = made_ahead(items())
    assert next(taken) == 0
    assert second_was_made.wait(LONG_S)
    assert list(taken) == list(range(1, 50))


def test_an_error_comes_where_its_item_would() -> None:
    def items() -> Iterator[int]:
        yield 0
        raise OSError("gone")

    taken = made_ahead(items())
    assert next(taken) == 0
    with pytest.raises(OSError, match="gone"):
        next(taken)


def test_a_slow_device_is_waited_for_by_nobody(
    tmp_path: Path,
    make_video: Callable[..., Path],
    pan: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The network's first batch ends only after the second was decoded and measured on the CPU."""
    make_video(tmp_path / "x.mp4", pan("coffee", 11, 48, 64))
    config = ScoreConfig(metrics=("musiq", "saturation"))
    plan = make_plan(config, MetricSettings(random_weights=True, batch=2))
    new_metric = MetricSpec.new_metric
    saturated: list[int] = []
    second_batch = threading.Event()

    def fake_metric(spec: MetricSpec, *arguments: object) -> Callable[[list[object]], list[float]]:
        if spec.name == "musiq":
            return lambda frames: [float(second_batch.wait(LONG_S))] * len(frames)
        real = new_metric(spec, *arguments)  # type: ignore[arg-type]

        def update(frames: list[object]) -> list[float]:
            saturated.append(len(frames))
            if len(saturated) > 1:
                second_batch.set()
            return real(frames)

        return update

    monkeypatch.setattr(MetricSpec, "new_metric", fake_metric)
    beside_gpu = replace(plan, settings=replace(plan.settings, device="cuda"))
    task = Task(path="x", file=tmp_path / "x.mp4", run=tmp_path / "run", plan=beside_gpu)
    overlapped = measure(task).record
    assert (
        overlapped.values["musiq"] == [1.0] * 11
    )  # 0.0 where the wait ended for want of the event
    alone = measure(replace(task, plan=plan)).record
    assert overlapped.values["saturation"] == alone.values["saturation"]
    assert overlapped.thumbnails == alone.thumbnails
