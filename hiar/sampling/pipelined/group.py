"""The processes of a pipeline: how they join, how they check that all agree, how they end.

torchrun starts the processes; each one is a rank.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import torch

from hiar.command_line import INTERRUPTED, exit_code_of, line_of
from hiar.errors import UsageError
from hiar.runtime.ranks import (
    Ranks,
    check_alike,
    claims_last_word,
    ignore_stops,
    join,
    num_ranks_of,
)
from hiar.sampling.pipelined.tasks import split_steps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch._C._distributed_c10d import Store

GRACE_S = 1.0
"""Pause of a rank that was told to stop, so that a rank that knows the reason can report it."""


@dataclass(frozen=True, kw_only=True)
class PipelineGroup:
    """The processes that share the denoising steps of each video.

    Attributes:
        ranks: This process among its peers.
        timeout_s: Longest wait for a neighbour's block.
        shares_gpu: Whether the processes use one GPU and pass blocks on through the CPU's memory.
        decoder_ranks: How many of the processes, the last ones, decode and denoise nothing.
    """

    ranks: Ranks = field(default_factory=Ranks)
    timeout_s: float = 600.0
    shares_gpu: bool = False
    decoder_ranks: int = 0

    @property
    def denoising(self) -> Ranks:
        """This process among those that denoise; after the last of them where it decodes."""
        return Ranks(rank=self.ranks.rank, num_ranks=self.ranks.num_ranks - self.decoder_ranks)

    @property
    def decoder_stage(self) -> int | None:
        """Which part of the decoder this process runs, from 0 on; None where it denoises."""
        stage = self.ranks.rank - self.denoising.num_ranks
        return stage if stage >= 0 else None

    def own_steps(self, num_steps: int) -> range:
        """The denoising steps that this process runs."""
        shares = split_steps(num_steps, self.denoising.num_ranks)
        return range(0) if self.decoder_stage is not None else shares[self.ranks.rank]

    def transport(self, device: torch.device) -> torch.device:
        """Where blocks lie while they pass from one process to the next.

        Args:
            device: Device of this process.
        """
        return torch.device("cpu") if self.shares_gpu else device


def check_same(ranks: Ranks, facts: Mapping[str, Any]) -> None:
    """Raise, in every rank, unless all have the same settings, weights and devices.

    Args:
        ranks: This process among its peers.
        facts: Values that must agree, by name.

    Raises:
        UsageError: Names the first fact that differs and its values.
    """
    check_alike(ranks.gather(dict(facts)))


@contextmanager
def joined_group(
    device: str,
    *,
    timeout_s: float = 600.0,
    same: Mapping[str, Any] | None = None,
    shares_gpu: bool = False,
    decoder_ranks: int = 0,
    environment: Mapping[str, str] = os.environ,
) -> Iterator[PipelineGroup]:
    """Join the processes that torchrun started to a pipeline; without torchrun, it has one.

    If the body fails, whether in one rank or in several, one rank reports the reason in one line
    and every rank ends.

    Args:
        device: Kind of device of every rank: cpu or cuda.
        timeout_s: Longest wait for a neighbour's block.
        same: Settings that all ranks must have been started with, by name.
        shares_gpu: Whether the ranks use one GPU. NCCL needs one each, so gloo connects them.
        decoder_ranks: How many ranks, the last ones, decode.
        environment: Environment variables that torchrun set.

    Raises:
        UsageError: If the ranks cannot join or were started differently, see `join`; and whatever
            the body raises in a process that is alone.
    """
    if not timeout_s > 0:
        raise UsageError(f"--rank-timeout {timeout_s:g} must be above 0 s")
    if not 0 <= decoder_ranks < num_ranks_of(environment):
        raise UsageError(
            f"--decoder-ranks {decoder_ranks} of {num_ranks_of(environment)}: at least one rank "
            "denoises, so start more with torchrun --nproc_per_node"
        )
    use_one_thread(device, environment)
    if num_ranks_of(environment) == 1:
        yield PipelineGroup(timeout_s=timeout_s, shares_gpu=shares_gpu)
        return
    has_own_gpu = device.startswith("cuda") and not shares_gpu
    backend = "cpu:gloo,cuda:nccl" if has_own_gpu else "gloo"
    store, rank, num_ranks = join(backend, same or {}, environment)
    ranks = Ranks(rank=rank, num_ranks=num_ranks)
    try:
        yield PipelineGroup(
            ranks=ranks, timeout_s=timeout_s, shares_gpu=shares_gpu, decoder_ranks=decoder_ranks
        )
    except KeyboardInterrupt:
        line = f"rank {rank} was told to stop: another one ended, or you"
        _leave(ranks, store, INTERRUPTED, line)
    except Exception as error:
        code = exit_code_of(error)
        if code is None:
            raise
        _leave(ranks, store, code, line_of(error), error)
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
    """Give each rank on a CPU one thread, unless OMP_NUM_THREADS says otherwise.

    torchrun itself does so for two ranks and more, but not for a single one.
    """
    if device == "cpu" and "WORLD_SIZE" in environment and "OMP_NUM_THREADS" not in environment:
        torch.set_num_threads(1)


def _leave(
    ranks: Ranks, store: Store, code: int, line: str, error: Exception | None = None
) -> NoReturn:
    """End this process at once; its usual clean-up would wait for ranks that have left.

    Args:
        ranks: This process among its peers. The first one that comes here reports the reason.
        store: Where the processes keep notes for one another.
        code: Exit code.
        line: Reason, in one line.
        error: Error that ends the process; None for a signal. A rank that got a signal first gives
            the others time to report what they know.
    """
    ignore_stops()
    if error is None:
        time.sleep(GRACE_S)
    if claims_last_word(store, ranks.rank, ranks.num_ranks):
        if error is not None and "--debug" in sys.argv:
            raise error
        sys.stderr.write(f"hiar: {line}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
