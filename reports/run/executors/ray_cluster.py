"""The same graph on a Ray cluster: Ray places the jobs, and runs one again when its node is lost.

The reproduction folder must be on storage that all nodes share, at the same path.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from drift.errors import UsageError
from reports.plan.jobs import Job
from reports.plan.places import code_places
from reports.run.attempt import Outcome, Watch, Workplace, reusable, run_job
from reports.run.progress import Progress

LOST_WORKER_RETRIES = 3
"""Of a job whose worker or node died; a failure of the job itself counts by its own `retries`."""
TICK_S = 0.5
POLL_MANY = 64
CONNECT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a job must know of one that it needs: small, since it travels over the network."""

    name: str
    status: str
    digest: str

    @classmethod
    def of(cls, outcome: Outcome) -> Need:
        """From an outcome."""
        digest = outcome.record.digest if outcome.ok and outcome.record else ""
        return cls(name=outcome.job.name, status=outcome.status, digest=digest)


@dataclass(kw_only=True)
class RayExecutor:
    """A Ray cluster.

    Attributes:
        address: Of a running cluster, `auto` for the one of this machine; None is RAY_ADDRESS, or
            a cluster of this machine alone, started here and ended with us.
        jobs: CPUs of that cluster.
    """

    address: str | None = None
    jobs: int | None = None
    _ray: Any = field(default=None, init=False, repr=False)

    def connect(self) -> None:
        """Connects, or starts a cluster.

        Raises:
            UsageError: When Ray is not installed or no cluster answers.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            import ray  # noqa: PLC0415  (an extra, and slow to import)
        except ImportError:
            raise UsageError(
                "--executor ray needs Ray; pip install 'hiar-toolkit[cluster]'"
            ) from None
        self._ray = ray
        if ray.is_initialized():
            return
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
        if self.address is not None:
            options["address"] = self.address
        elif "RAY_ADDRESS" not in os.environ:
            options |= {"num_cpus": self.jobs, "include_dashboard": False}
        where = self.address or os.environ.get("RAY_ADDRESS", "")
        try:
            _check_reachable(where)
            ray.init(**options)
        except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            raise UsageError(
                f"--ray-address {where or 'of this machine'}: no Ray cluster answers: "
                f"{_first_line(error)}"
            ) from None

    @property
    def slots(self) -> int:
        """CPUs of the cluster."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def lacks(self, job: Job) -> str:
        """Says that a job takes more GPUs than any node has; Ray would wait for ever."""
        most = max((int(n["Resources"].get("GPU", 0)) for n in self._alive()), default=0)
        if job.gpus <= most:
            return ""
        return f"needs {job.gpus} GPU on one node, and the cluster's largest has {most or 'none'}"

    def _alive(self) -> list[dict[str, Any]]:
        return [node for node in self._ray.nodes() if node["Alive"]]

    def run(
        self,
        jobs: Sequence[Job],
        settled: Mapping[str, Outcome],
        place: Workplace,
        progress: Progress,
    ) -> Iterator[Outcome]:
        """See `Executor.run`. Ray holds the graph: a task's needs are results of other tasks."""
        ray = self._ray
        cpus = max((int(node["Resources"].get("CPU", 1)) for node in self._alive()), default=1)
        settle = ray.remote(_settle)
        shared = ray.put(place)
        needs: dict[str, Any] = {name: Need.of(outcome) for name, outcome in settled.items()}
        results: dict[Any, Job] = {}
        for job in jobs:
            task = settle.options(
                name=job.name,
                num_cpus=cpus if job.exclusive else 1,
                num_gpus=job.gpus,
                max_retries=LOST_WORKER_RETRIES,
                num_returns=2,
            )
            need, result = task.remote(job, shared, *(needs[name] for name in job.needs))
            needs[job.name] = need
            results[result] = job
        try:
            while results:
                ready, _ = ray.wait(
                    list(results), num_returns=min(POLL_MANY, len(results)), timeout=TICK_S
                )
                progress.tick()
                for ref in ready:
                    yield self._result(ref, results.pop(ref))
        finally:
            for ref in results:
                ray.cancel(ref)

    def _result(self, ref: Any, job: Job) -> Outcome:
        try:
            outcome: Outcome = self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            reason = f"its worker was lost {LOST_WORKER_RETRIES + 1} times: {_first_line(error)}"
            return Outcome(job=job, status="failed", reason=reason)
        return outcome

    def close(self) -> None:
        """Leaves the cluster; ends one that was started here."""
        if self._ray is not None:
            self._ray.shutdown()


def _check_reachable(address: str) -> None:
    """Fails at once where nothing listens; Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _settle(job: Job, place: Workplace, *needs: Need) -> tuple[Need, Outcome]:
    """Runs on a worker: the job, unless it is done or a job that it needs has no outputs."""
    bad = next((need for need in needs if need.status not in ("done", "reused")), None)
    if bad is not None:
        verb = "failed" if bad.status == "failed" else "was not run"
        outcome = Outcome(job=job, status="blocked", reason=f"{bad.name} {verb}")
        return Need.of(outcome), outcome
    here = replace(place, places={**place.places, **code_places()})
    digests = {need.name: need.digest for need in needs}
    outcome = reusable(job, here, digests) or run_job(job, here, digests, Watch())
    return Need.of(outcome), outcome
