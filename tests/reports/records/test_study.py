"""The spec's rows and the study's models are one thing: each row is filled by the model for it."""

import json
import math
from pathlib import PurePosixPath

import pytest
from safetensors import safe_open

from hiar.model.geometry import num_blocks, num_frames
from hiar.sampling.config import SamplerConfig
from hiar.tiny.preset import ASSETS as SHIPPED
from hiar.tiny.study import HIAR, STUDY_MODELS, WEIGHTS_FILE, StudyModel
from reports.paper.spec import load_preset
from reports.paper.spec_types import RunSpec
from reports.plan.inputs import InputHashes
from reports.plan.planning import plan_jobs
from reports.tables import TABLES

TINY = load_preset("tiny")
ASSETS = PurePosixPath("{packages}/hiar/tiny/assets")


def run_of(table: str, row: str) -> RunSpec:
    return TINY.run(TABLES[table].sources["tiny"][row].run)


def weights_of(model: StudyModel) -> str:
    """Weights that a run names; the default model's need no name."""
    return "" if model is HIAR else str(ASSETS / model.folder / WEIGHTS_FILE)


def how(run: RunSpec) -> tuple[str, str, str]:
    return run.weights, run.order, run.context


FILLED = [
    (table, row, model)
    for model in STUDY_MODELS
    for row in model.fills
    for table in ("table2", "table3")
    if row in TABLES[table].sources["tiny"]
]


@pytest.mark.parametrize(("table", "row", "model"), FILLED, ids=lambda value: str(value)[:20])
def test_each_row_is_its_model_sampled_as_it_was_trained(
    table: str, row: str, model: StudyModel
) -> None:
    assert how(run_of(table, row)) == (weights_of(model), model.order, model.context)


def test_every_row_is_filled() -> None:
    rows = {(table, row) for table, row, _ in FILLED} | {("table3", "no-retraining")}
    assert rows == {(t, row) for t in ("table2", "table3") for row in TABLES[t].sources["tiny"]}


def test_without_retraining_is_self_forcing_s_student_sampled_step_by_step() -> None:
    trained = run_of("table3", "self-forcing")
    assert how(run_of("table3", "no-retraining")) == (trained.weights, "step_first", "output")
    assert trained.weights


def test_table_1_has_the_two_students_of_the_other_tables() -> None:
    assert run_of("table1", "hiar") is run_of("table3", "fkl-bidirectional-1")
    assert run_of("table1", "self-forcing") is run_of("table3", "self-forcing")


@pytest.mark.parametrize("run", ["tiny-hiar", "tiny-self-forcing"])
def test_the_long_videos_are_made_as_the_run_they_are_called_after(run: str) -> None:
    jobs = {job.name: job for job in plan_jobs(TINY, InputHashes())}
    long, short = (jobs[f"{prefix}sample-{run}"].argv for prefix in ("long-", ""))
    options, others = (dict(zip(argv[4::2], argv[5::2], strict=True)) for argv in (long, short))
    apart = {name for name in options if options[name] != others.get(name)}
    assert apart == {"--latent-frames", "--out", "--prompt-range"}
    seconds = num_frames(int(options["--latent-frames"])) / TINY.run(run).fps
    assert 60 <= seconds < 61
    assert num_blocks(int(options["--latent-frames"]), SamplerConfig().frames_per_block) == 81
    assert jobs["lengths-tiny"].dependencies == (
        "long-score-tiny-hiar", "long-score-tiny-self-forcing",
    )  # fmt: skip


def test_the_caption_is_true_of_the_students_that_ship() -> None:
    folders = [SHIPPED / model.folder for model in STUDY_MODELS]
    records = [json.loads((folder / "training.json").read_text()) for folder in folders]
    assert {record["seed"] for record in records} == {0}
    assert len({record["steps"] for record in records}) == 1
    sizes = set()
    for folder in folders:
        with safe_open(folder / WEIGHTS_FILE, "pt") as weights:
            shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
        sizes.add(sum(math.prod(shape) for shape in shapes))
    (size,) = sizes
    caption = " ".join(TINY.caption.split())
    assert f"({size / 1e6:.1f} million parameters each)" in caption
    assert "equal budgets, one training seed" in caption
