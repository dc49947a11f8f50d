"""Sentences for the top of the report: what was measured, what came out, what is missing."""

from __future__ import annotations

from collections import Counter

from reports.records.measurements import Measurements
from reports.tables import TABLES
from reports.tables.cells import Change
from reports.tables.needs import NotRun
from reports.tables.row_sources import DRIFT
from reports.tables.text import percent, signed

FLICKERING = "temporal_flickering"
BASE, OURS = "self-forcing", "hiar"


def findings(measurements: Measurements) -> list[str]:
    """Returns the sentences; each can be read without the others."""
    parts = (_scope, _mechanism, _drift, _noise, _flickering, _speed, _not_measured)
    return [line for part in parts if (line := part(measurements))]


def _scope(measurements: Measurements) -> str:
    preset = measurements.preset
    if not measurements.drifts:
        return "No run was scored, so there is no measured drift."
    record = next(iter(measurements.drifts.values()))
    video = next((videos[0] for videos in measurements.videos.values() if videos), None)
    length = f" of {video.num_frames / video.fps:.0f} s each" if video else ""
    return (
        f"Measured: the drift of {len(measurements.drifts)} runs, each a model and a way to sample "
        f"it, over {record.videos} prompts{length} (seed {preset.sample.seed}), by "
        f"{' and '.join(record.metrics)}."
    )


def _mechanism(measurements: Measurements) -> str:
    """Says what the order and the context's noise level do to one model."""
    record = measurements.mechanism
    if record is None:
        return ""
    changes = {
        "the order alone": "step-first-0",
        "context at the step's output level": "step-first-output",
        "at its input level": "step-first-input",
    }
    shown = "; ".join(
        f"{what} {percent(Change(value=value, interval=interval))}"
        for what, row in changes.items()
        for value, interval in [record.change(row, record.reference)]
    )
    return (
        f"One model of {len(record.seeds)} trainings, sampled in {len(record.rows)} ways: against "
        f"block-first with clean context, {shown} of drift. The figure below has every level."
    )


def _drift(measurements: Measurements) -> str:
    table = TABLES["table1"]
    built = table.build(measurements)
    ours, base = (built.row(row).cells[DRIFT].measured for row in (OURS, BASE))
    found = built.row(OURS).changes.get(DRIFT)
    if isinstance(ours, NotRun) or isinstance(base, NotRun) or found is None:
        return ""
    column = next(column for column in built.columns if column.id == DRIFT)
    paper = built.published_change(built.row(OURS), column)
    assert paper is not None, "Table 1 publishes both"
    values = [built.row(row).cells[DRIFT].published for row in (OURS, BASE)]
    return (
        f"Drift: {ours.value:.3f} step-first against {base.value:.3f} block-first, "
        f"{verdict(found)}. Between the trained models the paper reports "
        f"{signed(100 * paper.value, 1)} % ({values[0]:g} against {values[1]:g})."
    )


def _noise(measurements: Measurements) -> str:
    """Compares slopes with those of the same segments in random order."""
    parts = []
    for run in measurements.shown_runs:
        record = measurements.drifts.get(run.name)
        if record is None:
            continue
        ratios = {n: c.mean_abs_slope / c.noise_floor for n, c in record.metrics.items()
                  if c.noise_floor > 0}  # fmt: skip
        shown = ", ".join(f"{name} {ratio:.1f}" for name, ratio in ratios.items())
        if shown:
            parts.append(f"{run.name}: {shown}")
    if not parts:
        return ""
    return (
        "Mean |slope| over that of the same segments in random order (near 1, a slope is no more "
        f"than segment noise): {'; '.join(parts)}."
    )


def _flickering(measurements: Measurements) -> str:
    """Gives the one dimension of VBench that needs no weights; no table of the paper prints it."""
    parts = [
        f"{run.name} {found.mean:.4f}"
        for run in measurements.shown_runs
        if (record := measurements.proxies.get(run.name))
        and (found := record.measures.get(FLICKERING))
    ]
    if not parts:
        return ""
    shown = ", ".join(parts)
    return f"VBench's temporal flickering, by its own formula (higher is steadier): {shown}."


def verdict(change: Change) -> str:
    """Words a change: how much, and whether its interval holds 0."""
    text = f"{abs(100 * change.value):.1f} % {'less' if change.value < 0 else 'more'}"
    if change.interval is None:
        return text
    low, high = (100 * bound for bound in change.interval)
    text += f" (95 % interval {signed(low, 0)} to {signed(high, 0)} %, paired)"
    return f"{text}; the interval holds 0, so no difference is shown" if low <= 0 <= high else text


def _speed(measurements: Measurements) -> str:
    rows = measurements.bench
    if not {"block_first", "step_first"} <= set(rows):
        return ""
    first, step = rows["block_first"], rows["step_first"]
    pipelined = ""
    if "pipelined" in rows:
        found = rows["pipelined"]
        pipelined = f" Over {found.ranks} processes it is {found.throughput_fps:.1f}."
    return (
        f"Speed on one device: {first.throughput_fps:.1f} frames/s block-first "
        f"({first.passes_per_block:.2g} passes a block), {step.throughput_fps:.1f} step-first "
        f"({step.passes_per_block:.2g}). Step-first is faster only when its steps run on several "
        f"devices at once.{pipelined}"
    )


def _not_measured(measurements: Measurements) -> str:
    """Counts the published numbers that have none here, by what they need."""
    reasons: Counter[str] = Counter()
    total = 0
    for name in measurements.preset.tables:
        for row in TABLES[name].build(measurements).rows:
            for cell in row.cells.values():
                if cell.published is None:
                    continue
                total += 1
                if isinstance(cell.measured, NotRun):
                    reasons[cell.measured.summary] += 1
    if not total:
        return ""
    shown = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return (
        f"Of the {total} numbers in Tables 1-3, {total - reasons.total()} have one here"
        f"{f'; of the rest, {shown}' if shown else ''}."
    )
