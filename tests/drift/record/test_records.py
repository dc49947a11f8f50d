"""Atomic writes and JSON without NaN."""

import pytest

from drift.files import atomic_path, atomic_write_text, dump_json
from drift.record.records import read_summary


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "deep" / "x.json"
    atomic_write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_nan_is_never_written():
    with pytest.raises(ValueError, match="JSON compliant"):
        dump_json({"value": float("nan")})


def test_a_summary_of_another_schema_is_refused(tmp_path):
    atomic_write_text(tmp_path / "summary.json", dump_json({"schema": "drift/0"}))
    with pytest.raises(ValueError, match="drift/0"):
        read_summary(tmp_path)
