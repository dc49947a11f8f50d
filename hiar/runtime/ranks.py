"""Several processes that share one list of work, as torchrun starts them."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from hiar.command_line import Terminated
from hiar.errors import UsageError

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

T = TypeVar("T")
TIMEOUT = timedelta(days=30)
"""Of a wait for the slowest process: minutes of work at one end must not fail the other."""
JOIN_TIMEOUT = timedelta(minutes=10)
"""Of a wait for the process that starts last."""
LAST_WORD_TIMEOUT = timedelta(seconds=10)
"""Of a wait for the others when this process ends with an error."""
LOCAL = ("localhost", "127.0.0.1", "::1")
LAST_WORD = "hiar/last-word"
POLL_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """This process among its peers; alone, it is rank 0 of 1."""

    rank: int = 0
    num_ranks: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes what is written once."""
        return self.rank == 0

    @property
    def is_last(self) -> bool:
        """Whether no process comes after this one."""
        return self.rank + 1 == self.num_ranks

    def share(self, items: Sequence[T]) -> list[T]:
        """This process's part of a list that is the same in all: every num_ranks-th item."""
        return list(items[self.rank :: self.num_ranks])

    def from_first(self, value: T) -> T:
        """The first process's value, in every process."""
        if self.num_ranks == 1:
            return value
        from torch import distributed  # noqa: PLC0415

        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def gather(self, value: Any) -> list[Any]:
        """Every process's value, in every process."""
        if self.num_ranks == 1:
            return [value]
        from torch import distributed  # noqa: PLC0415

        values: list[Any] = [None] * self.num_ranks
        distributed.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.num_ranks > 1:
            from torch import distributed  # noqa: PLC0415

            distributed.barrier()


@contextmanager
def joined_ranks(
    same: Mapping[str, Any] | None = None, environment: Mapping[str, str] = os.environ
) -> Iterator[Ranks]:
    """The processes that torchrun started, joined over the CPU; one alone without torchrun.

    Args:
        same: What all must have been started with, by name.
        environment: What torchrun set.

    Raises:
        UsageError: As `join`.
    """
    if num_ranks_of(environment) == 1:
        yield Ranks()
        return
    from torch import distributed  # noqa: PLC0415

    _, rank, num_ranks = join("gloo", same or {}, environment)
    try:
        yield Ranks(rank=rank, num_ranks=num_ranks)
    finally:
        distributed.destroy_process_group()


