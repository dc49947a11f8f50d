"""Table 2: the noise level at which earlier blocks are seen."""

from reports.cells import Table, TableSpec
from reports.measurements import Measurements
from reports.tables.ablation import build_ablation

STAND_INS = {
    "context-input": ("step-first-input", "tiny, step-first, not distilled"),
    "context-output": ("step-first-output", "tiny, step-first, not distilled"),
    "context-clean": ("block-first-clean", "tiny, block-first, not distilled"),
    "step-first-clean": ("step-first-clean", "tiny, step-first, not distilled"),
}
EXTRA = {"step-first-clean": "step-first order with clean context (not in the paper)"}

NOTES = (
    "The paper retrains each variant under its own rollout; here one block-causal model, trained "
    "at independent noise levels a block, is sampled in each way.",
    "The last row is ours: it keeps the step-first order but shows earlier blocks as predicted "
    "clean frames, which separates the order from the context's noise level.",
)


def build(measurements: Measurements) -> Table:
    """Builds Table 2 from what was measured."""
    return build_ablation(
        "table2",
        measurements,
        stand_ins=STAND_INS,
        reference="context-clean",
        untrained="needs training",
        extra=EXTRA,
        notes=NOTES,
    )


SPEC = TableSpec(
    name="table2", runs=tuple(run for run, _ in STAND_INS.values()), bench=False, build=build
)
