"""One submission: who measured what on which machine, and the records that show it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from drift.errors import UsageError
from drift.files import file_sha256
from drift.typed_data import checked

SUBMISSION_NAME = "submission.json"
RECORDS = "records"
ENTRIES = Path(__file__).parent / "entries"
# Records that a submission may hold: numbers, no videos, no pictures.
RECORD_GLOBS = (
    "bench.json", "claims.json", "tables/*.json", "drift/*/summary.json", "drift/*/videos.csv",
    "proxies/*.json", "timing/*.json", "vbench/*.json",
)  # fmt: skip
LARGEST_BYTES = 4 * 1024 * 1024
_NAME = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")
# A path on someone's machine, which tells a reader nothing and the author's name perhaps.
_MACHINE_PATH = re.compile(r"(?:^|[\s'\"=:])(?:/(?:home|root|Users|tmp|mnt|data|work|scratch)/\S+)")


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What `submission.json` says.

    Attributes:
        name: Name of the folder: lower case words joined by - or .
        lab: Who measured.
        machine: On what, in words: cards and their number, or processor and cores.
        scale: "tiny" for the tiny world, whose numbers stand apart; else "paper".
        preset: Preset of `reproduce-paper`.
        preset_sha256: Hash of that preset's spec.
        environment: Commit, package versions, Python and platform.
        jobs: Command line and state of each job, by name.
        trained_s: Seconds of video on which each run's model was trained, by run; None where its
            authors do not say.
        note: What a reader must know besides; may be empty.
        files: SHA-256 of each record, by its path below `records`.
        schema: Version of this format.
    """

    name: str
    lab: str
    machine: str
    scale: Literal["tiny", "paper"]
    preset: str
    preset_sha256: str
    environment: Mapping[str, Any]
    jobs: Mapping[str, Mapping[str, Any]]
    trained_s: Mapping[str, float | None]
    note: str
    files: Mapping[str, str]
    schema: Literal["submission/1"] = "submission/1"

    def __post_init__(self) -> None:
        """Refuses what a reader of the page could not use.

        Raises:
            UsageError: A field is empty or of another form.
        """
        if not _NAME.fullmatch(self.name):
            raise UsageError(
                f"name {self.name!r}: give lower case words joined by - or ., such as h100-quick"
            )
        for field in ("lab", "machine"):
            if not getattr(self, field).strip():
                raise UsageError(f"{field} is empty; say who measured, and on what")
        if not self.files:
            raise UsageError(f"{self.name} holds no record; pack a run that came to its end")

    def data(self) -> dict[str, Any]:
        """The content of `submission.json`."""
        fields = asdict(self)
        return {"schema": fields.pop("schema"), **fields}


def read_submission(folder: Path) -> Submission:
    """Reads a submission and checks every file of it.

    Raises:
        UsageError: A file is missing, changed, unknown or too large, or holds a NaN or a path of a
            machine; the message names it.
    """
    path = folder / SUBMISSION_NAME
    submission = checked(Submission, read_record(path), str(path))
    if submission.name != folder.name:
        raise UsageError(f"{folder} holds the submission {submission.name!r}; name it so")
    there = {path.relative_to(folder / RECORDS).as_posix()
             for path in (folder / RECORDS).rglob("*") if path.is_file()}  # fmt: skip
    if there != set(submission.files):
        odd = sorted(there ^ set(submission.files))[0]
        raise UsageError(f"{folder / RECORDS / odd} is missing, or is not named in the submission")
    for name, sha256 in submission.files.items():
        path = folder / RECORDS / name
        if file_sha256(path) != sha256:
            raise UsageError(f"{path} was changed since it was packed; pack the run anew")
        check_record(path, name)
    return submission


def read_submissions(entries: Path = ENTRIES) -> list[tuple[Path, Submission]]:
    """Reads all submissions in the order of their names.

    Raises:
        UsageError: One of them is broken, or two hold the same records.
    """
    if not entries.is_dir():
        raise UsageError(f"{entries} is no folder; give the folder of the submissions")
    found = [
        (folder, read_submission(folder)) for folder in sorted(entries.iterdir()) if folder.is_dir()
    ]
    first: dict[tuple[tuple[str, str], ...], str] = {}
    for _, submission in found:
        earlier = first.setdefault(tuple(sorted(submission.files.items())), submission.name)
        if earlier != submission.name:
            raise UsageError(f"{submission.name} holds the records of {earlier}; keep one of them")
    return found


def read_record(path: Path) -> dict[str, Any]:
    """Reads a JSON object; NaN and infinity are refused.

    Raises:
        UsageError: It cannot be read, is no JSON object, or holds a value that is no number.
    """

    def refuse(constant: str) -> float:
        raise ValueError(f"holds {constant}, which is no measured number")

    try:
        data = json.loads(path.read_bytes(), parse_constant=refuse)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{path}: {error}; measure it again") from None
    if not isinstance(data, dict):
        raise UsageError(f"{path} is no record: a {type(data).__name__}")
    return data


def check_record(path: Path, name: str) -> None:
    """Refuses a record that is of no known kind, too large, not finite, or names a machine's path.

    Args:
        path: The file.
        name: Its path below the folder of records.

    Raises:
        UsageError: It is one of these.
    """
    if not any(PurePosixPath(name).match(glob) for glob in RECORD_GLOBS):
        raise UsageError(f"{path} is no record of a submission; README.md lists them")
    if path.stat().st_size > LARGEST_BYTES:
        raise UsageError(f"{path} has more than {LARGEST_BYTES >> 20} MiB; is it a record?")
    texts = path.read_text(encoding="utf-8").splitlines()
    if path.suffix == ".json":
        texts = list(_texts(read_record(path)))
    else:
        cells = {cell.strip().casefold() for line in texts for cell in line.split(",")}
        if cells & {"nan", "inf", "-inf"}:
            raise UsageError(f"{path} holds a NaN or an infinity; measure it again")
    for text in texts:
        if found := _MACHINE_PATH.search(text):
            raise UsageError(f"{path} names {found[0].strip()!r}, a path of a machine; remove it")


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"a record holds {value}, too large for a number; measure it again")
