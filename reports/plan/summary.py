"""Sums up a plan before anything runs: counts, GPU-hours, disk, and what is missing."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reports.paper.spec import Preset
from reports.plan.jobs import Job, clock
from reports.plan.sample_jobs import DISK_SOURCE

PLAN_SCHEMA = "reports-plan/2"
SHARED = "(all)"
PHASES = {
    "sample": "making",
    "score": "drift",
    "gather": "VBench",
    "vbench": "VBench",
    "vbench score": "VBench",
    "proxies": "proxies",
    "long sample": "making",
    "long score": "drift",
    "lengths": "drift",
    "bench": "speed",
    "time": "speed",
    "own": "own",
}
"""Column of the plan that each kind of job counts in."""
MOST_COMMANDS = 40


@dataclass(frozen=True, kw_only=True)
class Line:
    """Sums over the jobs of one kind and run.

    Attributes:
        gpu_s: Estimated GPU-seconds left.
        cpu_s: Estimated seconds left of jobs without a GPU.
        missing: Lines that say what is missing on this machine.
    """

    run: str
    kind: str
    jobs: int
    done: int
    videos: int
    gpu_s: float
    cpu_s: float
    disk_bytes: int
    missing: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A preset's jobs, summed up.

    Attributes:
        lines: Sums by run, then kind.
        sources: What each estimate rests on, by run or kind.
        gpus: Number of GPUs that the wall-clock time is estimated for.
        jobs: All jobs, for `--json` and small plans.
        done: Whether each job is done, by name.
        longest_s: Estimated duration of the longest GPU job that is left.
        most_gpus: Number of GPUs that one of the jobs left takes at most.
    """

    preset: str
    lines: tuple[Line, ...]
    sources: Mapping[str, str]
    gpus: int
    jobs: tuple[Job, ...]
    done: Mapping[str, bool]
    paths: Mapping[str, str]
    longest_s: float = 0.0
    most_gpus: int = field(default=0)

    @property
    def gpu_s(self) -> float:
        """Estimated GPU-seconds left."""
        return sum(line.gpu_s for line in self.lines)

    @property
    def cpu_s(self) -> float:
        """Estimated seconds left of jobs without a GPU."""
        return sum(line.cpu_s for line in self.lines)

    @property
    def missing(self) -> dict[str, list[str]]:
        """What is missing, with the runs that need it."""
        found: dict[str, list[str]] = {}
        for line in self.lines:
            for reason in line.missing:
                runs = found.setdefault(reason, [])
                if line.run not in runs:
                    runs.append(line.run)
        return found

    @property
    def runnable_gpu_s(self) -> float:
        """GPU-seconds of the lines for which nothing is missing."""
        return sum(line.gpu_s for line in self.lines if not line.missing)

    def wall_s(self, gpus: int) -> float:
        """Estimates the seconds on that many GPUs: all are busy, and the longest job comes last."""
        if not self.gpu_s:
            return self.cpu_s
        return self.gpu_s / max(1, gpus) + self.longest_s


def summarise(
    preset: Preset,
    jobs: tuple[Job, ...],
    done: Mapping[str, bool],
    missing: Mapping[str, str],
    paths: Mapping[str, str],
    *,
    gpus: int,
) -> Plan:
    """Sums up a plan.

    Args:
        preset: The preset, which holds the sources of the estimates.
        jobs: All jobs.
        done: Whether a job is done, by name.
        missing: Why a requirement is not met here, by requirement.
        paths: What placeholders stand for.
        gpus: Number of GPUs that the jobs would run on.
    """
    runs = [run.name for run in preset.runs]
    groups: dict[tuple[str, str], list[Job]] = {}
    for job in sorted(jobs, key=lambda job: runs.index(job.run) if job.run else len(runs)):
        groups.setdefault((job.run or SHARED, job.kind), []).append(job)
    blocked = _blocked(jobs, missing)
    lines = [_line(run, kind, group, done, blocked) for (run, kind), group in groups.items()]
    left = [job for job in jobs if not done[job.name]]
    return Plan(
        preset=preset.name,
        lines=tuple(lines),
        sources=_sources(preset),
        gpus=gpus,
        jobs=jobs,
        done=done,
        paths=paths,
        longest_s=max((job.expected_s for job in left if job.gpus), default=0.0),
        most_gpus=max((job.gpus for job in left), default=0),
    )


