"""Measures videos on a Ray cluster; if a worker or node dies, its video is measured again.

The videos and the run must be on storage that all nodes share, at the same path. Workers only
compute, like those of `drift.run.pool`; only the caller writes files.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from typing import Any

from drift.errors import UsageError, WorkerError
from drift.run.measure import Measured, Task, measure

LOST_WORKER_RETRIES = 3
POLL_MANY = 16
CONNECT_S = 10.0


def measure_on_ray(tasks: Sequence[Task], address: str | None = None) -> Iterator[Measured]:
    """Measures every task, each in a Ray task with a CPU, or a GPU if the networks run on one.

    Args:
        tasks: Videos to measure.
        address: Address of a running cluster, or `auto` for that of this machine. None takes
            RAY_ADDRESS; without it a cluster of this machine alone is started for the work.

    Yields:
        Results in the order in which they finish.

    Raises:
        UsageError: Ray is not installed, or no cluster answers.
        WorkerError: a worker was lost again and again at one video.
    """
    if not tasks:
        return
    ray = _connect(address)
    gpus = 1 if tasks[0].plan.learned and tasks[0].plan.settings.device_kind != "cpu" else 0
    remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=LOST_WORKER_RETRIES)(measure)
    running = {remote.remote(task): task for task in tasks}
    try:
        while running:
            ready, _ = ray.wait(list(running), num_returns=min(POLL_MANY, len(running)), timeout=1)
            for ref in ready:
                yield _result(ray, ref, running.pop(ref))
    finally:
        for ref in running:
            ray.cancel(ref)
        ray.shutdown()


def _result(ray: Any, ref: Any, task: Task) -> Measured:
    try:
        measured: Measured = ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        raise error.as_instanceof_cause() from None  # the error that `measure` raised
    except ray.exceptions.RayError as error:
        raise WorkerError(
            f"{task.path}: its Ray worker was lost {LOST_WORKER_RETRIES + 1} times "
            f"({type(error).__name__}); score it with --executor local to see why"
        ) from error
    return measured


def _connect(address: str | None) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray  # noqa: PLC0415  (an extra, and slow to import)
    except ImportError:
        raise UsageError("--executor ray needs Ray; pip install 'hiar-toolkit[cluster]'") from None
    if ray.is_initialized():
        return ray
    where = address or os.environ.get("RAY_ADDRESS", "")
    options = {"address": address} if address else {} if where else {"include_dashboard": False}
    try:
        host, colon, port = where.removeprefix("ray://").rpartition(":")
        if colon and port.isdigit():  # Ray itself would try a dead address for minutes
            socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
        ray.init(log_to_driver=False, logging_level="error", **options)
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(
            f"--ray-address {where or 'of this machine'}: no Ray cluster answers: {reason}"
        ) from None
    return ray
