"""Records of trained models and of VBench fill the rows and columns that nothing else can."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from record_schema import check_record

from drift import score_folder
from drift.errors import UsageError
from reports.records.measurements import Measurements
from reports.records.variants import read_variants
from reports.records.vbench_records import read_vbench
from reports.tables import TABLES
from reports.tables.cells import Measured
from reports.tables.needs import VBENCH, NotRun

SCORES = {
    "schema": "vbench/1",
    "total": None,
    "quality": 0.81,
    "semantic": None,
    "dimensions": {"dynamic_degree": {"raw": 0.5, "normalised": 0.5}},
    "missing": ["color"],
    "ignored": [],
    "provenance": {},
}


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reproduction folder that holds one really scored run, drift/no-fkl."""
    out = tmp_path_factory.mktemp("scored")
    videos = out / "videos/no-fkl"
    videos.mkdir(parents=True)
    for index in range(2):
        writer = cv2.VideoWriter(
            str(videos / f"{index}.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 16, (64, 64)
        )
        for frame in range(20):
            picture = np.full((64, 64, 3), 90, np.uint8)
            picture[16:48, 16:48] = (90 - 2 * frame, 60, 90 + (3 + index) * frame)
            writer.write(picture)
        writer.release()
    score_folder(videos, out=out / "drift/no-fkl", progress=None)
    (out / "vbench").mkdir()
    (out / "vbench/no-fkl.json").write_text(json.dumps(SCORES))
    return out


def write_variant(out: Path, scored: Path, name: str = "one", **changes: Any) -> Path:
    """A reproduction folder with the scored run and a record of a trained model."""
    data = {
        "schema": "reports-variant/1",
        "row": "no-fkl",
        "scale": "tiny",
        "what": "tiny, step-first, DMD without forward KL",
        "drift": "drift/no-fkl",
        "vbench": "vbench/no-fkl.json",
        "training": {"steps": 400},
        **changes,
    }
    shutil.copytree(scored, out, dirs_exist_ok=True)
    (out / "records/variants").mkdir(parents=True, exist_ok=True)
    (out / f"records/variants/{name}.json").write_text(json.dumps(data))
    return out


def test_a_trained_model_fills_its_row(
    tmp_path: Path, scored: Path, measurements: Measurements
) -> None:
    out = write_variant(tmp_path, scored)
    check_record(next((out / "records/variants").glob("*.json")))
    summary = json.loads((out / "drift/no-fkl/summary.json").read_text())
    table = TABLES["table3"].build(replace(measurements, variants=read_variants(out, "tiny")))
    row = table.row("no-fkl")
    drift = row.cells["drift"].measured
    assert isinstance(drift, Measured)
    assert drift.value == summary["drift_score"]["value"] > 0
    assert drift.n == 2
    assert drift.job == "record variants/no-fkl"
    assert row.origin == "tiny, step-first, DMD without forward KL"
    assert row.changes["drift"].value == pytest.approx(drift.value / 0.5 - 1)
    assert row.cells["vbench_semantic"].measured == NotRun(cause="VBench ran without color")
    assert isinstance(table.row("fkl-causal-1").cells["drift"].measured, NotRun)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": "reports-variant/0"}, "schema is 'reports-variant/0'; this version reads"),
        ({"row": "nofkl"}, "row 'nofkl' is unknown; choose from causal-forcing"),
        ({"scale": "paper"}, "scale is 'paper', this preset's is 'tiny'"),
        ({"drift": "../elsewhere"}, "'../elsewhere' leaves the reproduction folder"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(
    tmp_path: Path, scored: Path, changes: dict[str, Any], words: str
) -> None:
    out = write_variant(tmp_path, scored, **changes)
    with pytest.raises(UsageError, match=re.escape(words)) as error:
        read_variants(out, "tiny")
    assert "\n" not in str(error.value)


def test_two_records_of_one_row_are_refused(tmp_path: Path, scored: Path) -> None:
    write_variant(tmp_path, scored)
    out = write_variant(tmp_path, scored, name="two")
    with pytest.raises(UsageError, match=r"two\.json: row 'no-fkl' has a record already"):
        read_variants(out, "tiny")


def test_vbench_scores_are_read_by_column(scored: Path, measurements: Measurements) -> None:
    record = read_vbench(scored / "vbench/no-fkl.json")
    assert record.score("vbench_quality") == 0.81
    assert record.score("vbench_dynamic_degree") == 0.5
    assert record.score("vbench_total") is None
    filled = replace(measurements, vbench={"tiny-hiar": record})
    row = TABLES["table1"].build(filled).row("hiar")
    assert isinstance(row.cells["vbench_quality"].measured, Measured)
    other = TABLES["table1"].build(filled).row("self-forcing").cells["vbench_quality"].measured
    assert other == NotRun(needs=(VBENCH,))
