"""Who runs the jobs: this machine (`local`) or a Ray cluster (`ray_cluster`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from reports.plan.jobs import Job
from reports.run.attempt import Outcome, Workplace
from reports.run.progress import Progress


class Executor(Protocol):
    """Runs a graph of jobs, each as soon as what it needs is there and there is room."""

    @property
    def slots(self) -> int:
        """How many jobs may run at once, for the time left."""
        ...

    def lacks(self, job: Job) -> str:
        """Says which resource of a job is more than there is at all, else empty."""
        ...

    def run(
        self,
        jobs: Sequence[Job],
        settled: Mapping[str, Outcome],
        place: Workplace,
        progress: Progress,
    ) -> Iterator[Outcome]:
        """Runs jobs to their end.

        Args:
            jobs: In an order in which they can run.
            settled: Outcomes of jobs that are not among them but are needed.
            place: Where.
            progress: Hears of starts, and of time that passes.

        Yields:
            Each outcome when it is known; a failed job never stops one that does not need it.
        """
        ...


def blocked_by(job: Job, outcomes: Mapping[str, Outcome]) -> Outcome | None:
    """The outcome of a job that cannot run since one that it needs has no outputs."""
    for need in job.needs:
        if not outcomes[need].ok:
            verb = "failed" if outcomes[need].status == "failed" else "was not run"
            return Outcome(job=job, status="blocked", reason=f"{need} {verb}")
    return None


def digests(job: Job, outcomes: Mapping[str, Outcome]) -> dict[str, str]:
    """Digests of the outputs of the jobs that this one needs."""
    found = {}
    for need in job.needs:
        record = outcomes[need].record
        assert record is not None, need  # it is ok, or the job is blocked
        found[need] = record.digest
    return found
