"""Table 2: the noise level at which earlier blocks are seen."""

from reports.tables.build import TableSpec
from reports.tables.stand_ins import StandIn

STAND_INS = {
    "tiny": {
        "context-input": StandIn(
            run="tiny-context-input", origin="tiny, trained with input-level context"
        ),
        "context-output": StandIn(run="tiny-hiar", origin="tiny, trained step-first"),
        "context-clean": StandIn(run="tiny-self-forcing", origin="tiny, trained block-first"),
    },
    "paper": {
        "context-input": StandIn(run="context-input", origin="trained here, input-level context"),
        "context-output": StandIn(run="hiar", origin="the HiAR release"),
        "context-clean": StandIn(run="self-forcing", origin="the Self-Forcing release"),
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
    stand_ins=STAND_INS,
    needs=lambda _: "needs the trained variant",
    reference="context-clean",
    notes=NOTES,
)