def join(
    backend: str, same: Mapping[str, Any], environment: Mapping[str, str] = os.environ
) -> tuple[Store, int, int]:
    """Join the processes that torchrun started, once all are found to have been started alike.

    A process that leaves while others still connect would fail their connections. So each writes
    what it was started with to the store before it connects, and reads what the others wrote; and
    none goes on before all are connected.

    Args:
        backend: Backend of torch.distributed, nccl or gloo.
        same: What all must have been started with, by name.
        environment: What torchrun set.

    Returns:
        The store where the processes keep notes for one another, this rank, and how many there are.

    Raises:
        UsageError: If they were started with different settings, or cannot find one another.
    """
    from torch import distributed  # noqa: PLC0415

    check_address(environment)
    try:
        store, rank, num_ranks = _open_store(JOIN_TIMEOUT)
        everyone = _exchange(store, rank, num_ranks, same)
    except (RuntimeError, ValueError) as error:
        raise _cannot_join(error) from error
    check_alike(everyone)
    try:
        distributed.init_process_group(
            backend, store=store, rank=rank, world_size=num_ranks, timeout=TIMEOUT
        )
        if store.add("hiar/connected", 1) == num_ranks:
            store.set("hiar/all-connected", "")
        store.wait(["hiar/all-connected"], JOIN_TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise _cannot_join(error) from error
    return store, rank, num_ranks


def _open_store(timeout: timedelta) -> tuple[Store, int, int]:
    """Where the processes keep notes for one another, this rank, and how many there are."""
    from torch.distributed.rendezvous import rendezvous  # noqa: PLC0415

    found: tuple[Store, int, int] = next(rendezvous("env://", timeout=timeout))
    return found


def _exchange(
    store: Store, rank: int, num_ranks: int, facts: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Every rank's facts, in every rank."""
    store.set(f"hiar/facts/{rank}", json.dumps(facts, default=str))
    return [json.loads(store.get(f"hiar/facts/{peer}")) for peer in range(num_ranks)]


def _cannot_join(error: Exception) -> UsageError:
    reason = str(error).strip().splitlines()[0]
    return UsageError(f"the ranks cannot join: {reason}; start them with torchrun")


def check_alike(everyone: Sequence[Mapping[str, Any]]) -> None:
    """Raise unless all ranks have the same facts.

    Args:
        everyone: Each rank's facts, by name.

    Raises:
        UsageError: Names the first fact that differs and its values.
    """
    for name in everyone[0]:
        values = [facts.get(name) for facts in everyone]
        other = next((rank for rank, value in enumerate(values) if value != values[0]), None)
        if other is not None:
            raise UsageError(
                f"rank {other} has {name} {values[other]!r}, rank 0 has {values[0]!r}: the ranks "
                "must agree; start all of them with the same command on equal devices"
            )


def check_address(environment: Mapping[str, str]) -> None:
    """Raise in one line if the ranks have no address to meet at.

    Raises:
        UsageError: If one is not set, or is this very host's while ranks run on several.
    """
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise UsageError(
            f"WORLD_SIZE is {environment.get('WORLD_SIZE')} but {', '.join(missing)} is not set: "
            "start with torchrun, which sets them (on several hosts with --rdzv-endpoint HOST:PORT)"
        )
    world, here = environment["WORLD_SIZE"], environment.get("LOCAL_WORLD_SIZE")
    if here is not None and here != world and environment["MASTER_ADDR"] in LOCAL:
        raise UsageError(
            f"{here} of {world} ranks run on this host, but MASTER_ADDR is "
            f"{environment['MASTER_ADDR']}: the others cannot find it; start torchrun with "
            "--rdzv-endpoint HOST:PORT, HOST a name that all hosts resolve"
        )


def speaks_for_all(error: BaseException, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process, of those that torchrun started, is the one that shows an error.

    torchrun stops the others once one process has ended, so the first one to claim the last word
    shows its error, and it is not to be stopped before it has done so.

    Args:
        error: Error that ends this process.
        environment: What torchrun set.
    """
    if num_ranks_of(environment) == 1:
        return True
    if isinstance(error, KeyboardInterrupt):  # if torchrun asked for it, another has said why
        return not isinstance(error, Terminated)
    ignore_stops()
    try:
        check_address(environment)
        store, rank, num_ranks = _open_store(LAST_WORD_TIMEOUT)
    except UsageError:  # the processes have no address to meet at
        return environment.get("RANK", "0") == "0"
    except (RuntimeError, ValueError):  # nobody answers: better said twice than not at all
        return True
    return claims_last_word(store, rank, num_ranks, environment)


def ignore_stops() -> None:
    """Let this process, which ends by itself, not be stopped by torchrun before that."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def claims_last_word(
    store: Store, rank: int, num_ranks: int, environment: Mapping[str, str] = os.environ
) -> bool:
    """Whether this rank is the first one to report how the run ended.

    Args:
        store: Where the ranks keep notes for one another.
        rank: This one.
        num_ranks: How many there are.
        environment: What torchrun set. Without its own store, the first rank's process holds the
            store, and must not take it away before the others have asked.
    """
    store.set_timeout(LAST_WORD_TIMEOUT)
    try:
        is_first = bool(store.add(LAST_WORD, 1) == 1)
        if rank == 0 and environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
            give_up = time.monotonic() + LAST_WORD_TIMEOUT.total_seconds()
            while store.add(LAST_WORD, 0) < num_ranks and time.monotonic() < give_up:
                time.sleep(POLL_S)
    except RuntimeError:  # the store went with the rank that held it
        return True
    return is_first


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


def device_of_rank(
    device: str, environment: Mapping[str, str] = os.environ, *, shared: bool = False
) -> str:
    """`cuda` as the GPU of this process on its machine; anything else as it is.

    Args:
        device: Device that was asked for.
        environment: What torchrun set.
        shared: Whether all processes of the machine use its first GPU.
    """
    local_rank = "0" if shared else environment.get("LOCAL_RANK", "0")
    return f"cuda:{local_rank}" if device == "cuda" else device
