"""The processes of a pipeline: how they join, talk to their neighbours, and end when one is lost.

torchrun starts them; each is a rank. Blocks pass from a rank to the next one by asynchronous
point-to-point transfers, over NCCL between GPUs and over gloo between CPUs.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import torch

from hiar.command_line import INTERRUPTED, exit_code_of, line_of
from hiar.errors import RankLostError, UsageError
from hiar.runtime.ranks import (
    Ranks,
    check_alike,
    claims_last_word,
    ignore_stops,
    join,
    num_ranks_of,
)
from hiar.sampling.pipelined.stages import split_steps

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store
    from torch.distributed import Work

T = TypeVar("T")
SLOTS = 2
"""Blocks on their way to a neighbour at most: one arrives while one is worked on."""
POLL_S = 2e-4
GRACE_S = 1.0
"""A rank that is told to stop leaves the word that long to one that knows why."""


@dataclass(frozen=True, kw_only=True)
class Chain(Ranks):
    """This process among those of a pipeline.

    Attributes:
        timeout_s: Longest wait for a neighbour's block.
        store: Where the ranks keep notes for one another; None alone.
    """

    timeout_s: float = 600.0
    store: Store | None = field(default=None, repr=False)

    @property
    def is_last(self) -> bool:
        """Whether blocks end here, clean."""
        return self.rank + 1 == self.num_ranks

    @property
    def is_pipeline(self) -> bool:
        """Whether the processes share each video's steps, not the list."""
        return True

    @property
    def gets_videos(self) -> bool:
        """Whether finished videos come out at this process."""
        return self.is_last

    def num_own_steps(self, num_steps: int) -> int:
        """Denoising steps of a video that this process runs."""
        return len(split_steps(num_steps, self.num_ranks)[self.rank])

    def share(self, items: Sequence[T]) -> list[T]:
        """All items: every process has a part in each."""
        return list(items)

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, in every rank."""
        if self.num_ranks == 1:
            return [value]
        from torch import distributed  # noqa: PLC0415

        values: list[Any] = [None] * self.num_ranks
        distributed.all_gather_object(values, value)
        return values

    def claims_last_word(self) -> bool:
        """Whether this rank is the first to report how the run ended."""
        return self.store is None or claims_last_word(self.store, self.rank, self.num_ranks)


def check_same(chain: Chain, facts: Mapping[str, Any]) -> None:
    """Raise, in every rank, unless all have the same settings, weights and devices.

    Args:
        chain: The ranks.
        facts: What must agree, by name.

    Raises:
        UsageError: Names the first fact that differs and its values.
    """
    check_alike(chain.gather(dict(facts)))


class ChainLinks:
    """Blocks from the rank before and to the rank after, double-buffered.

    Args:
        chain: The ranks.
        block_shape: Of a block, [B, F, C, H, W]; blocks are float32.
        num_blocks: That will be received; None for no end.
        device: Of the blocks.
    """

    def __init__(
        self,
        chain: Chain,
        block_shape: Sequence[int],
        *,
        num_blocks: int | None,
        device: torch.device,
    ) -> None:
        self._chain, self._num_blocks, self._device = chain, num_blocks, device
        self._buffers: list[torch.Tensor] = []
        self._arriving: deque[Work] = deque()
        self._leaving: deque[tuple[torch.Tensor, Work]] = deque()
        if not self.is_first:
            self._buffers = [torch.empty(tuple(block_shape), device=device) for _ in range(SLOTS)]
            self._expect(0)

    @property
    def is_first(self) -> bool:
        """Whether blocks begin here, as noise."""
        return self._chain.is_first

    @property
    def is_last(self) -> bool:
        """Whether blocks end here, clean."""
        return self._chain.is_last

    def receive(self, block: int) -> torch.Tensor:
        """The latents of a block; the one after it begins to arrive, where the last one lay."""
        self._expect(block + 1)
        self._wait(self._arriving.popleft(), self._chain.rank - 1, block)
        return self._buffers[block % SLOTS]

    def await_slot(self, block: int) -> None:
        """Return when a further block may be handed on."""
        while len(self._leaving) >= SLOTS:
            self._wait(self._leaving[0][1], self._chain.rank + 1, block)
            self._leaving.popleft()

    def send(self, block: int, latents: torch.Tensor) -> None:
        """Hand a block on, without waiting for its arrival."""
        from torch import distributed  # noqa: PLC0415

        latents = latents.contiguous()
        with _named(self._chain, self._chain.rank + 1, block):
            work = distributed.isend(latents, self._chain.rank + 1)
        assert work is not None
        self._leaving.append((latents, work))  # the tensor must live until it has gone

    def finish(self, block: int) -> None:
        """Return when all that was handed on has gone."""
        while self._leaving:
            self._wait(self._leaving[0][1], self._chain.rank + 1, block)
            self._leaving.popleft()

    def _expect(self, block: int) -> None:
        if self._num_blocks is not None and block >= self._num_blocks:
            return
        from torch import distributed  # noqa: PLC0415

        with _named(self._chain, self._chain.rank - 1, block):
            work = distributed.irecv(self._buffers[block % SLOTS], self._chain.rank - 1)
        assert work is not None
        self._arriving.append(work)

    def _wait(self, work: Work, peer: int, block: int) -> None:
        """Wait for a transfer, no longer than the chain's timeout."""
        timeout_s = self._chain.timeout_s
        if self._device.type == "cuda":  # its wait() only queues one on the GPU
            give_up = time.monotonic() + timeout_s
            while not work.is_completed():
                if time.monotonic() > give_up:
                    raise RankLostError(_silent(self._chain, peer, block))
                time.sleep(POLL_S)
        with _named(self._chain, peer, block):
            work.wait(timedelta(seconds=timeout_s))


