"""Which denoising steps each process of a pipeline owns."""

from __future__ import annotations

from hiar.errors import UsageError


def split_steps(num_steps: int, num_ranks: int) -> tuple[range, ...]:
    """Consecutive steps for each rank, as even as can be; the last ranks own the larger shares.

    The throughput is the same wherever the larger shares stand. A rank with two steps runs two
    denoising passes before it hands a block on: as the last rank it adds them to the filling of
    the pipeline, where the first block still sees few keys; as the first rank it would add them
    to the draining, where the window is full (docs/performance.md, Cost model).

    Args:
        num_steps: Denoising steps.
        num_ranks: Processes, from 1 to `num_steps`.

    Raises:
        UsageError: If a rank would own no step.
    """
    if not 1 <= num_ranks <= num_steps:
        raise UsageError(
            f"{num_ranks} ranks for {num_steps} denoising steps: a rank owns at least one step; "
            f"start 1 to {num_steps} ranks"
        )
    size, num_larger = divmod(num_steps, num_ranks)
    sizes = [size + (rank >= num_ranks - num_larger) for rank in range(num_ranks)]
    ends = [sum(sizes[: rank + 1]) for rank in range(num_ranks)]
    return tuple(range(end - size, end) for end, size in zip(ends, sizes, strict=True))
