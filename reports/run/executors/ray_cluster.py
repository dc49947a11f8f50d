"""Runs jobs on a Ray cluster, which chooses their nodes and reruns them when a node is lost.

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
from reports.plan.paths import code_paths
from reports.run.attempt import Outcome, RunContext, Watch, reusable, run_job
from reports.run.progress import Progress

LOST_WORKER_RETRIES = 3
"""Retries of a job whose worker or node died; a failure of the job counts by its own `retries`."""
TICK_S = 0.5
POLL_MANY = 64
CONNECT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Dependency:
    """What a job must know of one that it depends on; small, since it travels over the network."""

    name: str
    status: str
    digest: str

    @classmethod
    def of(cls, outcome: Outcome) -> Dependency:
        """Takes what is needed from an outcome."""
        digest = outcome.record.digest if outcome.ok and outcome.record else ""
        return cls(name=outcome.job.name, status=outcome.status, digest=digest)


@dataclass(kw_only=True)
class RayExecutor:
    """Runs jobs on a Ray cluster.

    Attributes:
        address: Address of a running cluster, `auto` for the one on this machine. None takes
            RAY_ADDRESS; without it a cluster of this machine alone is started, and ended with us.
        jobs: Number of CPUs of the cluster that is started here.
    """

    address: str | None = None
    jobs: int | None = None
    _ray: Any = field(default=None, init=False, repr=False)

    def connect(self) -> None:
        """Connects, or starts a cluster.

        Raises:
            UsageError: Ray is not installed, or no cluster answers.
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
        """Number of CPUs of the cluster."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def missing_resources(self, job: Job) -> str:
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
        finished: Mapping[str, Outcome],
        context: RunContext,
        progress: Progress,
    ) -> Iterator[Outcome]:
        """Implements `Executor.run`. Ray holds the graph: tasks take the results of other tasks."""
        ray = self._ray
        cpus = max((int(node["Resources"].get("CPU", 1)) for node in self._alive()), default=1)
        run = ray.remote(_run_or_reuse)
        shared = ray.put(context)
        dependencies: dict[str, Any] = {
            name: Dependency.of(outcome) for name, outcome in finished.items()
        }
        results: dict[Any, Job] = {}
        for job in jobs:
            task = run.options(
                name=job.name,
                num_cpus=cpus if job.exclusive else 1,
                num_gpus=job.gpus,
                max_retries=LOST_WORKER_RETRIES,
                num_returns=2,
            )
            dependency, result = task.remote(
                job, shared, *(dependencies[name] for name in job.dependencies)
            )
            dependencies[job.name] = dependency
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
    """Raises at once where nothing listens; Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _run_or_reuse(
    job: Job, context: RunContext, *dependencies: Dependency
) -> tuple[Dependency, Outcome]:
    """Runs the job on a worker, unless it is done or one that it depends on has no outputs."""
    bad = next((one for one in dependencies if one.status not in ("done", "reused")), None)
    if bad is not None:
        verb = "failed" if bad.status == "failed" else "was not run"
        outcome = Outcome(job=job, status="blocked", reason=f"{bad.name} {verb}")
        return Dependency.of(outcome), outcome
    here = replace(context, paths={**context.paths, **code_paths()})
    digests = {one.name: one.digest for one in dependencies}
    outcome = reusable(job, here, digests) or run_job(job, here, digests, Watch())
    return Dependency.of(outcome), outcome
