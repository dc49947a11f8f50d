import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from drift.errors import UsageError
from reports.cli.verify import compare_runs, verify_run

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, reproduce: Run) -> Path:
    """A real reproduction of one table, from drawn videos."""
    out = tmp_path_factory.mktemp("verify") / "out"
    done = reproduce("--out", str(out), "--only", "table3")
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def change_json(path: Path, change: Callable[[dict[str, object]], None]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


@pytest.mark.slow
def test_a_whole_run_is_well_and_every_number_has_its_job(whole: Path, reproduce: Run) -> None:
    report = verify_run(whole)
    assert report.problems == ()
    assert report.checked > 10
    # Seven rows with drift, motion and prompt following.
    assert any("21 measured numbers" in note for note in report.notes)
    done = reproduce("verify", str(whole))
    assert (done.returncode, done.stderr) == (0, "")
    assert "files hashed and traced: all well" in done.stdout


@pytest.mark.slow
def test_a_changed_a_missing_and_an_untraced_file_are_named(copy: Path) -> None:
    video = next((copy / "videos").rglob("*.mp4"))
    video.write_bytes(video.read_bytes() + b"x")
    (copy / "drift/tiny-self-forcing/summary.json").unlink()
    change_json(
        copy / "manifest.json",
        lambda data: data["artifacts"]["report.html"].update(jobs=["elsewhere"]),  # type: ignore[index]
    )
    problems = verify_run(copy).problems
    assert f"{video.relative_to(copy).as_posix()}: changed since it was made" in problems
    assert "drift/tiny-self-forcing/summary.json: missing" in problems
    assert "report.html: made from job elsewhere, which the manifest does not have" in problems


@pytest.mark.slow
def test_a_job_that_made_other_outputs_since_is_named(copy: Path) -> None:
    def other(data: dict[str, object]) -> None:
        next(iter(data["outputs"].values()))["sha256"] = "0" * 64  # type: ignore[attr-defined]

    change_json(copy / "jobs/sample-tiny-self-forcing.json", other)
    assert verify_run(copy).problems == (
        "job score-tiny-self-forcing: sample-tiny-self-forcing has made other outputs since",
        "job proxies-tiny-self-forcing: sample-tiny-self-forcing has made other outputs since",
    )


@pytest.mark.slow
def test_two_runs_are_compared_number_by_number(whole: Path, copy: Path) -> None:
    same = compare_runs(whole, copy)
    assert (same.checked, same.problems) == (21, ())

    def nudge(data: dict[str, object]) -> None:
        cell = next(r for r in data["rows"] if r["id"] == "self-forcing")["cells"]["drift"]  # type: ignore[attr-defined]
        cell["measured"]["value"] *= 1.001

    change_json(copy / "tables/table3.json", nudge)
    (problem,) = compare_runs(whole, copy).problems
    assert problem.startswith("table3, self-forcing, drift: ")
    assert "(+0.1 %)" in problem
    assert compare_runs(whole, copy, rtol=0.01).problems == ()


@pytest.mark.slow
def test_runs_of_two_presets_are_not_compared(whole: Path, copy: Path) -> None:
    change_json(copy / "manifest.json", lambda data: data.update(preset_sha256="0" * 64))
    with pytest.raises(UsageError, match="compare two of one preset"):
        compare_runs(whole, copy)


@pytest.mark.slow
def test_a_manifest_of_another_version_is_refused(copy: Path, tmp_path: Path) -> None:
    change_json(copy / "manifest.json", lambda data: data.update(schema="reports-manifest/1"))
    with pytest.raises(UsageError, match="run reproduce-paper again to write it anew"):
        verify_run(copy)
    with pytest.raises(UsageError, match="No such file or directory; give the --out"):
        verify_run(tmp_path)