def _blocked(jobs: Iterable[Job], missing: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Finds why jobs cannot run here; a job has the reasons of all that it depends on."""
    found: dict[str, tuple[str, ...]] = {}
    for job in jobs:
        reasons = dict.fromkeys(missing[name] for name in job.requires if name in missing)
        for need in job.dependencies:
            reasons.update(dict.fromkeys(found.get(need, ())))
        if reasons:
            found[job.name] = tuple(reasons)
    return found


def _line(
    run: str,
    kind: str,
    jobs: list[Job],
    done: Mapping[str, bool],
    blocked: Mapping[str, tuple[str, ...]],
) -> Line:
    left = [job for job in jobs if not done[job.name]]
    reasons = dict.fromkeys(reason for job in left for reason in blocked.get(job.name, ()))
    return Line(
        run=run,
        kind=kind,
        jobs=len(jobs),
        done=len(jobs) - len(left),
        videos=sum(job.videos for job in jobs),
        gpu_s=sum(job.expected_s * job.gpus for job in left),
        cpu_s=sum(job.expected_s for job in left if not job.gpus),
        disk_bytes=sum(job.disk_bytes for job in left),
        missing=tuple(reasons),
    )


def _sources(preset: Preset) -> dict[str, str]:
    found: dict[str, str] = {}
    for run in preset.runs:
        cost = run.cost
        found[f"videos, {cost.name}"] = f"{cost.frames_per_s:g} frames/s on {cost.device}: " + (
            cost.source
        )
    found["drift"] = f"{preset.score.cost.frames_per_s:g} frames/s: {preset.score.cost.source}"
    if preset.vbench is not None:
        each = preset.vbench.seconds_per_video_s
        found["VBench"] = f"{each:g} s a second of video, all dimensions: {preset.vbench.source}"
    if any(run.gpus for run in preset.runs):
        found["disk"] = DISK_SOURCE
    return found


def plan_record(plan: Plan) -> dict[str, Any]:
    """Returns the plan as JSON data."""
    return {
        "schema": PLAN_SCHEMA,
        "preset": plan.preset,
        "totals": {
            "jobs": len(plan.jobs),
            "done": sum(plan.done.values()),
            "videos": sum(line.videos for line in plan.lines),
            "gpu_hours": plan.gpu_s / 3600,
            "gpu_hours_without_what_is_missing": plan.runnable_gpu_s / 3600,
            "cpu_hours": plan.cpu_s / 3600,
            "disk_bytes": sum(line.disk_bytes for line in plan.lines),
            "estimates": dict(plan.sources),
        },
        "missing": plan.missing,
        "jobs": {
            job.name: {
                "state": "done" if plan.done[job.name] else "run",
                "argv": job.command(plan.paths),
                "needs": list(job.dependencies),
                "gpus": job.gpus,
                "expected_s": round(job.expected_s, 1),
            }
            for job in plan.jobs
        },
    }


def plan_text(plan: Plan) -> str:
    """Formats the plan for a terminal."""
    done = sum(plan.done.values())
    unit = "GPU-hours" if plan.gpu_s else "minutes"
    lines = [
        f"preset {plan.preset}: {len(plan.jobs):,} jobs, {done:,} done; what is left, in {unit}:",
        "",
        *_table(plan),
        "",
    ]
    parts = [*_time(plan), *_missing(plan), *_commands(plan), *_estimates(plan)]
    return "\n".join([*lines, *parts]) + "\n"


def _table(plan: Plan) -> list[str]:
    """Makes a line for each run: jobs, videos, hours by phase, disk, number of missing things."""
    runs = list(dict.fromkeys(line.run for line in plan.lines))
    phases = list(dict.fromkeys(PHASES[line.kind] for line in plan.lines))
    rows = [_row(plan, run, [line for line in plan.lines if line.run == run], phases)
            for run in runs]  # fmt: skip
    header = ("run", "jobs", "videos", *(f"{phase}" for phase in phases), "all", "GB", "missing")
    rows = [header, *rows, _row(plan, "total", list(plan.lines), phases)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    shown = ["  ".join([row[0].ljust(widths[0]),
                        *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
             for row in rows]  # fmt: skip
    return [shown[0], rule, *shown[1:-1], rule, shown[-1]]


def _row(plan: Plan, name: str, lines: list[Line], phases: list[str]) -> tuple[str, ...]:
    hours = [[line for line in lines if PHASES[line.kind] == phase] for phase in phases]
    disk = sum(line.disk_bytes for line in lines)
    missing = {reason for line in lines for reason in line.missing}
    return (
        name,
        f"{sum(line.jobs for line in lines):,}",
        f"{sum(line.videos for line in lines):,}",
        *(_hours(plan, group) for group in [*hours, lines]),
        f"{disk / 1e9:,.0f}" if disk else "",
        f"{len(missing)}" if missing else "",
    )


def _hours(plan: Plan, lines: list[Line]) -> str:
    """Formats GPU-hours, or minutes of a plan without a GPU."""
    if not plan.gpu_s:
        minutes = sum(line.cpu_s for line in lines) / 60
        return f"{minutes:.1f}" if minutes else ""
    return _figure(sum(line.gpu_s for line in lines) / 3600)


def _figure(hours: float) -> str:
    if not hours:
        return ""
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.1f}" if hours >= 0.05 else "<0.1"


def _commands(plan: Plan) -> list[str]:
    """Lists each job's command, where there are few."""
    if len(plan.jobs) > MOST_COMMANDS:
        return [f"{len(plan.jobs):,} commands: --json lists them", ""]
    lines = []
    for job in plan.jobs:
        state = "done" if plan.done[job.name] else "run"
        lines += [f"{state:<5}{job.name}", f"     {shlex.join(job.command(plan.paths))}"]
    return [*lines, ""]


def _time(plan: Plan) -> list[str]:
    if not plan.gpu_s:
        return [f"about {clock(plan.cpu_s)} with one job at a time", ""]
    left = sum(1 for job in plan.jobs if job.gpus and not plan.done[job.name])
    shown = {n for n in (1, 8, 64) if plan.most_gpus <= n <= left} | {plan.gpus, plan.most_gpus}
    times = ", ".join(f"{clock(plan.wall_s(n))} on {n}" for n in sorted(shown) if n)
    lines = [f"about {times} GPU, were nothing missing and all of them busy"]
    if plan.most_gpus > 1:
        lines.append(f"one job takes {plan.most_gpus} GPUs at once")
    if plan.missing:
        lines.append(
            f"{_figure(plan.runnable_gpu_s / 3600) or 'nothing'} GPU-h of it could start here now"
        )
    return [*lines, ""]


def _missing(plan: Plan) -> list[str]:
    if not plan.missing:
        return []
    lines = ["missing here (the jobs that need it are not run; their cells say so):"]
    for reason, runs in plan.missing.items():
        shown = ", ".join(runs[:4]) + (f" and {len(runs) - 4} more" if len(runs) > 4 else "")
        lines += [f"  {reason}", f"      for {shown}"]
    if any("DATA/" in reason for reason in plan.missing):
        lines.append(f"  DATA is {plan.paths['data']}; --data names another folder")
    return [*lines, ""]


def _estimates(plan: Plan) -> list[str]:
    lines = ["estimates, not measurements; they rest on"]
    return [*lines, *(f"  {name}: {source}" for name, source in plan.sources.items())]
