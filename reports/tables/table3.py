"""Table 3: the design of the forward-KL regulariser."""

from reports.tables.build import TableSpec
from reports.tables.stand_ins import StandIn

STAND_INS = {
    "tiny": {
        "fkl-bidirectional-1": StandIn(run="tiny-hiar", origin="tiny, trained step-first"),
        **{
            row: StandIn(run=f"tiny-{row}", origin="tiny, trained step-first, its own regulariser")
            for row in ("fkl-causal-1", "fkl-bidirectional-2", "fkl-bidirectional-4")
        },
        "no-fkl": StandIn(run="tiny-no-fkl", origin="tiny, trained step-first, no regulariser"),
        "no-retraining": StandIn(
            run="tiny-no-retraining", origin="tiny, trained block-first, sampled step-first"
        ),
        "self-forcing": StandIn(run="tiny-self-forcing", origin="tiny, trained block-first"),
    },
    "paper": {
        "fkl-bidirectional-1": StandIn(run="hiar", origin="the HiAR release"),
        **{
            row: StandIn(run=row, origin="trained here")
            for row in ("fkl-causal-1", "fkl-bidirectional-2", "fkl-bidirectional-4", "no-fkl")
        },
        "no-retraining": StandIn(
            run="no-retraining", origin="the Self-Forcing release, sampled step-first"
        ),
        "self-forcing": StandIn(run="self-forcing", origin="the Self-Forcing release"),
    },
}

NOTES = {
    "tiny": (
        "All rows share one tiny teacher, one ODE-initialised student, one budget and one training "
        "seed: an interval is over prompts and says nothing of how another seed would come out.",
    ),
}

SPEC = TableSpec(
    name="table3",
    stand_ins=STAND_INS,
    needs=lambda _: "needs the trained variant",
    reference="self-forcing",
    notes=NOTES,
)
