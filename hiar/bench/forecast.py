"""`hiar bench --model RECORD...`: what the cost model says of other numbers of ranks and steps.

The passes of one row, the base, feed the model; every other measured row of the same video checks
it. Contention and transfers are those measured in the row that is predicted; where none was, ranks
are taken not to slow one another down, which holds where each has a device of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hiar.bench.cost_model import Machine, PassTimes, Prediction, predict
from hiar.bench.probe import Link
from hiar.bench.records import PIPELINED, Row, is_fused, label
from hiar.bench.video_timing import steady_blocks
from hiar.errors import UsageError
from hiar.model.geometry import num_frames
from hiar.sampling.config import SamplerConfig

RANKS = (1, 2, 3, 4)
STEPS = (2, 4, 8)
SAME_VIDEO = ("config", "dtype", "latent_frames", "window", "backend", "compile")


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """A predicted row.

    Attributes:
        label: Of what.
        ranks, steps: Of the pipeline.
        seconds, throughput_fps, latency_s, first_block_s: As in a row of `hiar bench`.
        measured_s: Seconds of the row that was measured; None if none was.
        measured_latency_s: Its latency.
    """

    label: str
    ranks: int
    steps: int
    seconds: float
    throughput_fps: float
    latency_s: float
    first_block_s: float
    measured_s: float | None = None
    measured_latency_s: float | None = None

    @property
    def error(self) -> float | None:
        """Predicted over measured seconds, less one."""
        return None if self.measured_s is None else self.seconds / self.measured_s - 1

    def facts(self) -> dict[str, Any]:
        """For a record."""
        return asdict(self) | {"error": self.error}


def forecast(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Predictions for the measured rows and for those that were not measured.

    Args:
        records: bench/1, with at least one row of order `pipelined`.

    Returns:
        `base` (what fed the model), `checked` and `predicted` lists of facts.

    Raises:
        UsageError: If no row has the times of its passes, or rows are of different videos.
    """
    rows = [
        (row, record) for record in records for row in record["rows"] if row["order"] == PIPELINED
    ]
    if not rows:
        raise UsageError("no row of order 'pipelined' to model: run hiar bench --orders pipelined")
    base = min(
        (row for row, _ in rows if not is_fused(row)), key=lambda r: r["ranks"], default=None
    )
    if base is None:
        raise UsageError("every row is fused: the model needs one with --fused off")
    for row, _ in rows:
        different = [name for name in SAME_VIDEO if row[name] != base[name]]
        if different:
            raise UsageError(
                f"{different[0]} is {row[different[0]]!r} in one row and {base[different[0]]!r} in "
                "another: model the rows of one video at a time"
            )
    num_steps = sum(base["steps_per_rank"])
    checked = []
    for row, record in rows:
        times = pass_times(row) if is_fused(row) else pass_times(base)
        machine = machine_of(row, record)
        predicted = predict(times, machine, num_steps=num_steps, num_ranks=row["ranks"])
        checked.append(_forecast(row, predicted, row["ranks"], num_steps, measured=row))
    machine = machine_of(base, rows[0][1])
    others = [
        _forecast(
            base, predict(pass_times(base), machine, num_steps=steps, num_ranks=ranks), ranks, steps
        )
        for steps in STEPS
        for ranks in RANKS
        if ranks <= steps
    ]
    return {
        "base": label(base),
        "checked": [each.facts() for each in checked],
        "predicted": [each.facts() for each in others],
    }


def pass_times(row: Row) -> PassTimes:
    """The times of a row's passes on one rank alone."""
    found = row["passes"]["seconds"]
    alone = 1.0 if row["ranks"] == 1 else (row["contention"] or {}).get("factor", 1.0)
    lists = {
        f"{kind}_s": [seconds / alone for seconds in values if seconds is not None]
        for kind, values in found.items()
    }
    if is_fused(row):
        first = lists["denoise_s"][0]
        return PassTimes(denoise_s=[first] * row["blocks"], context_s=[], fused_s=lists["fused_s"])
    return PassTimes(denoise_s=lists["denoise_s"], context_s=lists.get("context_s", []))


def machine_of(row: Row, record: dict[str, Any]) -> Machine:
    """What a row ran on. Cores count for ranks that share them, not on GPUs."""
    cores = None if row["gpus"] else record["provenance"].get("cores")
    link = Link(**row["link"]) if row["link"] else None
    factor = (row["contention"] or {}).get("factor", 1.0)
    if cores and row["ranks"] > cores:
        factor *= cores / row["ranks"]  # of it, what is not sharing cores
    return Machine(
        cores=cores, contention=max(1.0, factor),
        transfer_s=link.seconds(row["block_bytes"]) if link else 0.0,
    )  # fmt: skip


def _forecast(
    row: Row, predicted: Prediction, ranks: int, steps: int, measured: Row | None = None
) -> Forecast:
    sampler = SamplerConfig(window=row["window"])
    blocks = steady_blocks(sampler, row["blocks"])
    return Forecast(
        label=label(row) if measured else f"S={steps} x{ranks}",
        ranks=ranks,
        steps=steps,
        seconds=predicted.seconds,
        throughput_fps=num_frames(row["latent_frames"]) / predicted.seconds,
        latency_s=predicted.interval_s(blocks),
        first_block_s=predicted.finished_s[0],
        measured_s=measured["seconds"] if measured else None,
        measured_latency_s=measured["latency_s"] if measured else None,
    )


def format_forecast(found: dict[str, Any]) -> str:
    """The predictions for people."""
    checked = [
        f"{each['label']:15} {each['seconds']:11.3f} {each['measured_s']:11.3f} "
        f"{each['error']:+6.1%} {each['latency_s']:8.3f} ({each['measured_latency_s']:.3f})"
        for each in found["checked"]
    ]
    predicted = [
        f"{each['label']:12} {each['seconds']:10.3f} {each['throughput_fps']:9.1f} "
        f"{each['latency_s']:8.3f} {each['first_block_s']:8.3f}"
        for each in found["predicted"]
    ]
    lines = [
        f"passes of: {found['base']}",
        "measured        predicted s  measured s  error  block s (measured)",
        *checked,
        "predicted       seconds  frames/s  block s  first s",
        *predicted,
    ]
    return "\n".join(lines) + "\n"
