"""hiar-vbench on folders of result files, through main() and through ``python -m eval``."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eval.cli.main import main
from eval.protocol.dimensions import DIMENSIONS

NAMES = tuple(dimension.name for dimension in DIMENSIONS)


def write_results(folder: Path, values: dict[str, Any], name: str = "results_a") -> None:
    """Writes what upstream writes: one result file and its list of prompts."""
    payload = {k: [v, [{"video_path": "a-0.mp4", "video_results": v}]] for k, v in values.items()}
    (folder / f"{name}_eval_results.json").write_text(json.dumps(payload))
    (folder / f"{name}_full_info.json").write_text(json.dumps([{"prompt_en": "a"}]))


def run_error(capsys: pytest.CaptureFixture[str], folder: Path) -> str:
    """Runs ``score``, expects exit code 2, no output file and one line on stderr."""
    out = folder / "out.json"
    assert main(["score", str(folder), "--out", str(out)]) == 2
    assert not out.exists()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def test_score_writes_the_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_results(tmp_path, dict.fromkeys(NAMES, 0.5))
    out = tmp_path / "new" / "score.json"
    assert main(["score", str(tmp_path), "--out", str(out)]) == 0
    record = json.loads(out.read_text())
    assert record["schema"] == "vbench/1"
    assert record["total"] == pytest.approx(0.2837790578928142, abs=1e-12, rel=0)
    assert record["dimensions"]["scene"] == {"raw": 0.5, "normalised": 0.5 / 0.8222}
    assert record["missing"] == []
    assert list(record["provenance"]["inputs_sha256"]) == ["results_a_eval_results.json"]
    assert {"git_commit", "packages", "python"} <= record["provenance"].keys()
    assert str(tmp_path) not in out.read_text()
    assert list(out.parent.iterdir()) == [out]
    assert "Total" in capsys.readouterr().out


def test_one_file_a_dimension_and_spaces_in_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in NAMES:
        write_results(tmp_path, {name.replace("_", " "): 1.0}, name)
    assert main(["score", str(tmp_path), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["total"] == pytest.approx(1.1393065636175588, abs=1e-12, rel=0)


def test_missing_dimension_is_null_and_exit_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_results(tmp_path, {name: 0.5 for name in NAMES if name != "scene"})
    out = tmp_path / "score.json"
    assert main(["score", str(tmp_path), "--out", str(out)]) == 1
    record = json.loads(out.read_text())
    assert record["quality"] == pytest.approx(0.143360859038936, abs=1e-12, rel=0)
    assert record["semantic"] is None
    assert record["total"] is None
    assert record["missing"] == ["scene"]
    assert "scene" in capsys.readouterr().err


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), True, "0.5", None, 65.3, [0.5]])
def test_broken_aggregate_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: object
) -> None:
    # json.dumps writes the bare NaN that upstream writes.
    write_results(tmp_path, dict.fromkeys(NAMES, 0.5) | {"temporal_style": bad})
    assert "temporal_style" in run_error(capsys, tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '{"scene": 0.5}', '{"scene": []}', "\xff"])
def test_broken_file_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tmp_path / "x_eval_results.json").write_text(text, encoding="latin-1")
    assert "x_eval_results.json" in run_error(capsys, tmp_path)


def test_same_dimension_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_results(tmp_path, dict.fromkeys(NAMES, 0.5), "a")
    write_results(tmp_path, {"color": 0.5}, "b")
    assert main(["score", str(tmp_path)]) == 0
    capsys.readouterr()
    write_results(tmp_path, {"color": 0.6}, "c")
    line = run_error(capsys, tmp_path)
    assert "color" in line
    assert "a_eval_results.json" in line
    assert "c_eval_results.json" in line


def test_unknown_key_is_named_not_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_results(tmp_path, dict.fromkeys(NAMES, 0.5) | {"i2v_subject": 0.9})
    assert main(["score", str(tmp_path), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["ignored"] == ["results_a_eval_results.json: i2v_subject"]
    assert "i2v_subject" in captured.err


def test_no_folder_and_no_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "_eval_results.json" in run_error(capsys, tmp_path)
    assert main(["score", str(tmp_path / "gone")]) == 2
    assert "gone" in capsys.readouterr().err


def test_unwritable_target_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_results(tmp_path, dict.fromkeys(NAMES, 0.5))
    (tmp_path / "file").write_text("")
    assert main(["score", str(tmp_path), "--out", str(tmp_path / "file" / "x.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_dimensions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dimensions", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [d["name"] for d in record["dimensions"]] == list(NAMES)
    assert main(["dimensions"]) == 0
    assert "subject_consistency" in capsys.readouterr().out


def test_runs_as_a_module(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "eval", "score", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
