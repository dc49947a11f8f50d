"""The models of late 2026 that run here, at 60 s: speed, VBench's Quality, drift and seams."""

from baselines.registry import find_model
from reports.tables.build import TableSpec
from reports.tables.needs import GPU
from reports.tables.row_sources import DRIFT, SEAM, RowSource

MODELS = {
    "self-forcing-60s": "self-forcing",
    "causal-forcing-60s": "causal-forcing",
    "hiar-60s": "hiar",
    "longlive": "longlive",
    "longlive-infinity": "longlive-infinity",
    "infinity-rope": "infinity-rope",
    "reward-forcing": "reward-forcing",
}
"""Model by run; each run is a row."""


def _source(run: str) -> RowSource:
    spec = find_model(MODELS[run])
    assert spec.sampler is not None, "only distilled models have a row"
    trained = "not known" if spec.trained_s is None else f"{spec.trained_s:.2f} s"
    return RowSource(
        run=run,
        # A model with a sink sees fewer latent frames than `hiar bench` times: its own time only.
        orders=(run,) if spec.sampler.sink else (spec.sampler.order,),
        origin=f"trained on {trained}; sees {spec.sees}",
    )


SPEC = TableSpec(
    name="field",
    caption="The field at 60 s",
    columns=(
        "throughput_fps", "latency_s", "vbench_quality", "vbench_dynamic_degree", DRIFT, SEAM,
    ),
    sources={"paper": {run: _source(run) for run in MODELS}},
    needs=lambda _: (GPU,),
    reference="self-forcing-60s",
    reference_label="Self-Forcing",
    bench=True,
    extra={run: find_model(key).label for run, key in MODELS.items()},
    notes={
        "paper": (
            "Speed is of steady blocks on one GPU, with a full window, without text and decoding: "
            "5 passes of the transformer a block; HiAR step-first takes 8, which several GPUs "
            "share.",
            "Quality is of VBench-Long's custom mode, seven dimensions: compare it with another "
            "Quality only.",
            "Seam: how much more two frames differ where blocks meet than beside it; 1 is none.",
        ),
    },
)  # fmt: skip
