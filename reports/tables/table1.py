"""Table 1: speed, VBench and drift of ten models on 20 s generation."""

from reports.cells import (
    NEEDS_GPU,
    NEEDS_VBENCH,
    Cell,
    Change,
    Measured,
    NotRun,
    Row,
    Table,
    TableSpec,
)
from reports.measurements import Measurements
from reports.published import PublishedRow, published_table
from reports.tables.columns import COLUMNS

REFERENCE = "self-forcing"
STAND_INS = {
    "self-forcing": ("block-first-clean", "block_first", "tiny, block-first, not distilled"),
    "hiar": ("step-first-output", "step_first", "tiny, step-first, not distilled"),
}
"""Row of the paper: the run, the benchmark order, and what they are."""

WEIGHTS = {
    "ltx-video": "Lightricks/LTX-Video",
    "wan2.1-1.3b": "Wan-AI/Wan2.1-T2V-1.3B",
    "nova": "BAAI/nova-d48w1024-osp480",
    "pyramid-flow": "rain1011/pyramid-flow-sd3",
    "skyreels-v2-1.3b": "Skywork/SkyReels-V2-DF-1.3B-540P",
    "magi-1-4.5b": "sand-ai/MAGI-1 (4.5B)",
    "causvid": "tianweiy/CausVid",
    "causal-forcing": "zhuhz22/Causal-Forcing",
}
"""Weights on the Hugging Face hub; source: each model's own README."""

NOTES = (
    "Self-Forcing and HiAR rows: one embedded tiny model sampled in two orders; neither number "
    "is a measurement of Self-Forcing or HiAR.",
    "Speed is the transformer's time only, on one CPU. On one device step-first costs 8 passes a "
    "block against 5 for block-first, so it is slower here; the published HiAR speed comes from "
    "pipelining over several GPUs, which is not measured here.",
    "Published: 5 s for the bidirectional models, 20 s for the rest; a dash: drift not applicable.",
)


def build(measurements: Measurements) -> Table:
    """Builds Table 1 from what was measured."""
    published = published_table("table1")
    return Table(
        name="table1",
        caption=published.caption,
        source=published.source,
        scale=measurements.preset.scale,
        columns=tuple(COLUMNS[name] for name in published.columns),
        rows=tuple(_row(row, measurements) for row in published.rows),
        reference=REFERENCE,
        reference_label="block-first (Self-Forcing)",
        notes=NOTES,
        shared_notes=measurements.notes(),
    )


def _row(row: PublishedRow, measurements: Measurements) -> Row:
    cells = {
        column: Cell(published=value, measured=_measured(row.id, column, measurements))
        for column, value in row.values.items()
    }
    stand_in = STAND_INS.get(row.id)
    origin = stand_in[2] if stand_in else f"needs weights {WEIGHTS[row.id]}, {NEEDS_GPU}"
    return Row(
        id=row.id,
        label=row.label,
        group=row.group,
        stand_in=row.id in STAND_INS,
        origin=origin,
        cells=cells,
        changes=_changes(row.id, measurements),
    )


def _measured(row_id: str, column: str, measurements: Measurements) -> Measured | NotRun:
    reasons = [] if row_id in STAND_INS else [f"needs weights {WEIGHTS[row_id]}", NEEDS_GPU]
    reasons += [NEEDS_VBENCH] if column.startswith("vbench_") else []
    if reasons:
        return NotRun(reason=", ".join(reasons))
    run, order, _ = STAND_INS[row_id]
    if column == "drift":
        return measurements.drift(run)
    return measurements.speed(order, column)


def _changes(row_id: str, measurements: Measurements) -> dict[str, Change]:
    if row_id not in STAND_INS:
        return {}
    run, order, _ = STAND_INS[row_id]
    base_run, base_order, _ = STAND_INS[REFERENCE]
    found = {
        "throughput_fps": measurements.speed_change(order, base_order, "throughput_fps"),
        "latency_s": measurements.speed_change(order, base_order, "latency_s"),
        "drift": measurements.drift_change(run, base_run),
    }
    return {column: change for column, change in found.items() if change is not None}


SPEC = TableSpec(
    name="table1", runs=tuple(run for run, _, _ in STAND_INS.values()), bench=True, build=build
)
