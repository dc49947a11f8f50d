"""The training loop: steps, log, checkpoints, samples. A run that was cut off is resumed.

The loop knows nothing of what a stage computes. A step's draws are keyed by its number, so going on
from a checkpoint repeats exactly what an unbroken run would have done.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from hiar.errors import UsageError
from hiar.runtime.device import peak_memory_bytes, reset_peak_memory
from hiar.runtime.progress import Progress
from hiar.training.run.checkpoints import last_step, load_checkpoint, save_checkpoint, save_weights
from hiar.training.run.sharding import mean_over_ranks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hiar.runtime.ranks import Ranks
    from hiar.training.run.settings import Operation
    from hiar.training.stages.stage import Stage


class Monitor(Protocol):
    """Receiver of a run's metrics and samples."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Record the metrics of a step."""
        ...

    def sample(self, step: int) -> None:
        """Sample videos with the network as it is after `step` training steps."""
        ...

    def rewind(self, step: int) -> None:
        """Drop the records of steps from `step` on, which are run again."""
        ...


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        first_step: Training steps done before this part of the run.
        steps: Training steps in all.
        weights: Weight files written.
        seconds: Wall-clock seconds of this part.
    """

    first_step: int
    steps: int
    weights: tuple[Path, ...]
    seconds: float


def run_stage(
    stage: Stage,
    out: Path,
    *,
    steps: int,
    operation: Operation,
    monitor: Monitor,
    ranks: Ranks,
    device: torch.device,
) -> RunResult:
    """Run a stage to its last step, from its newest checkpoint if there is one.

    Args:
        stage: Networks, their optimisers and a training step.
        out: Folder of the run.
        steps: Training steps in all.
        operation: When to save, sample and log.
        monitor: Receiver of metrics and samples, called in every process.
        ranks: This process among its peers.
        device: Device of this process.

    Raises:
        UsageError: If a metric is not finite; the step is named, and no checkpoint is written.
    """
    started = time.monotonic()
    first = ranks.from_first(last_step(out)) or 0
    if first:
        load_checkpoint(out, first, stage)
    monitor.rewind(first)
    if operation.sample_every and not first:
        monitor.sample(0)
    progress = Progress("training", sys.stderr if ranks.is_first else None)
    progress.start(max(0, steps - first))
    for step in range(first, steps):
        metrics = timed_step(stage, step, device, ranks)
        check_finite(step, metrics, out)
        if (step + 1) % operation.log_every == 0 or step + 1 == steps:
            monitor.log(step, metrics)
        if operation.sample_every and is_due(step, operation.sample_every, steps):
            monitor.sample(step + 1)
        if is_due(step, operation.checkpoint_every, steps):
            save_checkpoint(out, step + 1, stage, ranks, keep=operation.keep_checkpoints)
        progress.advance(note(metrics))
    progress.finish()
    weights = save_weights(out, stage, ranks)
    return RunResult(first, steps, tuple(weights), time.monotonic() - started)


def timed_step(stage: Stage, step: int, device: torch.device, ranks: Ranks) -> dict[str, float]:
    """One step: its metrics averaged over the processes, its seconds and its peak memory."""
    reset_peak_memory(device)
    started, worked = time.perf_counter(), time.process_time()
    metrics = mean_over_ranks(stage.run_step(step), ranks)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return metrics | {
        "seconds": time.perf_counter() - started,
        "processor_seconds": time.process_time() - worked,
        "peak_memory_bytes": float(peak_memory_bytes(device)),
    }


def check_finite(step: int, metrics: Mapping[str, Any], out: Path) -> None:
    """Stop the run at the first metric that is not finite.

    Raises:
        UsageError: Naming the step and the metric.
    """
    for name, value in metrics.items():
        if not math.isfinite(value):
            saved = last_step(out)
            kept = f"the checkpoint after step {saved} is kept" if saved else "nothing was saved"
            raise UsageError(
                f"step {step}: {name} is {value}: training stopped and {kept}; lower the learning "
                "rate or the clip norm, use float32, or look at the data of this step"
            )


def is_due(step: int, every: int, steps: int) -> bool:
    """Whether something that happens every so many steps, and at the end, happens after `step`."""
    return (step + 1) % every == 0 or step + 1 == steps


def note(metrics: Mapping[str, float]) -> str:
    """The losses among the metrics, for the progress line."""
    losses = [name for name in sorted(metrics) if "loss" in name]
    return ", ".join(f"{name} {metrics[name]:.4f}" for name in losses)
