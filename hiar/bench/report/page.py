"""`hiar bench --report`: bench/1 records of any machines as one self-contained page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from hiar.bench.prediction.cost_model import predict
from hiar.bench.prediction.forecast import machine_of, pass_times
from hiar.bench.records import SCHEMA, BenchRecord, record_of
from hiar.bench.report.gantt import Bar, as_svg, draw_gantt
from hiar.bench.report.roofline import draw_roofline, point_of
from hiar.bench.rows import Row
from hiar.errors import UsageError
from hiar.model.geometry import TEMPORAL_STRIDE

PAGE_NAME = "report.html"
FRAMES_PER_BLOCK = 3
"""Latent frames of a block in every row of `hiar bench`."""


@dataclass(frozen=True, kw_only=True)
class NumberedRow:
    """A row of the page.

    Attributes:
        number: Its number, by which pictures name it.
        file: Name of its record.
        row: What was measured.
        record: The record it is from.
    """

    number: int
    file: str
    row: Row
    record: BenchRecord

    @property
    def card(self) -> str:
        """GPU or processor that it ran on."""
        return self.row.card or str(self.record.provenance.get("device_name", "unknown"))

    @property
    def interval_s(self) -> float:
        """Median seconds from one steady block to the next; older records have the latency."""
        even = self.row.intervals
        return self.row.latency_s if even is None else even.interval_p50_s

    @property
    def steady_fps(self) -> float:
        """Frames of a steady block over its interval."""
        return FRAMES_PER_BLOCK * TEMPORAL_STRIDE / self.interval_s

    @property
    def title(self) -> str:
        """What was timed, in a few words."""
        row = self.row
        return f"{self.number}: {row.label}, {row.config}, {row.dtype}, {self.kernels}"

    @property
    def kernels(self) -> str:
        """Attention kernel, and whether the layers were compiled."""
        attention = (self.row.kernels or {}).get("attention", self.row.backend)
        return f"{attention}, compiled" if self.row.compile else attention


@dataclass(kw_only=True)
class Records:
    """The records of a page.

    Attributes:
        records: bench/1 records by file name.
        passed_over: Files that are none, and why.
    """

    records: list[tuple[str, BenchRecord]] = field(default_factory=list)
    passed_over: list[tuple[str, str]] = field(default_factory=list)

    def rows(self) -> list[NumberedRow]:
        """All rows, numbered from 1, GPUs first and faster ones first."""
        found = [(name, row, record) for name, record in self.records for row in record.rows]
        found.sort(key=lambda each: (each[1].gpus == 0, each[1].config, -each[1].throughput_fps))
        return [
            NumberedRow(number=number, file=name, row=row, record=record)
            for number, (name, row, record) in enumerate(found, start=1)
        ]


def collect_records(paths: Iterable[Path]) -> Records:
    """Read files, and the JSON files of folders; what is no bench/1 record is passed over.

    Raises:
        UsageError: If a path is not there, or there is no record among the files.
    """
    paths = list(paths)
    found = Records()
    for path in paths:
        if not path.exists():
            raise UsageError(f"no record {path}: hiar bench --out writes one")
        for file in sorted(path.glob("*.json")) if path.is_dir() else [path]:
            _read(file, found)
    if not found.records:
        names = ", ".join(map(str, paths))
        raise UsageError(f"no {SCHEMA} record in {names}: hiar bench --out writes one")
    return found


def _read(file: Path, found: Records) -> None:
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        schema = facts.get("schema") if isinstance(facts, dict) else None
        if schema != SCHEMA:
            found.passed_over.append((file.name, f"schema {schema!r}"))
            return
        found.records.append((file.name, record_of(facts)))
    except UsageError as error:
        found.passed_over.append((file.name, str(error)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        found.passed_over.append((file.name, f"is no record: {type(error).__name__}"))


def render_page(found: Records) -> str:
    """The page: HTML that requests nothing from outside."""
    rows = found.rows()
    points = [p for each in rows if (p := point_of(each.number, each.row, each.card)) is not None]
    drawn = [(each, bars) for each in rows if (bars := bars_of_row(each))]
    environment = Environment(
        loader=PackageLoader("hiar.bench.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["figure"] = figure_text
    return environment.get_template("report.html").render(
        rows=rows,
        timed=without_repeats(rows),
        pictured=[each for each in rows if each.row.pictures is not None],
        records=[(name, about(record)) for name, record in found.records],
        passed_over=found.passed_over,
        roofline=as_svg(draw_roofline(points), "Roofline") if points else "",
        gantts=[(each, as_svg(draw_gantt(bars, each.title), each.title)) for each, bars in drawn],
    )


def without_repeats(rows: Sequence[NumberedRow]) -> list[NumberedRow]:
    """The rows without those that repeat a timing of the transformer with another decoder."""
    first = {(each.file, each.row.label, each.row.seconds): each for each in reversed(rows)}
    return sorted(first.values(), key=lambda each: each.number)


def figure_text(value: float) -> str:
    """A figure with three significant digits, never as a power of ten."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def about(record: BenchRecord) -> dict[str, Any]:
    """Where a record comes from, as a table: names and values, without empty ones."""
    facts = dict(record.provenance)
    packages = facts.pop("packages", None) or {}
    facts["packages"] = ", ".join(f"{name} {version}" for name, version in packages.items())
    weights = facts.pop("weights", None) or {}
    facts["weights"] = ", ".join(f"{name} {value[:12]}" for name, value in weights.items())
    clocks = [row.clocks for row in record.rows if row.clocks]
    if clocks:
        facts["clocks"] = ", ".join(f"{name} {value:g}" for name, value in clocks[-1].items())
    return {name: value for name, value in facts.items() if value not in (None, "")}


