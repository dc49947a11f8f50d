"""The spec's rows and the study's models are one thing: each row is filled by the model for it."""

import json
import math
from pathlib import Path, PurePosixPath

import pytest
from safetensors import safe_open

import reports
from hiar.codecs.prompts import read_prompts
from hiar.model.geometry import num_blocks, num_frames
from hiar.runtime.provenance import file_sha256
from hiar.sampling.config import SamplerConfig
from hiar.tiny.preset import ASSETS as SHIPPED
from hiar.tiny.preset import HELD_OUT_PROMPTS
from hiar.tiny.study import (
    HIAR,
    NUM_PROMPTS,
    SEEDS,
    STUDY_MODELS,
    STUDY_ROWS,
    WEIGHTS_FILE,
    StudyModel,
    study_model,
)
from reports.paper.spec import load_preset
from reports.plan.inputs import InputHashes
from reports.plan.planning import plan_jobs
from reports.records.study_record import StudentsRecord, read_students
from reports.tables import TABLES

TINY = load_preset("tiny")
ASSETS = PurePosixPath("{packages}/hiar/tiny/assets")
ROWS = {StudentsRecord.run_prefix + row.name: row for row in STUDY_ROWS}
"""Rows of the study by the run of the spec that samples them, whether the preset does or not."""
FILLED = [
    (table, row, model)
    for model in STUDY_MODELS
    for row in model.fills
    for table in ("table1", "table2", "table3")
    if row in TABLES[table].sources["tiny"]
]


def run_of(table: str, row: str) -> str:
    return TABLES[table].sources["tiny"][row].run


def weights_of(model: StudyModel) -> str:
    """Weights that a run names; the default model's need no name."""
    assert model.folder is not None
    return "" if model is HIAR else str(ASSETS / model.folder / WEIGHTS_FILE)


@pytest.mark.parametrize(("table", "row", "model"), FILLED, ids=lambda value: str(value)[:20])
def test_each_row_is_its_model_sampled_as_it_was_trained(
    table: str, row: str, model: StudyModel
) -> None:
    found = ROWS[run_of(table, row)]
    assert (found.model, found.order, found.context) == (model.name, model.order, model.context)


def test_every_row_is_filled() -> None:
    rows = {(table, row) for table, row, _ in FILLED} | {("table3", "no-retraining")}
    tables = ("table1", "table2", "table3")
    assert rows == {(t, row) for t in tables for row in TABLES[t].sources["tiny"]}


@pytest.mark.parametrize("run", [run.name for run in TINY.runs if run.name in ROWS])
def test_what_is_sampled_anew_are_rows_of_the_record(run: str) -> None:
    row, spec = ROWS[run], TINY.run(run)
    assert spec.weights == weights_of(study_model(row.model))
    assert (spec.order, spec.context) == (row.order, row.context)


def test_the_shipped_record_holds_the_rows_and_the_first_seed_s_weights_ship() -> None:
    record = read_students(Path(reports.__file__).parent / "measured/tiny-students.json")
    trained = {one.model for one in record.trainings}
    assert trained == {model.name for model in STUDY_MODELS}
    assert [row.name for row in record.rows] == [row.name for row in STUDY_ROWS]
    assert record.seeds == SEEDS
    assert record.reference == STUDY_ROWS[0].name
    assert len(record.prompts) == NUM_PROMPTS
    assert record.prompts[: TINY.sample.prompts.count] == tuple(read_prompts(HELD_OUT_PROMPTS))
    hashes = {(one.model, one.seed): one.weights_sha256 for one in record.trainings}
    for model in STUDY_MODELS:
        if model.folder is not None:
            shipped = file_sha256(SHIPPED / model.folder / WEIGHTS_FILE)
            assert hashes[model.name, SEEDS[0]] == shipped


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
    folders = [SHIPPED / model.folder for model in STUDY_MODELS if model.folder is not None]
    records = [json.loads((folder / "training.json").read_text()) for folder in folders]
    assert {record["seed"] for record in records} == {SEEDS[0]}
    assert len({record["steps"] for record in records}) == 1
    sizes = set()
    for folder in folders:
        with safe_open(folder / WEIGHTS_FILE, "pt") as weights:
            shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
        sizes.add(sum(math.prod(shape) for shape in shapes))
    (size,) = sizes
    caption = " ".join(TINY.caption.split())
    assert f"({size / 1e6:.1f} million parameters each)" in caption
    assert "equal budgets, several training seeds" in caption
