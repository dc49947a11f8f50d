"""Runs a graph of jobs: reuses done ones, sets aside those that cannot run here, runs the rest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reports.plan.jobs import Job
from reports.run.attempt import Outcome, RunContext, reusable
from reports.run.executors import Executor, dependency_digests
from reports.run.executors.local import LocalExecutor
from reports.run.progress import Progress
from reports.run.run_folder import Identity, check_identity, locked, refuse_foreign, write_identity
from reports.run.status import write_graph, write_set_aside

__all__ = ["Outcome", "run_jobs"]


def run_jobs(
    jobs: tuple[Job, ...],
    out: Path,
    paths: Mapping[str, str],
    *,
    resume: bool = True,
    executor: Executor | None = None,
    missing: Mapping[str, str] | None = None,
    identity: Identity | None = None,
    progress: Progress | None = None,
) -> dict[str, Outcome]:
    """Runs what is not done.

    Args:
        jobs: Jobs in an order in which they can run.
        out: The reproduction folder; made if need be.
        paths: What the placeholders in argv stand for.
        resume: Whether done jobs are reused; False runs all again.
        executor: Runs the jobs; by default one job at a time on this machine.
        missing: Why a requirement is not met here, by requirement; jobs that have it are not run.
        identity: What the folder must hold; None checks nothing.
        progress: Shows progress; by default on stderr.

    Returns:
        The outcome by job name. A failure stops only the jobs that depend on it.

    Raises:
        UsageError: Another process works in `out`, it holds another preset, or a file in it is in
            the way.
        KeyboardInterrupt: The user interrupted; the running jobs were stopped first.
    """
    executor = executor or LocalExecutor()
    progress = progress or Progress(jobs, slots=executor.slots)
    context = RunContext.here(out, paths, resume=resume)
    with locked(out):
        if identity is not None:
            check_identity(out, identity, resume=resume)
        refuse_foreign(out, jobs)
        if identity is not None:
            write_identity(out, identity)
        finished = _reuse(jobs, context)
        progress.skip(
            [(o.job, o.record.seconds if o.record else None) for o in finished.values()],
            "done before",
        )
        left = _set_aside(jobs, finished, missing or {}, executor, progress)
        write_graph(out, jobs, executor.slots)
        write_set_aside(out, {n: o.reason for n, o in finished.items() if not o.ok})
        for outcome in executor.run(left, finished, context, progress):
            finished[outcome.job.name] = outcome
            _report(outcome, progress)
    return {job.name: finished[job.name] for job in jobs}


def _reuse(jobs: tuple[Job, ...], context: RunContext) -> dict[str, Outcome]:
    """Finds the jobs that are done, together with all that they depend on."""
    found: dict[str, Outcome] = {}
    for job in jobs:
        if all(need in found for need in job.dependencies):
            outcome = reusable(job, context, dependency_digests(job, found))
            if outcome is not None:
                found[job.name] = outcome
    return found


def _set_aside(
    jobs: tuple[Job, ...],
    finished: dict[str, Outcome],
    missing: Mapping[str, str],
    executor: Executor,
    progress: Progress,
) -> list[Job]:
    """Marks jobs that cannot run here as blocked, and all that depend on them; returns the rest."""
    left: list[Job] = []
    reasons: dict[str, list[Job]] = {}
    for job in jobs:
        if job.name in finished:
            continue
        reason = next((missing[name] for name in job.requires if name in missing), "")
        reason = reason or executor.missing_resources(job)
        if not reason:
            bad = [n for n in job.dependencies if n in finished and finished[n].status == "blocked"]
            reason = f"{bad[0]} was not run" if bad else ""
        if reason:
            finished[job.name] = Outcome(job=job, status="blocked", reason=reason)
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