@contextmanager
def _named(chain: Chain, peer: int, block: int) -> Iterator[None]:
    """Turn an error of the transport into one that says who is lost."""
    try:
        yield
    except RuntimeError as error:
        if "imed out" in str(error) or "timeout" in str(error):
            raise RankLostError(_silent(chain, peer, block)) from error
        raise RankLostError(
            f"rank {chain.rank} lost rank {peer} at block {block}: it ended or was killed; "
            "what was finished before is kept; run the same command again"
        ) from error


def _silent(chain: Chain, peer: int, block: int) -> str:
    return (
        f"rank {chain.rank} heard nothing of rank {peer} for {chain.timeout_s:g} s at block "
        f"{block}: it hangs, or a block takes longer (then raise --rank-timeout); what was "
        "finished before is kept"
    )


@contextmanager
def joined_chain(
    device: str,
    *,
    timeout_s: float = 600.0,
    same: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Iterator[Chain]:
    """The processes that torchrun started, joined as a pipeline; one alone without torchrun.

    However many ranks fail, one of them says why, in one line, and all end.

    Args:
        device: Kind of device of every rank: cpu, or cuda.
        timeout_s: Longest wait for a neighbour's block.
        same: What all ranks must have been started with, by name.
        environment: What torchrun set.

    Raises:
        UsageError: As `join`; and what the block raises.
    """
    if not timeout_s > 0:
        raise UsageError(f"--rank-timeout {timeout_s:g} must be above 0 s")
    num_ranks = num_ranks_of(environment)
    use_one_thread(device, environment)
    if num_ranks == 1:
        yield Chain(timeout_s=timeout_s)
        return
    backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
    store, rank, num_ranks = join(backend, same or {}, environment)
    chain = Chain(rank=rank, num_ranks=num_ranks, timeout_s=timeout_s, store=store)
    try:
        yield chain
    except KeyboardInterrupt:
        _leave(chain, INTERRUPTED, f"rank {rank} was told to stop: another one ended, or you")
    except Exception as error:
        code = exit_code_of(error)
        if code is None:
            raise
        _leave(chain, code, line_of(error), error)
    from torch import distributed  # noqa: PLC0415

    distributed.destroy_process_group()


def free_gpu(
    device: torch.device, environment: Mapping[str, str] = os.environ
) -> torch.device | None:
    """A GPU of this machine that no rank uses, for decoding; None on a CPU or if all are taken."""
    taken = int(environment.get("LOCAL_WORLD_SIZE", "1"))
    if device.type != "cuda" or torch.cuda.device_count() <= taken:
        return None
    return torch.device("cuda", taken)


def use_one_thread(device: str, environment: Mapping[str, str]) -> None:
    """Under torchrun on a CPU, one thread a rank unless OMP_NUM_THREADS says otherwise.

    torchrun itself sees to that for two ranks and more, but not for one.
    """
    if device == "cpu" and "WORLD_SIZE" in environment and "OMP_NUM_THREADS" not in environment:
        torch.set_num_threads(1)


def _leave(chain: Chain, code: int, line: str, error: Exception | None = None) -> NoReturn:
    """End this rank, without the usual clean-up of a process: that would wait for ranks that left.

    Args:
        chain: The ranks. The first one to come here says why.
        code: Exit code.
        line: What to say.
        error: That led here; None for a signal, which leaves the word to a rank that knows more.
    """
    ignore_stops()
    if error is None:
        time.sleep(GRACE_S)
    if chain.claims_last_word():
        if error is not None and "--debug" in sys.argv:
            raise error
        sys.stderr.write(f"hiar: {line}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
