"""Several processes that share one list of work, as torchrun starts them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn, TypeVar

T = TypeVar("T")
TIMEOUT = timedelta(days=30)
"""Of a wait for the slowest process: minutes of work at one end must not fail the other."""


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """This process among its peers; alone, it is rank 0 of 1."""

    rank: int = 0
    num_ranks: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes what is written once."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> list[T]:
        """This process's part of a list that is the same in all: every num_ranks-th item."""
        return list(items[self.rank :: self.num_ranks])

    @property
    def is_pipeline(self) -> bool:
        """Whether the processes share each video's steps, not the list."""
        return False

    @property
    def gets_videos(self) -> bool:
        """Whether finished videos come out at this process."""
        return True

    def num_own_steps(self, num_steps: int) -> int:
        """Denoising steps of a video that this process runs."""
        return num_steps

    def from_first(self, value: T) -> T:
        """The first process's value, in every process."""
        if self.num_ranks == 1:
            return value
        from torch import distributed  # noqa: PLC0415

        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.num_ranks > 1:
            from torch import distributed  # noqa: PLC0415

            distributed.barrier()


@contextmanager
def joined_ranks(environment: Mapping[str, str] = os.environ) -> Iterator[Ranks]:
    """The processes that torchrun started, joined over the CPU; one alone without torchrun."""
    num_ranks = num_ranks_of(environment)
    if num_ranks == 1:
        yield Ranks()
        return
    from torch import distributed  # noqa: PLC0415

    distributed.init_process_group("gloo", timeout=TIMEOUT)
    try:
        yield Ranks(rank=distributed.get_rank(), num_ranks=num_ranks)
    finally:
        distributed.destroy_process_group()


def leave(code: int) -> NoReturn:
    """End this process, without the interpreter's finalization where networks were sharded.

    DTensor's caches keep a group's threads alive after the group is destroyed. One of them that is
    late to let go of the last tensor asks a finalizing interpreter for its lock, and the process
    aborts although its work is done (pytorch issue 190489).

    Args:
        code: Exit code.
    """
    if "torch.distributed.fsdp" not in sys.modules:
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def num_ranks_of(environment: Mapping[str, str] = os.environ) -> int:
    """How many processes torchrun started; 1 without it."""
    return int(environment.get("WORLD_SIZE", "1"))


def device_of_rank(device: str, environment: Mapping[str, str] = os.environ) -> str:
    """`cuda` as the GPU of this process on its machine; anything else as it is."""
    return f"cuda:{environment.get('LOCAL_RANK', '0')}" if device == "cuda" else device
