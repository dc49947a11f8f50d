"""One model, sampled in several ways: what the order does, and what the context's noise level."""

from hiar.tiny.mechanism import REFERENCE, SAMPLINGS
from reports.records.study_record import MechanismRecord
from reports.tables.build import TableSpec
from reports.tables.needs import TRAINED_VARIANT
from reports.tables.row_sources import DRIFT, RowSource

SAMPLED_HERE = (
    "block-first-0", "step-first-0", "block-first-0.25", "step-first-output", "step-first-input",
)  # fmt: skip
"""Rows that preset `tiny` samples anew; the figure has all."""
ORIGIN = "tiny, trained for any context level"
LABELS = {row.name: row.label for row in SAMPLINGS}

SPEC = TableSpec(
    name="mechanism",
    study="mechanism",
    caption="One model, sampled in several ways",
    columns=(
        DRIFT, "vbench_semantic", "vbench_dynamic_degree", "vbench_motion_smoothness",
    ),
    sources={
        "tiny": {
            name: RowSource(run=MechanismRecord.run_prefix + name, origin=ORIGIN)
            for name in SAMPLED_HERE
        }
    },
    needs=lambda _: (TRAINED_VARIANT,),
    reference=REFERENCE,
    reference_label=LABELS[REFERENCE],
    extra={name: LABELS[name] for name in SAMPLED_HERE},
    notes={
        "tiny": (
            "All rows share their weights: one model, trained by diffusion forcing so that it "
            "takes context of any noise level. Only the sampling differs, so no difference in "
            "training can explain a difference between rows.",
            "Numbers are of the shipped record, several trainings of that model, with intervals "
            "over trainings and prompts together. The rows were sampled anew here from the first "
            "training's weights; a drift's note says how near they came.",
        ),
    },
)  # fmt: skip
