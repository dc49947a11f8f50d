"""docs/schemas: what the command writes, and what shipped and written records obey.

The other kinds are held against their schemas where a test of their command writes one.
"""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator, ValidationError
from record_schema import SCHEMAS, check_record
from record_schemas import MODELS, schema_files

from drift.cli.main import main
from drift.video.encode import write_mp4
from reports.records.record_files import schema_of

ROOT = SCHEMAS.parents[1]
KINDS = {schema_of(kind) for kind in MODELS}


def test_the_folder_is_what_the_command_writes() -> None:
    files = {path.name: path.read_text("utf-8") for path in SCHEMAS.iterdir()}
    assert files == schema_files(), "run python scripts/record_schemas.py"
    for name, text in files.items():
        if name.endswith(".json"):
            Draft202012Validator.check_schema(json.loads(text))


def shipped() -> list[Path]:
    paths = sorted((ROOT / "reports").rglob("*.json"))
    return [path for path in paths if json.loads(path.read_text()).get("schema") in KINDS]


@pytest.mark.parametrize("path", shipped(), ids=lambda path: "/".join(path.parts[-3:]))
def test_a_shipped_record_is_what_its_schema_says(path: Path) -> None:
    check_record(path)


def test_a_record_with_another_type_a_missing_and_an_unknown_field_is_refused() -> None:
    record = json.loads(next(path for path in shipped() if path.name == "summary.json").read_text())
    check_record(record)
    with pytest.raises(ValidationError, match="'16' is not of type 'integer'"):
        check_record({**record, "videos": "16"})
    with pytest.raises(ValidationError, match="'colour' was unexpected"):
        check_record({**record, "colour": 1})
    with pytest.raises(ValidationError, match="'segments' is a required property"):
        check_record({key: value for key, value in record.items() if key != "segments"})


def write_videos(folder: Path, rise: int) -> None:
    """Three videos of a square whose colour grows, a prompt each."""
    folder.mkdir()
    for index in range(3):
        frames = np.full((48, 64, 64, 3), 90, np.uint8)
        for time, frame in enumerate(frames):
            frame[16:48, 16 + index : 48 + index] = (90 + rise * time, 60, 90 - time)
        write_mp4(folder / f"{index}.mp4", frames, Fraction(16))
        (folder / f"{index}.json").write_text(json.dumps({"prompt": f"prompt {index}"}))


def test_records_of_drift_are_what_their_schemas_say(tmp_path: Path) -> None:
    runs = [str(tmp_path / name) for name in ("less", "more")]
    for run, rise in zip(runs, (1, 3), strict=True):
        write_videos(Path(f"{run}-videos"), rise)
        assert main(["score", f"{run}-videos", "--out", run, "--workers", "1"]) == 0
        check_record(Path(run) / "summary.json")
    commands = {
        "compare": ["compare", *runs],
        "lengths": ["lengths", *runs, "--at", "1,2"],
        "power": ["power", *runs],
        "seams": ["seams", runs[0], "--first", "9", "--block", "12"],
    }
    for name, argv in commands.items():
        out = tmp_path / f"{name}.json"
        assert main([*argv, "--out", str(out)]) == 0
        check_record(out)
