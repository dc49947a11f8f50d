"""Table 3: the design of the forward-KL regulariser."""

from reports.tables.build import TableSpec
from reports.tables.needs import TRAINED_VARIANT
from reports.tables.row_sources import RowSource

SOURCES = {
    "tiny": {
        "fkl-bidirectional-1": RowSource(run="tiny-hiar", origin="tiny, trained step-first"),
        **{
            row: RowSource(
                run=f"tiny-{row}", origin="tiny, trained step-first, its own regulariser"
            )
            for row in ("fkl-causal-1", "fkl-bidirectional-2", "fkl-bidirectional-4")
        },
        "no-fkl": RowSource(run="tiny-no-fkl", origin="tiny, trained step-first, no regulariser"),
        "no-retraining": RowSource(
            run="tiny-no-retraining", origin="tiny, trained block-first, sampled step-first"
        ),
        "self-forcing": RowSource(run="tiny-self-forcing", origin="tiny, trained block-first"),
    },
    "paper": {
        "fkl-bidirectional-1": RowSource(run="hiar", origin="the HiAR release"),
        **{
            row: RowSource(run=row, origin="trained here")
            for row in ("fkl-causal-1", "fkl-bidirectional-2", "fkl-bidirectional-4", "no-fkl")
        },
        "no-retraining": RowSource(
            run="no-retraining", origin="the Self-Forcing release, sampled step-first"
        ),
        "self-forcing": RowSource(run="self-forcing", origin="the Self-Forcing release"),
    },
}

NOTES = {
    "tiny": (
        "All rows share one tiny teacher, one ODE-initialised student, one budget and the same "
        "training seeds: intervals are over seeds and prompts together.",
    ),
}

SPEC = TableSpec(
    name="table3",
    study="students",
    sources=SOURCES,
    needs=lambda _: (TRAINED_VARIANT,),
    reference="self-forcing",
    notes=NOTES,
)
