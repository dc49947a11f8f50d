"""Several processes that score one folder together, as `torchrun` starts them.

Each measures its share of the videos and writes their records; all then know all results. Which
process measures a video changes no number: a video is measured whole, by one process.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from drift.errors import UsageError

T = TypeVar("T")
PATIENCE = timedelta(days=7)  # the fastest process waits for the slowest


@dataclass(frozen=True, kw_only=True)
class Shard:
    """This process among those that work together.

    Args:
        rank: Number of this process, 0 writes the tables.
        world: Number of processes.
        local_rank: Number of this process on its machine; it takes the GPU of that number.
        local_world: Number of processes on this machine.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the tables and speaks to the user."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """Every world-th item, so that neighbours of similar length are spread."""
        return items[self.rank :: self.world]

    def device(self, wanted: str) -> str:
        """`cuda` means this process's own GPU."""
        return f"cuda:{self.local_rank}" if wanted == "cuda" and self.world > 1 else wanted


def this_shard() -> Shard:
    """Reads what torchrun set; alone without it.

    Raises:
        UsageError: the variables contradict one another.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world <= 1:
        return Shard()
    missing = [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR") if name not in os.environ]
    if missing:
        raise UsageError(
            f"WORLD_SIZE is {world} but {', '.join(missing)} is not set; start with torchrun"
        )
    return Shard(
        rank=int(os.environ["RANK"]),
        world=world,
        local_rank=int(os.environ["LOCAL_RANK"]),
        local_world=int(os.environ.get("LOCAL_WORLD_SIZE", world)),
    )


@contextmanager
def joined(shard: Shard) -> Iterator[None]:
    """Connects the processes; nothing happens for one alone."""
    if shard.world == 1:
        yield
        return
    from torch import distributed  # noqa: PLC0415  (takes seconds, and one process needs none)

    ours = not distributed.is_initialized()
    if ours:
        distributed.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        if ours:
            distributed.destroy_process_group()


def gather(shard: Shard, mine: T) -> list[T]:
    """What each process has, in order of rank, for all; they wait for one another here."""
    if shard.world == 1:
        return [mine]
    from torch import distributed  # noqa: PLC0415  (see above)

    gathered: list[T | None] = [None] * shard.world
    distributed.all_gather_object(gathered, mine)
    return [part for part in gathered if part is not None]
