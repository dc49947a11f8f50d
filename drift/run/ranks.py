"""Several processes that score one folder together, as `torchrun` starts them.

Each process measures its share of the videos and writes their records, then all exchange their
results. Which process measures a video changes no number: one process measures the whole video.
"""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from drift.command_line import Terminated
from drift.errors import UsageError

T = TypeVar("T")
TIMEOUT = timedelta(days=7)  # how long the fastest process waits for the slowest
LAST_WORD = "drift/last_word"
LAST_WORD_TIMEOUT = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """This process among those that work together.

    Args:
        rank: Index of this process; process 0 writes the tables.
        num_ranks: Number of processes.
        local_rank: Index of this process on its machine; it takes the GPU of that index.
        num_local_ranks: Number of processes on this machine.
    """

    rank: int = 0
    num_ranks: int = 1
    local_rank: int = 0
    num_local_ranks: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes the tables and speaks to the user."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This process's part: every num_ranks-th item, so that neighbours of one length spread."""
        return items[self.rank :: self.num_ranks]

    def device(self, wanted: str) -> str:
        """The device of this process: among several, `cuda` is the GPU of its local index."""
        own_gpu = wanted == "cuda" and self.num_ranks > 1
        return f"cuda:{self.local_rank}" if own_gpu else wanted


def ranks_of_torchrun() -> Ranks:
    """Reads the environment variables of torchrun; without them this process is alone.

    Raises:
        UsageError: some of the variables are set and others are missing.
    """
    num_ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if num_ranks <= 1:
        return Ranks()
    missing = [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR") if name not in os.environ]
    if missing:
        raise UsageError(
            f"WORLD_SIZE is {num_ranks} but {', '.join(missing)} is not set; start with torchrun"
        )
    return Ranks(
        rank=int(os.environ["RANK"]),
        num_ranks=num_ranks,
        local_rank=int(os.environ["LOCAL_RANK"]),
        num_local_ranks=int(os.environ.get("LOCAL_WORLD_SIZE", num_ranks)),
    )


@contextmanager
def joined(ranks: Ranks) -> Iterator[None]:
    """Connects the processes within the block; does nothing for one alone."""
    if ranks.num_ranks == 1:
        yield
        return
    from torch import distributed  # noqa: PLC0415  (takes seconds, and one process needs none)

    is_new = not distributed.is_initialized()
    if is_new:
        distributed.init_process_group("gloo", timeout=TIMEOUT)
    try:
        yield
    finally:
        if is_new:
            distributed.destroy_process_group()


def gather(ranks: Ranks, mine: T) -> list[T]:
    """The values that the processes pass, in order of rank; each waits here for all of them."""
    if ranks.num_ranks == 1:
        return [mine]
    from torch import distributed  # noqa: PLC0415  (see above)

    gathered: list[T | None] = [None] * ranks.num_ranks
    distributed.all_gather_object(gathered, mine)
    return [part for part in gathered if part is not None]


def speaks_for_all(error: BaseException) -> bool:
    """Whether this process, of those that torchrun started, is the one that shows an error.

    Wrong use is an error in all of them, but some errors happen in one only, and torchrun stops the
    others once one has ended. So the first to claim the last word shows its error, and is not to be
    stopped before it has done so.

    Args:
        error: Error that ends this process.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        return True
    if isinstance(error, KeyboardInterrupt):  # if torchrun asked for it, another has said why
        return not isinstance(error, Terminated)
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":  # nobody keeps the last word
        return os.environ.get("RANK", "0") == "0"
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    from torch.distributed.rendezvous import rendezvous  # noqa: PLC0415  (see above)

    try:
        store, _, _ = next(rendezvous("env://", timeout=LAST_WORD_TIMEOUT))
        return bool(store.add(LAST_WORD, 1) == 1)
    except (RuntimeError, ValueError):  # better said twice than not at all
        return True
