"""`hiar bench --model RECORD...`: what the cost model says of other numbers of ranks and steps.

The model is fed with the passes of one row, the base, and checked against every other measured row
of the same video. Contention and transfer times are those measured in the row that is predicted.
Where none were measured, ranks are taken not to slow one another down, which holds where each has a
device of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hiar.bench.config import bench_models
from hiar.bench.prediction.cost_model import (
    Machine,
    PassTimes,
    Prediction,
    interval_s,
    predict,
)
from hiar.bench.prediction.splits import Costs, Split, predict_split
from hiar.bench.records import BenchRecord
from hiar.bench.rows import PipelineFigures, Row
from hiar.bench.video_timing import steady_blocks
from hiar.errors import UsageError
from hiar.model.geometry import num_frames
from hiar.sampling.config import SamplerConfig

RANKS = (1, 2, 3, 4)
STEPS = (2, 4, 8)
SPLITS = ((1, 0, 1), (2, 0, 1), (4, 0, 1), (4, 0, 2), (4, 0, 3), (4, 1, 3), (4, 4, 3))
"""Ranks that denoise, run context passes and decode. Wave Forcing's fastest runs are 4 + 1 + 3
(WaveForcing 125e425 README), with one context for all steps."""
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
SAME_VIDEO = ("config", "dtype", "latent_frames", "window", "backend", "compile")


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """A predicted row.

    Attributes:
        label: What was predicted, in a few words.
        ranks: Ranks of the pipeline.
        steps: Denoising steps.
        seconds, throughput_fps, latency_s, first_block_s: See a row of `hiar bench`.
        measured_s: Seconds of the measured row; None if there is none.
        measured_latency_s: Latency of the measured row; None if there is none.
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
        """The prediction for a record."""
        return asdict(self) | {"error": self.error}


def forecast(records: Sequence[BenchRecord], decode_s: float | None = None) -> dict[str, Any]:
    """Predictions for the measured rows and for those that were not measured.

    Args:
        records: Records with at least one row of order `pipelined`.
        decode_s: Seconds that one device takes to decode a steady block; None predicts no decoding.

    Returns:
        `base` (the row that fed the model), `checked` and `predicted` lists of facts, and `splits`:
        those with ranks that run context passes or decode.

    Raises:
        UsageError: If no row has the times of its passes, or rows are of different videos.
    """
    rows = [(row, record) for record in records for row in record.rows if row.pipeline]
    if not rows:
        raise UsageError("no row of order 'pipelined' to model: run hiar bench --orders pipelined")
    base = min((row for row, _ in rows if not row.is_fused), key=lambda r: r.ranks, default=None)
    if base is None:
        raise UsageError("every row is fused: the model needs one with --fused off")
    for row, _ in rows:
        _check_same_video(row, base)
    num_steps = sum(figures_of(base).steps_per_rank)
    checked = []
    for row, record in rows:
        times = pass_times(row if row.is_fused else base)
        machine = machine_of(row, record)
        predicted = predict(times, machine, num_steps=num_steps, num_ranks=row.ranks)
        checked.append(_forecast(row, predicted, row.ranks, num_steps, measured=row))
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
        "base": base.label,
        "checked": [each.facts() for each in checked],
        "predicted": [each.facts() for each in others],
        "splits": [] if decode_s is None else split_facts(base, rows, num_steps, decode_s),
    }


