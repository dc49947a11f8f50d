"""Where the videos of a run are measured: in this process, in worker processes or on Ray."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from drift.run.measure import Measured, Task
from drift.run.plan import Plan
from drift.run.pool import default_workers, measure_all
from drift.run.ranks import Ranks
from drift.run.ray_tasks import measure_on_ray

ExecutorName: TypeAlias = Literal["local", "ray"]


@dataclass(frozen=True, kw_only=True)
class Executor:
    """Where videos are measured.

    Args:
        name: `local` for this machine, `ray` for a task a video on a Ray cluster.
        workers: Number of local processes; None takes one a CPU, as far as memory allows.
        ray_address: Address of a running cluster; None takes RAY_ADDRESS, or starts a cluster.
    """

    name: ExecutorName = "local"
    workers: int | None = 1
    ray_address: str | None = None

    def measure(self, tasks: Sequence[Task], plan: Plan, ranks: Ranks) -> Iterator[Measured]:
        """Measures every task and yields the results in the order in which they finish."""
        if self.name == "ray":
            return measure_on_ray(tasks, self.ray_address)
        processes = ranks.num_local_ranks
        return measure_all(tasks, self.workers or default_workers(plan, processes), processes)
