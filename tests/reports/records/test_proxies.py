"""Tiny proxies in VBench's columns, and Fig. 4's record from what a student ships with."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from record_schema import check_record
from study_records import students_record

from drift.errors import UsageError
from reports.plan.inputs import InputHashes
from reports.plan.planning import plan_jobs
from reports.records.figure_records import read_dynamics
from reports.records.measurements import Measurements, load_measurements
from reports.records.study_dynamics import write_dynamics
from reports.records.vbench_records import read_proxies
from reports.render.as_markdown import to_markdown
from reports.report.claims import HOLDS, UNDECIDED
from reports.report.judge import judge_claims
from reports.run.attempt import Outcome
from reports.tables import TABLES
from reports.tables.cells import Measured
from reports.tables.needs import VBENCH, NotRun

HASHES = InputHashes()


def record(tmp_path: Path, run: str, values: tuple[float, ...], **changes: Any) -> Path:
    videos = {f"{index}.mp4": value for index, value in enumerate(values)}
    measure = {"mean": sum(values) / len(values), "ci95": [0.0, 9.0], "unit": "px/frame at 256",
               "stands_for": "dynamic_degree", "how": "OpenCV flow", "videos": videos}  # fmt: skip
    data = {"schema": "proxies/1", "scale": "tiny", "videos": len(values),
            "measures": {"dynamic_degree": measure | changes}}  # fmt: skip
    path = tmp_path / f"{run}.json"
    path.write_text(json.dumps(data))
    return path


def with_proxies(
    measurements: Measurements, tmp_path: Path, **values: tuple[float, ...]
) -> Measurements:
    found = {
        f"tiny-{name.replace('_', '-')}": read_proxies(record(tmp_path, name, mine))
        for name, mine in values.items()
    }
    return replace(measurements, proxies=found)


def test_a_proxy_stands_in_its_column_and_says_so(
    measurements: Measurements, tmp_path: Path
) -> None:
    table = TABLES["table3"].build(with_proxies(measurements, tmp_path, hiar=(3.0, 5.0)))
    row = table.row("fkl-bidirectional-1")
    cell = row.cells["vbench_dynamic_degree"]
    found = cell.measured
    assert isinstance(found, Measured)
    assert (found.value, found.n, found.n_of, found.interval) == (4.0, 2, "videos", (0.0, 9.0))
    assert found.note == "tiny proxy: OpenCV flow, px/frame at 256"
    assert found.mark == "tiny proxy"
    assert "4.000 [0.000, 9.000] tiny proxy" in to_markdown(table)
    assert found.job == "proxies-tiny-hiar"
    assert cell.difference is None
    assert replace(found, is_proxy=False).mark == "tiny"
    assert replace(found, scale="paper", is_proxy=False).mark == ""
    # No proxy stands for Quality, and none was measured for Semantic.
    for column in ("vbench_quality", "vbench_semantic"):
        assert row.cells[column].measured == NotRun(needs=(VBENCH,))


def test_claims_about_motion_are_judged_by_pairs(
    measurements: Measurements, tmp_path: Path
) -> None:
    def verdict(**values: tuple[float, ...]) -> Any:
        found = with_proxies(measurements, tmp_path, **values)
        return next(v for v in judge_claims(found) if v.claim.id == "fkl-causal-dynamics")

    # Every video moves half as much: every resample gives exactly -50 %.
    less = verdict(hiar=(2.0, 6.0, 4.0), fkl_causal_1=(1.0, 3.0, 2.0))
    assert less.verdict == HOLDS
    assert "[−50, −50]" in less.measured
    assert "tiny proxy" in less.measured
    mixed = verdict(hiar=(2.0, 6.0, 4.0), fkl_causal_1=(1.0, 9.0, 2.0))
    assert mixed.verdict == UNDECIDED
    single = verdict(hiar=(2.0,), fkl_causal_1=(1.0,))
    assert (single.verdict, single.why.split(":")[0]) == (UNDECIDED, "a change has no interval")


def test_damaged_records_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="schema"):
        read_proxies(_changed(record(tmp_path, "a", (1.0,)), schema="proxies/2"))
    path = record(tmp_path, "b", (1.0,))
    data = json.loads(path.read_text())
    del data["measures"]["dynamic_degree"]["how"]
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match="how"):
        read_proxies(path)


def _changed(path: Path, **changes: Any) -> Path:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return path


def training(tmp_path: Path, num_points: int) -> Path:
    points = [
        {"step": 100 * i, "bidirectional": 3.0 - i, "causal": 2.0 - i / 2,
         "videos": {"bidirectional": [3.0 - i], "causal": [2.0 - i / 2]}}
        for i in range(num_points)
    ]  # fmt: skip
    path = tmp_path / "students.json"
    path.write_text(json.dumps(students_record({}, seeds=2, points=points)))
    return path


def test_fig4_s_record_is_what_the_training_logged(tmp_path: Path) -> None:
    write_dynamics(training(tmp_path, 3), "no-fkl", tmp_path / "records")
    check_record(tmp_path / "records/dynamics.json")
    found = read_dynamics(tmp_path / "records/dynamics.json")
    assert [(p.step, p.bidirectional, p.causal) for p in found.points] == [
        (0, 3.0, 2.0), (100, 2.0, 1.5), (200, 1.0, 1.0),
    ]  # fmt: skip
    assert (found.scale, found.videos) == ("tiny", 2)
    assert found.training == "tiny, row no-fkl, 200 steps, mean of seeds 0, 1"


def test_a_record_counts_only_where_its_job_is_done(
    tmp_path: Path, measurements: Measurements
) -> None:
    """The job that makes it failed, or was not asked for: the file is of an earlier run."""
    write_dynamics(training(tmp_path, 3), "no-fkl", tmp_path / "records")
    preset = measurements.preset
    job = next(job for job in plan_jobs(preset, HASHES) if job.name == "dynamics-tiny-no-fkl")

    def found(**outcomes: Outcome) -> Measurements:
        return load_measurements(preset, tmp_path, {o.job.name: o for o in outcomes.values()})

    assert found(done=Outcome(job=job, status="done")).dynamics is not None
    assert found(failed=Outcome(job=job, status="failed")).dynamics is None
    assert found().dynamics is None
    by_hand = replace(preset, jobs=())
    assert load_measurements(by_hand, tmp_path, {}).dynamics is not None


def test_a_training_without_points_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="train them with one run"):
        write_dynamics(training(tmp_path, 1), "no-fkl", tmp_path / "records")