def split_facts(
    base: Row, rows: Sequence[tuple[Row, BenchRecord]], num_steps: int, decode_s: float
) -> list[dict[str, Any]]:
    """Predictions for `SPLITS`; links are free if none was timed.

    Args:
        base: The row whose passes are taken.
        rows: All rows; the first one with a timed link gives the links.
        num_steps: Denoising steps.
        decode_s: Seconds that one device takes to decode a steady block.
    """
    figures, sizes = figures_of(base), bench_models()[base.config].config
    keys = 2 * sizes.num_layers * figures.block_tokens * sizes.dim * BYTES[base.dtype]
    link = next((figures_of(row).link for row, _ in rows if figures_of(row).link), None)
    costs = Costs(
        decode_s=decode_s, num_layers=sizes.num_layers,
        transfer_s=link.seconds(figures.block_bytes) if link else 0.0,
        keys_s=link.seconds(keys) if link else 0.0,
    )  # fmt: skip
    blocks = steady_blocks(SamplerConfig(window=base.window), figures.blocks)
    facts = []
    for steps, context, decoder in SPLITS:
        if steps > num_steps or (context and steps != num_steps) or context > num_steps:
            continue
        split = Split(steps=steps, context=context, decoder=decoder)
        found = predict_split(pass_times(base), costs, split, num_steps=num_steps)
        facts.append({
            "label": split.label,
            "ranks": steps + context + decoder,
            "clean_block_s": interval_s(found.clean_s, blocks),
            "decoded_block_s": interval_s(found.decoded_s, blocks),
            "first_block_s": found.decoded_s[0],
            "seconds": found.decoded_s[-1],
            "end_to_end_fps": num_frames(base.latent_frames) / found.decoded_s[-1],
        })  # fmt: skip
    return facts


def _check_same_video(row: Row, base: Row) -> None:
    for name in SAME_VIDEO:
        if getattr(row, name) != getattr(base, name):
            raise UsageError(
                f"{name} is {getattr(row, name)!r} in one row and {getattr(base, name)!r} in "
                "another: model the rows of one video at a time"
            )


def figures_of(row: Row) -> PipelineFigures:
    """What only a row of order `pipelined` has; the row must be of that order."""
    assert row.pipeline is not None
    return row.pipeline


def pass_times(row: Row) -> PassTimes:
    """The times of a row's passes on one rank alone."""
    figures = figures_of(row)
    alone = 1.0 if row.ranks == 1 or figures.contention is None else figures.contention.factor
    times = {
        kind: [seconds / alone for seconds in values if seconds is not None]
        for kind, values in figures.passes.seconds.items()
    }
    if row.is_fused:
        first = times["denoise"][0]
        return PassTimes(denoise_s=[first] * figures.blocks, context_s=[], fused_s=times["fused"])
    return PassTimes(denoise_s=times["denoise"], context_s=times.get("context", []))


def machine_of(row: Row, record: BenchRecord) -> Machine:
    """What a row ran on. Cores count for ranks that share them, not on GPUs."""
    figures = figures_of(row)
    cores = None if row.gpus else record.provenance.get("cores")
    factor = figures.contention.factor if figures.contention else 1.0
    if cores and row.ranks > cores:
        # Remove the part of the slowdown that comes from ranks taking turns on the cores: the cost
        # model adds that itself.
        factor *= cores / row.ranks
    return Machine(
        cores=cores, contention=max(1.0, factor),
        transfer_s=figures.link.seconds(figures.block_bytes) if figures.link else 0.0,
    )  # fmt: skip


def _forecast(
    row: Row, predicted: Prediction, ranks: int, steps: int, measured: Row | None = None
) -> Forecast:
    blocks = steady_blocks(SamplerConfig(window=row.window), figures_of(row).blocks)
    return Forecast(
        label=row.label if measured else f"S={steps} x{ranks}",
        ranks=ranks,
        steps=steps,
        seconds=predicted.seconds,
        throughput_fps=num_frames(row.latent_frames) / predicted.seconds,
        latency_s=predicted.interval_s(blocks),
        first_block_s=predicted.finished_s[0],
        measured_s=measured.seconds if measured else None,
        measured_latency_s=measured.latency_s if measured else None,
    )


SPLIT_HEAD = "steps + context + decoder, each on a device of its own\n" + (
    "ranks           clean s  decoded s  first s  seconds  frames/s   (s: a steady block)"
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
        *([SPLIT_HEAD] if found["splits"] else []),
        *(
            f"{each['label']:15} {each['clean_block_s']:8.3f} {each['decoded_block_s']:10.3f} "
            f"{each['first_block_s']:8.3f} {each['seconds']:8.3f} {each['end_to_end_fps']:9.1f}"
            for each in found["splits"]
        ),
    ]
    return "\n".join(lines) + "\n"
