"""How long a pipeline takes, predicted from the times of its passes and of its links.

The model runs the tasks of `hiar.sampling.pipelined.tasks`, as the real pipeline does, on a clock
and without the transformer: the duration of each task is known, and the clock jumps from the end of
one task to the end of the next. Ranks that outnumber the cores of a machine share them evenly.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from hiar.errors import UsageError
from hiar.sampling.pipelined.links import SLOTS
from hiar.sampling.pipelined.tasks import Task, rank_tasks, split_steps
from hiar.sampling.pipelined.timeline import PASSES
from hiar.sampling.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class PassTimes:
    """Seconds of one pass over each block of a video.

    Attributes:
        denoise_s: Seconds of a denoising pass, by block; if passes are fused, only the first
            block's counts.
        context_s: Seconds of a context pass, by block; the last block has none.
        fused_s: Seconds of a block's denoising pass fused with the context pass of the block
            before, from the second block on; None if passes run one by one.
    """

    denoise_s: Sequence[float]
    context_s: Sequence[float]
    fused_s: Sequence[float] | None = None

    def __post_init__(self) -> None:
        between = self.context_s if self.fused_s is None else self.fused_s
        if len(between) != self.num_blocks - 1:
            raise UsageError(
                f"{self.num_blocks} blocks with {len(between)} context passes: every block but the "
                "last one is context"
            )

    @property
    def num_blocks(self) -> int:
        """Blocks of the video."""
        return len(self.denoise_s)

    def seconds(self, task: Task) -> float:
        """Seconds of a task; 0 of one that runs no pass."""
        if task.kind == "denoise":
            return self.denoise_s[task.block]
        if task.kind == "context":
            return self.context_s[task.block]
        if task.kind == "fused":
            assert self.fused_s is not None
            return self.fused_s[task.block - 1]
        return 0.0


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the passes run on.

    Attributes:
        cores: Ranks that can run at once at full speed; None if each has a device of its own.
        contention: How many times as long a pass takes while all ranks run.
        transfer_s: Seconds that a block takes from a rank to the next.
    """

    cores: int | None = None
    contention: float = 1.0
    transfer_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the model says of a run.

    Attributes:
        finished_s: Seconds from the start until each block is clean.
        wait_s: Seconds that each rank waits in all.
        passes: Every pass: its rank, its task, and when it begins and ends.
    """

    finished_s: Sequence[float]
    wait_s: Sequence[float]
    passes: Sequence[tuple[int, Task, float, float]]

    @property
    def seconds(self) -> float:
        """Seconds of the whole video."""
        return self.finished_s[-1]

    def interval_s(self, blocks: Sequence[int]) -> float:
        """Median time from one finished block to the next, over the given blocks."""
        return interval_s(self.finished_s, blocks)


def interval_s(ends_s: Sequence[float], blocks: Sequence[int]) -> float:
    """Median time from the end of one block to that of the next, over the given blocks."""
    return statistics.median(ends_s[b] - ends_s[b - 1] for b in blocks if b > 0)


def predict(times: PassTimes, machine: Machine, *, num_steps: int, num_ranks: int) -> Prediction:
    """Run the tasks of `num_ranks` ranks on a clock.

    Args:
        times: Seconds of each pass on one rank alone.
        machine: What the passes run on.
        num_steps: Denoising steps, S.
        num_ranks: Ranks, from 1 to S.

    Raises:
        UsageError: If a rank would own no step.
    """
    slowdown = machine.contention if num_ranks > 1 else 1.0
    # The order is `diagonal` with context at each step's output level, as `hiar bench` times it.
    stages = tuple(range(step, step + 1) for step in range(num_steps))
    schedule = Schedule(stages=stages, context="output", by_wave=True)
    ranks = []
    for steps in split_steps(num_steps, num_ranks):
        tasks = rank_tasks(schedule, steps, times.num_blocks, fused=times.fused_s is not None)
        ranks.append(_Rank((task, times.seconds(task) * slowdown) for task in tasks))
    return _Clock(ranks, machine).run()


class _Rank:
    """A rank while the clock runs: the tasks ahead of it and the blocks that come to it.

    Args:
        tasks: Tasks of the rank, each with the seconds that it takes at full speed.
    """

    def __init__(self, tasks: Iterable[tuple[Task, float]]) -> None:
        self.wait_s = 0.0
        self.arrivals_s: dict[int, float] = {}
        """When each block arrives from the rank before."""
        self.newest = -1
        """Block that it has begun last."""
        self._tasks = deque(tasks)
        self.left_s = self._tasks[0][1]
        """Seconds of work, at full speed, that are left of the present task."""
        self.since_s = 0.0
        """When the present task began."""

    @property
    def task(self) -> Task | None:
        """The present task; None when all is done."""
        return self._tasks[0][0] if self._tasks else None

    @property
    def is_working(self) -> bool:
        """Whether it computes; else it waits or is done."""
        return self.task is not None and self.task.kind in PASSES

    def advance(self, now_s: float) -> None:
        """Begin the next task."""
        self._tasks.popleft()
        self.since_s = now_s
        self.left_s = self._tasks[0][1] if self._tasks else 0.0


class _Clock:
    """Jumps from event to event: a pass ends, or a block arrives."""

    def __init__(self, ranks: Sequence[_Rank], machine: Machine) -> None:
        self._ranks, self._machine = ranks, machine
        self._now_s = 0.0
        self._finished_s: list[float] = []
        self._passes: list[tuple[int, Task, float, float]] = []

    def run(self) -> Prediction:
        """Run until every rank has done all its tasks."""
        while any(rank.task for rank in self._ranks):
            # A task that takes no time may allow another rank to go on, at the same time.
            while any(self._finish_at_once(index) for index in range(len(self._ranks))):
                pass
            self._jump()
        waits = [rank.wait_s for rank in self._ranks]
        return Prediction(finished_s=self._finished_s, wait_s=waits, passes=self._passes)

    def _finish_at_once(self, index: int) -> bool:
        """Do a rank's present task if it takes no time and may be done now.

        Returns:
            Whether it was done.
        """
        rank = self._ranks[index]
        task = rank.task
        if task is None or rank.is_working:
            return False
        if task.kind == "begin" and index > 0:
            if rank.arrivals_s.get(task.block, inf) > self._now_s:
                return False
            rank.newest = task.block
        elif task.kind == "deliver" and index + 1 < len(self._ranks):
            following = self._ranks[index + 1]
            # At most SLOTS blocks leave, and as many find a buffer that waits for them.
            if task.block - following.newest >= 2 * SLOTS:
                return False
            following.arrivals_s[task.block] = self._now_s + self._machine.transfer_s
        elif task.kind == "deliver":
            self._finished_s.append(self._now_s)
        rank.advance(self._now_s)
        return True

    def _jump(self) -> None:
        """Move the clock to the next event, and the work of every rank with it."""
        working = [rank for rank in self._ranks if rank.is_working]
        cores = self._machine.cores
        speed = min(1.0, cores / len(working)) if cores and working else 1.0
        ends = [rank.left_s / speed for rank in working]
        arrivals = [t - self._now_s for rank in self._ranks for t in rank.arrivals_s.values()]
        step = min([*ends, *(t for t in arrivals if t > 0)], default=0.0)
        self._now_s += step
        for index, rank in enumerate(self._ranks):
            if rank.task is None:
                continue
            if not rank.is_working:
                rank.wait_s += step
            elif rank.left_s / speed <= step:
                self._passes.append((index, rank.task, rank.since_s, self._now_s))
                rank.advance(self._now_s)
            else:
                rank.left_s -= step * speed
