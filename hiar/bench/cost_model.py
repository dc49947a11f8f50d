"""How long a pipeline takes, predicted from the times of its passes and of its links.

The model runs the schedule of `hiar.sampling.pipelined.stage` without the transformer: each rank is
a list of tasks with known durations, a block is handed on where the real one is, and the clock
jumps from one end of a task to the next. Ranks that outnumber the cores of a machine share them
evenly.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

from hiar.errors import UsageError
from hiar.sampling.pipelined.chain import SLOTS
from hiar.sampling.pipelined.stages import split_steps


@dataclass(frozen=True, kw_only=True)
class PassTimes:
    """Seconds of one pass over each block of a video.

    Attributes:
        denoise_s: Of the denoising pass, by block; if fused, the first block's alone counts.
        context_s: Of the context pass, by block; the last block has none.
        fused_s: Of a block's denoising with the context of the block before, by block (the
            first has none); None if passes run one by one.
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


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the passes run on.

    Attributes:
        cores: Ranks that can run at once at full speed; None if each has a device of its own.
        contention: How many times as long a pass takes while all ranks run.
        transfer_s: Of a block, from a rank to the next.
    """

    cores: int | None = None
    contention: float = 1.0
    transfer_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the model says of a run.

    Attributes:
        finished_s: When each block is clean.
        wait_s: How long each rank waits, in all.
    """

    finished_s: Sequence[float]
    wait_s: Sequence[float]

    @property
    def seconds(self) -> float:
        """The whole video."""
        return self.finished_s[-1]

    def interval_s(self, blocks: Sequence[int]) -> float:
        """Median time from one finished block to the next, over the given blocks."""
        ends = self.finished_s
        return statistics.median(ends[b] - ends[b - 1] for b in blocks if b > 0)


TaskKind = Literal["work", "receive", "send", "finish"]


@dataclass(frozen=True)
class Task:
    """One thing a rank does: work for some seconds, or pass a block on."""

    kind: TaskKind
    block: int
    seconds: float = 0.0


def rank_tasks(
    times: PassTimes, num_steps: int, *, is_first: bool, is_last: bool, slowdown: float = 1.0
) -> Iterator[Task]:
    """What a rank with that many steps does, in sequence (see `PipelineStage.blocks`)."""
    for block in range(times.num_blocks):
        if not is_first:
            yield Task("receive", block)
        denoise = times.denoise_s[block]
        if times.fused_s is not None and block > 0:
            denoise = times.fused_s[block - 1]
        yield Task("work", block, num_steps * denoise * slowdown)
        yield Task("finish" if is_last else "send", block)
        if times.fused_s is None and block + 1 < times.num_blocks:
            yield Task("work", block, num_steps * times.context_s[block] * slowdown)


def predict(times: PassTimes, machine: Machine, *, num_steps: int, num_ranks: int) -> Prediction:
    """Run the schedule of `num_ranks` ranks on a clock.

    Args:
        times: Of the passes, on one rank alone.
        machine: What they run on.
        num_steps: Denoising steps, S.
        num_ranks: 1 to S.

    Raises:
        UsageError: If a rank would own no step.
    """
    slowdown = machine.contention if num_ranks > 1 else 1.0
    ranks = [
        _Rank(
            rank_tasks(
                times, len(share), is_first=index == 0, is_last=index + 1 == num_ranks,
                slowdown=slowdown,
            )
        )
        for index, share in enumerate(split_steps(num_steps, num_ranks))
    ]  # fmt: skip
    return _Clock(ranks, machine).run()


class _Rank:
    """A rank while the clock runs: the tasks ahead of it and the blocks that come to it."""

    def __init__(self, tasks: Iterator[Task]) -> None:
        self.wait_s = 0.0
        self.arrivals_s: dict[int, float] = {}
        self.newest = -1
        """Block that it has begun last."""
        self._tasks = deque(tasks)
        self.left_s = self._tasks[0].seconds

    @property
    def task(self) -> Task | None:
        """What it is at; None when all is done."""
        return self._tasks[0] if self._tasks else None

    @property
    def is_working(self) -> bool:
        """Whether it computes; else it waits."""
        return bool(self._tasks) and self._tasks[0].kind == "work"

    def advance(self) -> None:
        """Begin the next task."""
        self._tasks.popleft()
        self.left_s = self._tasks[0].seconds if self._tasks else 0.0


class _Clock:
    """Jumps from event to event: a pass ends, or a block arrives."""

    def __init__(self, ranks: Sequence[_Rank], machine: Machine) -> None:
        self._ranks, self._machine = ranks, machine
        self._now_s = 0.0
        self._finished_s: list[float] = []

    def run(self) -> Prediction:
        """Until every rank has done all its tasks."""
        while any(rank.task for rank in self._ranks):
            while any(self._pass_on(index) for index in range(len(self._ranks))):
                pass  # what takes no time may make room for more of it
            self._jump()
        waits = [rank.wait_s for rank in self._ranks]
        return Prediction(finished_s=self._finished_s, wait_s=waits)

    def _pass_on(self, index: int) -> bool:
        """Do a rank's task if it takes no time and may be done now; whether it was."""
        rank = self._ranks[index]
        task = rank.task
        if task is None or task.kind == "work":
            return False
        if task.kind == "receive":
            if rank.arrivals_s.get(task.block, inf) > self._now_s:
                return False
            rank.newest = task.block
        elif task.kind == "send":
            following = self._ranks[index + 1]
            # SLOTS blocks leave at most, and as many find a buffer that waits for them.
            if task.block - following.newest >= 2 * SLOTS:
                return False
            following.arrivals_s[task.block] = self._now_s + self._machine.transfer_s
        else:
            self._finished_s.append(self._now_s)
        rank.advance()
        return True

    def _jump(self) -> None:
        working = [rank for rank in self._ranks if rank.is_working]
        cores = self._machine.cores
        speed = min(1.0, cores / len(working)) if cores and working else 1.0
        ends = [rank.left_s / speed for rank in working]
        arrivals = [t - self._now_s for rank in self._ranks for t in rank.arrivals_s.values()]
        step = min([*ends, *(t for t in arrivals if t > 0)], default=0.0)
        self._now_s += step
        for rank in self._ranks:
            if not rank.is_working:
                rank.wait_s += step if rank.task else 0.0
            elif rank.left_s / speed <= step:
                rank.advance()
            else:
                rank.left_s -= step * speed
