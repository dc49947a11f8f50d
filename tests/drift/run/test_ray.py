"""`drift score --executor ray` on a real local Ray, one of whose workers is killed."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drift import UsageError, score_folder
from drift.run.measure import Measured, Task, measure
from drift.run.ray_tasks import measure_on_ray

ray = pytest.importorskip("ray", reason="the extra `cluster` is not installed")
RESULTS = ("frames.parquet", "videos.csv", "summary.json", "report.html")


def files(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in RESULTS}


@pytest.fixture(scope="module", autouse=True)
def _end_of_ray() -> Iterator[None]:
    yield
    ray.shutdown()


def kill_first(pids: Path, killed: list[int]) -> None:
    """Kills the worker that says first that it measures."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for path in pids.glob("*.pid"):
            killed.append(int(path.read_text()))
            os.kill(killed[0], signal.SIGKILL)
            return
        time.sleep(0.02)


@pytest.mark.slow
def test_a_killed_worker_changes_no_number(
    clips: Path, broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders, pids = [clips, broken], tmp_path / "pids"
    pids.mkdir()
    here = score_folder(folders, out=tmp_path / "here", progress=None)

    def slow_at_first(task: Task) -> Measured:
        mark = pids / f"{task.file.name}.pid"
        if not any(pids.iterdir()):
            mark.with_suffix(".tmp").write_text(str(os.getpid()))
            mark.with_suffix(".tmp").replace(mark)
            time.sleep(1.0)
        return measure(task)

    monkeypatch.setattr("drift.run.ray_tasks.measure", slow_at_first)
    killed: list[int] = []
    thread = threading.Thread(target=kill_first, args=(pids, killed))
    thread.start()
    there = score_folder(folders, out=tmp_path / "there", executor="ray", progress=None)
    thread.join()
    assert killed
    assert there.drift_score == here.drift_score
    assert files(there.out) == files(here.out)
    assert len(here.failed) == 7  # broken videos stay broken, and stop nothing


def test_nothing_to_measure_starts_no_cluster() -> None:
    assert list(measure_on_ray([], "127.0.0.1:1")) == []


def test_no_cluster_is_one_line(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--ray-address 127\.0\.0\.1:1: no Ray cluster answers"):
        score_folder(clips, out=tmp_path / "run", executor="ray", ray_address="127.0.0.1:1")
