"""Table 1: speed, VBench and drift of ten models on 20 s generation."""

from baselines.registry import MODELS, find_model
from reports.tables.build import TableSpec
from reports.tables.needs import GPU, Need
from reports.tables.row_sources import RowSource

SOURCES = {
    "tiny": {
        "causvid": RowSource(
            run="tiny-causvid", orders=("block_first",), origin="tiny, trained on noised data"
        ),
        "self-forcing": RowSource(
            run="tiny-self-forcing", orders=("block_first",), origin="tiny, trained block-first"
        ),
        "causal-forcing": RowSource(
            run="tiny-causal-forcing",
            orders=("block_first",),
            origin="tiny, trained block-first from a teacher-forced model",
        ),
        "hiar": RowSource(
            run="tiny-hiar", orders=("pipelined", "step_first"), origin="tiny, trained step-first"
        ),
    },
    "paper": {
        model.key: RowSource(
            run=model.key,
            orders=(model.key, *([model.sampler.order] if model.sampler else [])),
            origin=f"{model.repository}, {model.how}",
        )
        for model in MODELS
        if model.in_paper
    },
}
"""What each row shows. Speed at the paper's scale is the model's own timing, for HiAR the pipelined
one, and where there is none the timing of the model's order."""

NOTES = {
    "tiny": (
        "CausVid, Self-Forcing, Causal Forcing and HiAR: students of one tiny teacher, distilled "
        "by those methods; no number is a measurement of the published models.",
        "Speed is the transformer's time only, on one CPU: block-first, timed once for all three "
        "rows, since it does not depend on weights, in one process of one thread, 5 passes a "
        "block; HiAR pipelined over two such, which share its 8 passes: at best 1.25 times as "
        "fast. The published speed is of four GPUs, 2 passes each.",
        "Published: 5 s for the bidirectional models, 20 s for the rest; a dash: drift not "
        "applicable.",
    ),
    "paper": (
        "Published: 5 s for the bidirectional models, 20 s for the rest; a dash: drift not "
        "applicable.",
        "A speed's note says which order was timed: on one GPU HiAR is step-first, not pipelined.",
    ),
}


def needs(row_id: str) -> tuple[Need, ...]:
    """Says what a model that was not run needs."""
    return (Need(what="weights", which=find_model(row_id).repository), GPU)


SPEC = TableSpec(
    name="table1",
    study="students",
    sources=SOURCES,
    needs=needs,
    reference="self-forcing",
    bench=True,
    bold_groups=("Distilled autoregressive video models",),
    notes=NOTES,
)
