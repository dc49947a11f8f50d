"""Records of the tiny studies: read, compared with what a reproduction made, drawn and judged."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from study_records import mechanism_record, students_record

import reports
from drift.errors import UsageError
from hiar.tiny.mechanism import REFERENCE, SAMPLINGS
from hiar.tiny.study import STUDY_ROWS
from reports.figures import students
from reports.figures.mechanism import draw
from reports.paper.spec import load_preset
from reports.records import study_record as study_record_module
from reports.records.measurements import Measurements
from reports.records.study_record import (
    MechanismRecord,
    compare_with_record,
    main,
    read_mechanism,
    read_students,
)
from reports.report.claims import FAILS, HOLDS
from reports.report.judge import judge_claims
from reports.tables import TABLES
from reports.tables.cells import Measured


class DriftScores(NamedTuple):
    """What the comparison reads of a drift record."""

    video_scores: dict[str, float]


DRIFTS = {REFERENCE: 0.4, "step-first-0": 0.4, "step-first-output": 0.3, "step-first-input": 0.1}


def written(folder: Path, record: dict[str, object]) -> Path:
    path = folder / "tiny-mechanism.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


@pytest.fixture
def record(tmp_path: Path) -> MechanismRecord:
    return read_mechanism(written(tmp_path, mechanism_record(DRIFTS)))


def test_a_change_is_of_the_means_over_trainings_and_prompts(record: MechanismRecord) -> None:
    value, interval = record.change("step-first-output", REFERENCE)
    assert value == pytest.approx(-0.25)
    assert interval == pytest.approx((-0.25, -0.25))  # the rows scatter alike


def test_the_claims_are_judged_by_the_record(
    record: MechanismRecord, measurements: Measurements
) -> None:
    verdicts = {v.claim.id: v for v in judge_claims(replace(measurements, mechanism=record))}
    assert verdicts["mechanism-output"].verdict == HOLDS
    assert verdicts["mechanism-output"].detectable == pytest.approx(0, abs=1e-9)
    assert verdicts["mechanism-input"].verdict == HOLDS
    assert "−25.0 %" in verdicts["mechanism-output"].measured


def test_the_table_shows_the_record_beside_what_was_made_here(
    record: MechanismRecord, measurements: Measurements
) -> None:
    table = TABLES["mechanism"].build(replace(measurements, mechanism=record))
    assert table.title == table.caption
    cell = table.row("step-first-input").cells["drift"].measured
    assert isinstance(cell, Measured)
    assert cell.value == pytest.approx(0.1 * 1.3)
    assert (cell.mark, cell.n, cell.n_of) == ("tiny", 3 * 2, "videos")
    assert cell.interval is not None
    assert cell.interval[0] < cell.value < cell.interval[1]
    proxy = table.row("step-first-input").cells["vbench_dynamic_degree"].measured
    assert isinstance(proxy, Measured)
    assert proxy.mark == "tiny proxy"


def test_the_students_fill_the_tables(tmp_path: Path, measurements: Measurements) -> None:
    drifts = {"self-forcing": 0.4, "hiar": 0.3, "causvid": 0.6}
    path = tmp_path / "tiny-students.json"
    path.write_text(json.dumps(students_record(drifts)), encoding="utf-8")
    known = replace(measurements, students=read_students(path))
    verdicts = {verdict.claim.id: verdict for verdict in judge_claims(known)}
    assert verdicts["drift-reduction"].verdict == HOLDS
    assert verdicts["causvid-drifts-most"].verdict == HOLDS
    assert verdicts["lowest-drift"].verdict == FAILS  # Causal Forcing is at 0.2
    row = TABLES["table1"].build(known).row("hiar")
    cell = row.cells["drift"].measured
    assert isinstance(cell, Measured)
    assert cell.value == pytest.approx(0.3 * 1.3)
    assert row.changes["drift"].value == pytest.approx(-0.25)


def test_the_figure_of_the_students_has_every_row_and_training(
    tmp_path: Path, measurements: Measurements
) -> None:
    path = tmp_path / "tiny-students.json"
    path.write_text(json.dumps(students_record({"hiar": 0.3})), encoding="utf-8")
    drawing = students.draw(replace(measurements, students=read_students(path)))
    assert drawing.figure is not None
    found = {(point["row"], point["measure"]): point for point in drawing.data}
    assert len(found) == 2 * len(STUDY_ROWS)
    assert found["hiar", "drift"]["mean"] == pytest.approx(0.3 * 1.3)
    assert found["hiar", "drift"]["change"] == pytest.approx(0.5)  # the others are at 0.2


def test_the_figure_has_every_row_and_measure(
    record: MechanismRecord, measurements: Measurements
) -> None:
    drawing = draw(replace(measurements, mechanism=record))
    assert drawing.figure is not None
    assert {point["row"] for point in drawing.data} == {row.name for row in SAMPLINGS}
    assert len(drawing.data) == 4 * len(SAMPLINGS)
    assert "No row was sampled anew" in " ".join(drawing.notes)


def test_what_a_reproduction_made_is_set_beside_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = mechanism_record(DRIFTS)
    path, run = written(tmp_path, data), MechanismRecord.run_prefix + REFERENCE
    drift, videos = tmp_path / "out/drift" / run, tmp_path / "out/videos" / run
    drift.mkdir(parents=True)
    videos.mkdir(parents=True)
    (drift / "summary.json").touch()
    scores = DriftScores(video_scores={"a.mp4": 0.41, "b.mp4": 0.56})
    monkeypatch.setattr(study_record_module, "read_drift", lambda _: scores)
    for name, digest in (("a", "x"), ("b", "y")):
        (videos / f"{name}.json").write_text(json.dumps({"frames_sha256": digest}))
    found = compare_with_record(path, tmp_path / "out", MechanismRecord)
    made = {row["name"]: row.get("made_here") for row in found["rows"]}
    assert made.pop(REFERENCE) == {
        "mean": pytest.approx(0.485), "largest_difference": pytest.approx(0.01),
        "same_frames": False,
    }  # fmt: skip
    assert set(made.values()) == {None}
    reference = next(row for row in data["rows"] if row["name"] == REFERENCE)
    reference["trainings"][0]["frames_sha256"] = hashlib.sha256(b"xy").hexdigest()
    found = compare_with_record(written(tmp_path, data), tmp_path / "out", MechanismRecord)
    assert next(r for r in found["rows"] if r["name"] == REFERENCE)["made_here"]["same_frames"]


def test_a_record_of_another_size_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = mechanism_record(DRIFTS)
    data["prompts"] = ["one"]
    with pytest.raises(UsageError, match="3 trainings and 1 prompts"):
        read_mechanism(written(tmp_path, data))
    missing = tmp_path / "none.json"
    assert (
        main(
            ["mechanism", str(missing), "--runs", str(tmp_path), "--out", str(tmp_path / "records")]
        )
        == 2
    )
    assert str(missing) in capsys.readouterr().err


def test_the_shipped_record_is_what_the_preset_samples() -> None:
    """Rows of the study, settings of the spec's runs and the record's first training agree."""
    shipped = Path(reports.__file__).parent / "measured/tiny-mechanism.json"
    record = read_mechanism(shipped)
    rows = {row.name: row for row in SAMPLINGS}
    assert [row.name for row in record.rows] == list(rows)
    runs = [
        run for run in load_preset("tiny").runs if run.name.startswith(MechanismRecord.run_prefix)
    ]
    assert len(runs) >= 4
    for run in runs:
        row = rows[run.name.removeprefix(MechanismRecord.run_prefix)]
        assert (run.order, run.context) == (row.order, row.context)
        assert run.context_noise == pytest.approx(row.context_noise)
    assert len(record.prompts) == load_preset("tiny").sample.prompts.count
