"""Runs a graph of jobs: reuses what is done, sets aside what cannot run here, hands on the rest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reports.plan.jobs import Job
from reports.run.attempt import Outcome, Workplace, reusable
from reports.run.executors import Executor, digests
from reports.run.executors.local import LocalExecutor
from reports.run.progress import Progress
from reports.run.run_folder import Identity, check_identity, locked, refuse_foreign, write_identity
from reports.run.status import write_graph, write_set_aside

__all__ = ["Outcome", "run_jobs"]


def run_jobs(
    jobs: tuple[Job, ...],
    out: Path,
    places: Mapping[str, str],
    *,
    resume: bool = True,
    executor: Executor | None = None,
    missing: Mapping[str, str] | None = None,
    identity: Identity | None = None,
    progress: Progress | None = None,
) -> dict[str, Outcome]:
    """Runs what is not done.

    Args:
        jobs: In an order in which they can run.
        out: The reproduction folder; made if need be.
        places: What the placeholders in argv stand for.
        resume: Reuse done jobs; False runs all again.
        executor: Who runs them; one job at a time on this machine by default.
        missing: Why a requirement is not met here, by requirement; a job that has it is not run.
        identity: What the folder holds; None asks for none.
        progress: Where progress goes.

    Returns:
        The outcome by job name. A failure never stops a job that does not need it.

    Raises:
        UsageError: When another process works in `out`, it holds another preset, or a file in it
            is in the way.
        KeyboardInterrupt: After the running jobs were stopped.
    """
    executor = executor or LocalExecutor()
    progress = progress or Progress(jobs, slots=executor.slots)
    place = Workplace.here(out, places, resume=resume)
    with locked(out):
        if identity is not None:
            check_identity(out, identity, resume=resume)
        refuse_foreign(out, jobs)
        if identity is not None:
            write_identity(out, identity)
        settled = _reuse(jobs, place)
        progress.skip(
            [(o.job, o.record.seconds if o.record else None) for o in settled.values()],
            "done before",
        )
        left = _set_aside(jobs, settled, missing or {}, executor, progress)
        write_graph(out, jobs, executor.slots)
        write_set_aside(out, {n: o.reason for n, o in settled.items() if not o.ok})
        for outcome in executor.run(left, settled, place, progress):
            settled[outcome.job.name] = outcome
            _report(outcome, progress)
    return {job.name: settled[job.name] for job in jobs}


def _reuse(jobs: tuple[Job, ...], place: Workplace) -> dict[str, Outcome]:
    """Finds the jobs that are done, and whose needs are."""
    found: dict[str, Outcome] = {}
    for job in jobs:
        if all(need in found for need in job.needs):
            outcome = reusable(job, place, digests(job, found))
            if outcome is not None:
                found[job.name] = outcome
    return found


def _set_aside(
    jobs: tuple[Job, ...],
    settled: dict[str, Outcome],
    missing: Mapping[str, str],
    executor: Executor,
    progress: Progress,
) -> list[Job]:
    """Settles jobs that cannot run here, and all that need them; returns the rest."""
    left: list[Job] = []
    reasons: dict[str, list[Job]] = {}
    for job in jobs:
        if job.name in settled:
            continue
        reason = next((missing[name] for name in job.requires if name in missing), "")
        reason = reason or executor.lacks(job)
        if not reason:
            bad = [n for n in job.needs if n in settled and settled[n].status == "blocked"]
            reason = f"{bad[0]} was not run" if bad else ""
        if reason:
            settled[job.name] = Outcome(job=job, status="blocked", reason=reason)
            reasons.setdefault(reason if not reason.endswith("not run") else "", []).append(job)
        else:
            left.append(job)
    for reason, blocked in reasons.items():
        what = f"not run: {reason}" if reason else "not run, since they need those"
        progress.skip([(job, None) for job in blocked], what)
    return left


def _report(outcome: Outcome, progress: Progress) -> None:
    seconds = outcome.record.seconds if outcome.record and outcome.ok else None
    status = {"reused": "done before", "blocked": f"not run, {outcome.reason}"}.get(
        outcome.status, outcome.status
    )
    progress.finish(outcome.job, status, seconds)
