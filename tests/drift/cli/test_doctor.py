"""`drift doctor`: what is missing, what it disables, where it comes from."""

import json

from drift.cli.diagnosis import FOR_ALL, PACKAGES
from drift.cli.main import main
from drift.metrics.registry import METRICS
from drift.metrics.weights.local import WEIGHTS, address


def test_everything_missing_is_named_with_its_address(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DRIFT_OFFLINE", "1")
    assert main(["doctor", "--json", "--weights-dir", str(tmp_path)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["offline"] is True
    rows = {row["name"]: row for row in facts["weights"]}
    assert set(rows) == set(WEIGHTS)
    assert rows["musiq-koniq"]["state"] == "missing"
    assert rows["musiq-koniq"]["address"] == address(WEIGHTS["musiq-koniq"])
    assert rows["musiq-koniq"]["used_by"] == ["musiq"]
    assert facts["metrics"]["musiq"] == {"runs": False, "lacks": ["musiq-koniq"]}
    assert facts["metrics"]["saturation"] == {"runs": True, "lacks": []}
    assert {name.partition("=")[0] for name in facts["metrics"]} == set(METRICS)
    assert any(line.startswith("drift weights fetch musiq-koniq") for line in facts["todo"])
    assert any("downloads are forbidden" in line for line in facts["todo"])


def test_page_says_what_a_missing_file_disables(tmp_path, capsys):
    assert main(["doctor", "--weights-dir", str(tmp_path)]) == 0
    page = capsys.readouterr().out
    assert "disables dino_coherence=vit-s" in page
    assert f"{address(WEIGHTS['dinov2-small'])} -> {tmp_path / 'dinov2-small.safetensors'}" in page
    assert "musiq                    lacks musiq-koniq" in page


def test_a_damaged_file_shows_with_verify_only(tmp_path, capsys):
    (tmp_path / WEIGHTS["alexnet"].file).write_bytes(b"half")
    for arguments, state in (([], "present"), (["--verify"], "damaged")):
        main(["doctor", "--json", *arguments, "--weights-dir", str(tmp_path)])
        facts = json.loads(capsys.readouterr().out)
        assert {row["name"]: row["state"] for row in facts["weights"]}["alexnet"] == state


def test_a_missing_package_is_a_failure(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(PACKAGES, "no-such-package", FOR_ALL)
    assert main(["doctor", "--weights-dir", str(tmp_path)]) == 1
    assert "pip install no-such-package" in capsys.readouterr().out
