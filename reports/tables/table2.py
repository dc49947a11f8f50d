"""Table 2: the noise level at which earlier blocks are seen."""

from reports.tables.build import TableSpec
from reports.tables.needs import TRAINED_VARIANT
from reports.tables.row_sources import RowSource

SOURCES = {
    "tiny": {
        "context-input": RowSource(
            run="tiny-context-input", origin="tiny, trained with input-level context"
        ),
        "context-output": RowSource(run="tiny-hiar", origin="tiny, trained step-first"),
        "context-clean": RowSource(run="tiny-self-forcing", origin="tiny, trained block-first"),
    },
    "paper": {
        "context-input": RowSource(run="context-input", origin="trained here, input-level context"),
        "context-output": RowSource(run="hiar", origin="the HiAR release"),
        "context-clean": RowSource(run="self-forcing", origin="the Self-Forcing release"),
    },
}

NOTES = {
    "tiny": (
        "As in the paper, each variant is trained under its own rollout, and the clean row is "
        "Self-Forcing, which differs in order and regulariser as well.",
    ),
}

SPEC = TableSpec(
    name="table2",
    study="students",
    sources=SOURCES,
    needs=lambda _: (TRAINED_VARIANT,),
    reference="context-clean",
    notes=NOTES,
)
