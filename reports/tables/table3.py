"""Table 3: the design of the forward-KL regulariser."""

from reports.cells import Table, TableSpec
from reports.measurements import Measurements
from reports.tables.ablation import build_ablation

STAND_INS = {
    "no-retraining": ("step-first-output", "tiny, step-first without training for it"),
    "self-forcing": ("block-first-clean", "tiny, block-first, not distilled"),
}

NOTES = (
    "w/o re-training: the block-causal tiny model sampled step-first without being trained for "
    "it. The paper starts from the distilled Self-Forcing model there; ours is not distilled.",
    "All other rows differ in how the model was trained, so they need a training run each.",
)


def build(measurements: Measurements) -> Table:
    """Builds Table 3 from what was measured."""
    return build_ablation(
        "table3",
        measurements,
        stand_ins=STAND_INS,
        reference="self-forcing",
        untrained="needs the trained variant",
        extra={},
        notes=NOTES,
    )


SPEC = TableSpec(
    name="table3", runs=tuple(run for run, _ in STAND_INS.values()), bench=False, build=build
)