def bars_of_row(each: NumberedRow) -> list[Bar]:
    """What a row's run did when; empty where the record does not say.

    A pipeline's passes are laid out by the cost model from their median times, as the record holds
    no moments; the other rows are drawn from the moments of their last run.
    """
    row = each.row
    if row.pictures is not None and row.pictures.sampled_s and row.pictures.decoded_s:
        pictures = row.pictures
        return sampled_and_decoded(
            row.pictures.sampled_s, row.pictures.decoded_s, overlapped=bool(pictures.overlapped)
        )
    if row.pipeline is not None:
        predicted = predict(
            pass_times(row), machine_of(row, each.record),
            num_steps=sum(row.pipeline.steps_per_rank), num_ranks=row.ranks,
        )  # fmt: skip
        bars = [
            Bar(lane=f"rank {rank}", kind=task.kind, block=task.block, start_s=start, end_s=end)
            for rank, task, start, end in predicted.passes
        ]
        return sorted(bars, key=lambda bar: bar.lane)
    if row.finished_s and row.order != "step_first":
        starts = [0.0, *row.finished_s[:-1]]
        return [
            Bar(lane="transformer", kind="sample", block=block, start_s=start, end_s=end)
            for block, (start, end) in enumerate(zip(starts, row.finished_s, strict=True))
        ]
    return []


def sampled_and_decoded(
    sampled_s: Sequence[float], decoded_s: Sequence[float], *, overlapped: bool
) -> list[Bar]:
    """Two lanes: when each block was sampled, and when it was decoded."""
    bars = []
    sampling_from = decoding_from = 0.0
    for block, (sampled, decoded) in enumerate(zip(sampled_s, decoded_s, strict=True)):
        start = max(sampled, decoding_from)
        bars += [
            Bar(lane="sampling", kind="sample", block=block, start_s=sampling_from, end_s=sampled),
            Bar(lane="decoding", kind="decode", block=block, start_s=start, end_s=decoded),
        ]
        sampling_from = sampled if overlapped else decoded
        decoding_from = decoded
    return bars
