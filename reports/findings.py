"""Plain words: what was measured, what came out, what was not measured."""

from __future__ import annotations

from reports.cells import Change, Measured
from reports.measurements import Measurements
from reports.published import published_table

BASE, OURS = "block-first-clean", "step-first-output"


def findings(measurements: Measurements) -> list[str]:
    """Returns sentences for the top of the report; each holds without the others."""
    parts = (_scope, _drift, _noise, _speed, _not_measured)
    return [line for part in parts if (line := part(measurements))]


def _scope(measurements: Measurements) -> str:
    preset = measurements.preset
    if not measurements.drifts:
        return "No run was scored, so there is no measured drift."
    record = next(iter(measurements.drifts.values()))
    video = next(videos[0] for videos in measurements.videos.values() if videos)
    seconds = video.num_frames / video.fps
    return (
        f"Measured: the drift of {len(measurements.drifts)} ways to sample one model, over "
        f"{record.videos} held-out prompts of {seconds:.0f} s each (seed {preset.sample.seed}), by "
        f"{' and '.join(record.metrics)}."
    )


def _drift(measurements: Measurements) -> str:
    change = measurements.drift_change(OURS, BASE)
    ours, base = measurements.drift(OURS), measurements.drift(BASE)
    if change is None or not isinstance(ours, Measured) or not isinstance(base, Measured):
        return ""
    rows = {row.id: row.values["drift"] or 0.0 for row in published_table("table1").rows}
    paper_ours, paper_base = rows["hiar"], rows["self-forcing"]
    return (
        f"Drift: {ours.value:.3f} step-first against {base.value:.3f} block-first, "
        f"{_verdict(change)}. Between the trained models the paper reports "
        f"{100 * (paper_ours / paper_base - 1):+.1f} % ({paper_ours:g} against {paper_base:g})."
    )


def _noise(measurements: Measurements) -> str:
    """Where a slope is no larger than that of the same segments in random order."""
    parts = []
    for run, record in measurements.drifts.items():
        ratios = {n: c.mean_abs_slope / c.noise_floor for n, c in record.metrics.items()
                  if c.noise_floor > 0}  # fmt: skip
        shown = ", ".join(f"{name} {ratio:.1f}" for name, ratio in ratios.items())
        if shown:
            parts.append(f"{run}: {shown}")
    if not parts:
        return ""
    return (
        "Mean |slope| over that of the same segments in random order (near 1, a slope is no more "
        f"than segment noise): {'; '.join(parts)}."
    )


def _verdict(change: Change) -> str:
    text = f"{abs(100 * change.value):.1f} % {'less' if change.value < 0 else 'more'}"
    if change.interval is None:
        return text
    low, high = (100 * bound for bound in change.interval)
    text += f" (95 % interval {low:+.0f} to {high:+.0f} %, paired over prompts)"
    return f"{text}; the interval holds 0, so no difference is shown" if low <= 0 <= high else text


def _speed(measurements: Measurements) -> str:
    rows = measurements.bench
    if not {"block_first", "step_first"} <= set(rows):
        return ""
    first, step = rows["block_first"], rows["step_first"]
    return (
        f"Speed on one CPU: {first.throughput_fps:.1f} frames/s block-first "
        f"({first.passes_per_block:.2g} passes a block), {step.throughput_fps:.1f} step-first "
        f"({step.passes_per_block:.2g}). Step-first is faster only when its steps run on several "
        "devices at once, which is not measured here."
    )


def _not_measured(measurements: Measurements) -> str:
    missing = "VBench, the eight other models of Table 1, and the variants that need training"
    records = list(measurements.drifts.values())
    if records and records[0].missing_metrics:
        missing += f"; of the drift score: {', '.join(records[0].missing_metrics)}"
    if not measurements.bench:
        missing += "; speed"
    return f"Not measured: {missing}."
