"""Where jobs run: on this machine (`local`) or on a Ray cluster (`ray_cluster`).

Imports `reports.run` and `reports.plan`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from reports.plan.jobs import Job
from reports.run.attempt import Outcome, RunContext
from reports.run.progress import Progress


class Executor(Protocol):
    """Runs a graph of jobs, each as soon as its dependencies are done and there is room."""

    @property
    def slots(self) -> int:
        """Number of jobs that may run at once; the estimate of the time left follows it."""
        ...

    def missing_resources(self, job: Job) -> str:
        """Says which resource a job takes more of than there is at all; empty if there is none."""
        ...

    def run(
        self,
        jobs: Sequence[Job],
        finished: Mapping[str, Outcome],
        context: RunContext,
        progress: Progress,
    ) -> Iterator[Outcome]:
        """Runs jobs to their end.

        Args:
            jobs: Jobs in an order in which they can run.
            finished: Outcomes of the other jobs that these depend on.
            context: Folder and paths that the jobs run with.
            progress: Told when a job starts and while time passes.

        Yields:
            Each outcome as soon as it is known; a failed job stops only those that depend on it.
        """
        ...


def blocked_by(job: Job, outcomes: Mapping[str, Outcome]) -> Outcome | None:
    """Returns the outcome of a job that cannot run, since one that it depends on has no outputs."""
    for need in job.dependencies:
        if not outcomes[need].ok:
            verb = "failed" if outcomes[need].status == "failed" else "was not run"
            return Outcome(job=job, status="blocked", reason=f"{need} {verb}")
    return None


def dependency_digests(job: Job, outcomes: Mapping[str, Outcome]) -> dict[str, str]:
    """Returns the digests of the outputs of the jobs that this one depends on."""
    found = {}
    for need in job.dependencies:
        record = outcomes[need].record
        assert record is not None, need  # a job with a failed dependency is blocked before
        found[need] = record.digest
    return found
