"""A real local Ray of several worker processes, some of which are killed while they work."""

import io
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drift.errors import UsageError
from reports.plan.jobs import Job, with_ids
from reports.plan.paths import local_paths
from reports.run.execute import Outcome, run_jobs
from reports.run.executors.ray_cluster import RayExecutor
from reports.run.job_records import read_record
from reports.run.progress import Progress

pytest.importorskip("ray", reason="the extra `cluster` is not installed")

# Says which process asked for it (the supervisor's parent is the Ray worker), waits, counts.
SCRIPT = """
import os, pathlib, sys, time
out = pathlib.Path(sys.argv[1]); out.mkdir(exist_ok=True)
stat = pathlib.Path(f"/proc/{os.getppid()}/stat").read_text().rsplit(")", 1)[1].split()
with (out / "workers").open("a") as file: file.write(stat[1] + chr(10))
(out / "pid").write_text(str(os.getpid()))
time.sleep(float(sys.argv[2]))
(out / "n").write_text("done")
"""


@pytest.fixture(scope="module")
def executor() -> Iterator[RayExecutor]:
    executor = RayExecutor(jobs=3)
    executor.connect()
    yield executor
    executor.close()


def job(name: str, *needs: str, script: str = SCRIPT, sleep_s: float = 0.0, **more: object) -> Job:
    fields = {
        "name": name,
        "kind": "x",
        "argv": ("{python}", "-c", script, f"{{out}}/{name}", str(sleep_s)),
        "outputs": (name,),
        "required_outputs": (f"{name}/n",),
        "dependencies": needs,
        **more,
    }
    return Job(**fields)  # type: ignore[arg-type]


def run(out: Path, executor: RayExecutor, *jobs: Job) -> dict[str, Outcome]:
    planned = with_ids(jobs)
    progress = Progress(planned, io.StringIO(), slots=executor.slots)
    paths = local_paths(out, out)
    return run_jobs(planned, out, paths, executor=executor, progress=progress)


def statuses(outcomes: dict[str, Outcome]) -> dict[str, str]:
    return {name: outcome.status for name, outcome in outcomes.items()}


def kill_worker_of(out: Path, name: str, killed: list[tuple[int, int]]) -> None:
    """Kills the Ray worker that runs a job, the hard way, as a lost node would."""
    deadline = time.monotonic() + 60
    while not (out / name / "pid").is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    worker = int((out / name / "workers").read_text().split()[0])
    child = int((out / name / "pid").read_text())
    os.kill(worker, signal.SIGKILL)
    killed.append((worker, child))


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(tmp_path: Path, executor: RayExecutor) -> None:
    jobs = [job("a", sleep_s=3.0), job("b"), job("c"), job("after", "a", "b"), job("last", "after")]
    killed: list[tuple[int, int]] = []
    thread = threading.Thread(target=kill_worker_of, args=(tmp_path, "a", killed))
    thread.start()
    outcomes = run(tmp_path, executor, *jobs)
    thread.join()
    assert statuses(outcomes) == dict.fromkeys(("a", "b", "c", "after", "last"), "done")
    workers = (tmp_path / "a/workers").read_text().split()
    assert len(workers) == 2  # tried twice, by another worker
    assert workers[0] == str(killed[0][0])
    assert workers[1] != workers[0]
    with pytest.raises(ProcessLookupError):
        os.kill(killed[0][1], 0)  # what the killed worker had started was ended with it
    assert len({(tmp_path / n / "workers").read_text() for n in ("a", "b", "c")}) > 1
    assert statuses(run(tmp_path, executor, *jobs)) == dict.fromkeys(outcomes, "reused")


@pytest.mark.slow
def test_failures_block_only_what_needs_them(tmp_path: Path, executor: RayExecutor) -> None:
    bad = job("bad", script="raise SystemExit('no such thing')")
    outcomes = run(tmp_path, executor, bad, job("after", "bad"), job("last", "after"), job("other"))
    assert statuses(outcomes) == {
        "bad": "failed", "after": "blocked", "last": "blocked", "other": "done",
    }  # fmt: skip
    assert outcomes["bad"].tail == "no such thing"
    assert outcomes["after"].reason == "bad failed"
    assert outcomes["last"].reason == "after was not run"


@pytest.mark.slow
def test_a_job_that_fails_is_tried_again(tmp_path: Path, executor: RayExecutor) -> None:
    script = SCRIPT + "tries = len((out / 'workers').read_text().split())\nsys.exit(tries < 2)"
    flaky = job("flaky", script=script, retries=2, backoff_s=0.01)
    assert statuses(run(tmp_path, executor, flaky)) == {"flaky": "done"}
    record = read_record(tmp_path, "flaky")
    assert record is not None
    assert record.attempts == 2


@pytest.mark.slow
def test_a_gpu_that_no_node_has_is_said_at_once(tmp_path: Path, executor: RayExecutor) -> None:
    outcomes = run(tmp_path, executor, job("big", gpus=2), job("after", "big"), job("small"))
    assert statuses(outcomes) == {"big": "blocked", "after": "blocked", "small": "done"}
    assert outcomes["big"].reason == "needs 2 GPU on one node, and the cluster's largest has none"


def test_no_cluster_is_one_line() -> None:
    import ray

    if ray.is_initialized():
        ray.shutdown()
    with pytest.raises(UsageError, match=r"--ray-address 127.0.0.1:1: no Ray cluster answers"):
        RayExecutor(address="127.0.0.1:1").connect()
