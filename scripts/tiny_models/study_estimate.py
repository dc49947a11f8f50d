"""What a whole study would take on this machine: a few steps of every run, timed, times the rest.

Time is the process's own processor time, which a busy machine stretches less than the clock.
"""

from __future__ import annotations

import contextlib
import io
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tiny_models.study import StudyConfig, StudyRun, study_runs

from hiar.errors import UsageError
from hiar.training.run.monitor import LOG, read_lines

NUM_PROMPTS = 8
CYCLES = 2
"""Steps of the student that are timed; the first also warms up."""


@dataclass(frozen=True, kw_only=True)
class RunEstimate:
    """What one run would take.

    Attributes:
        name: Name of the run.
        steps: Training steps of the whole run; for the trajectories, their number.
        step_s: Processor seconds a step, over student and critic as they alternate.
        samples_s: Seconds of all its previews.
        is_shared: Whether students begin with what it makes, so that they wait for it.
    """

    name: str
    steps: int
    step_s: float
    samples_s: float = 0.0
    is_shared: bool = False

    @property
    def seconds(self) -> float:
        """Seconds of the whole run."""
        return self.steps * self.step_s + self.samples_s


def estimate(study: StudyConfig) -> Iterator[RunEstimate]:
    """Times every run of a study, one after another; the first seed stands for all.

    Only the first student is sampled: a preview of the others takes as long.
    """
    whole = {run.name: run for run in study_runs(study)}
    distilled = [run.config for run in whole.values() if run.model and run.config]
    every = max(config.stage_config.generator_every for config in distilled)
    preview_s = None
    with TemporaryDirectory(prefix="hiar-estimate-") as folder:
        small = replace(
            study, work=Path(folder), num_prompts=NUM_PROMPTS, ode_steps=4,
            seeds=study.seeds[:1], steps=CYCLES * every,
        )  # fmt: skip
        unsampled = replace(small, common=(*small.common, "run.sample_every=0"))
        for sampled, quiet in zip(study_runs(small), study_runs(unsampled), strict=True):
            again = sampled.model is not None and preview_s is not None
            found = _measure(quiet if again else sampled, whole[sampled.name], study.num_prompts)
            if sampled.model is None:
                yield replace(found, is_shared=True)
                continue
            previews = _num_previews(whole[sampled.name])
            preview_s = found.samples_s / previews if preview_s is None else preview_s
            for seed in study.seeds:
                name = f"{sampled.model.name}-s{seed}"
                yield replace(found, name=name, samples_s=preview_s * previews)


def format_estimate(estimates: Sequence[RunEstimate], jobs: int) -> str:
    """A line a run, and the hours of all with so many processes side by side."""
    lines = [f"{'run':<28}{'steps':>7}{'s/step':>9}{'samples':>9}{'minutes':>9}"]
    lines += [
        f"{e.name:<28}{e.steps:>7}{e.step_s:>9.2f}{e.samples_s:>8.0f}s{e.seconds / 60:>9.1f}"
        for e in estimates
    ]
    shared = sum(e.seconds for e in estimates if e.is_shared)
    rows = [e.seconds for e in estimates if not e.is_shared]
    total = shared + max([sum(rows) / jobs, *rows], default=0.0)
    lines.append(
        f"{total / 3600:.2f} h with {jobs} processes, a core each; "
        f"{sum(e.seconds for e in estimates) / 3600:.2f} h of processor time"
    )
    return "\n".join(lines) + "\n"


def _measure(run: StudyRun, full: StudyRun, num_prompts: int) -> RunEstimate:
    began = time.process_time()
    _run_here(run)
    spent = time.process_time() - began
    if run.config is None or full.config is None:
        return RunEstimate(name=run.name, steps=num_prompts, step_s=spent / NUM_PROMPTS)
    lines = read_lines(run.out / LOG)
    steps_s = sum(line["processor_seconds"] for line in lines)
    # The short run has two, before and after; its start is counted with them.
    return RunEstimate(
        name=run.name, steps=full.steps, step_s=steps_s / len(lines),
        samples_s=(spent - steps_s) / 2 * _num_previews(full),
    )  # fmt: skip


def _num_previews(run: StudyRun) -> int:
    """Previews of a whole training, the first before it begins."""
    every = run.config.run.sample_every if run.config else 0
    return 1 + math.ceil(run.steps / (every or run.steps))


def _run_here(run: StudyRun) -> None:
    from hiar.cli.main import main

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(list(run.argv))
    if code:
        raise UsageError(f"{run.name} failed: {said.getvalue().strip().splitlines()[-1]}")
