"""Reads upstream's result files and writes the score record."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from drift.errors import UsageError
from drift.provenance import collect_provenance
from eval.protocol.dimensions import DIMENSIONS, SOURCE
from eval.protocol.protocols import PROTOCOLS
from eval.scores.score import VBenchScore

SCHEMA = "vbench/1"
RESULT_SUFFIX = "_eval_results.json"
RESULT_PATTERN = f"*{RESULT_SUFFIX}"
# Every upstream aggregate is a share or a cosine; the tolerance is for float32 rounding. Values
# such as 65.3 (imaging_quality's scale for one video) or 300 come from a broken run.
_RAW_BOUND = 1.0 + 1e-3
# Entries of a run's record that stand in the score's provenance.
_RUN_KEYS = (
    "protocol", "samples", "videos", "failed", "missing", "full_info_sha256", "list_sha256",
    "set_sha256", "by", "seconds", "device",
)  # fmt: skip


def result_path(folder: Path, dimension: str) -> Path:
    """Path of a dimension's result, as upstream calls it."""
    return folder / f"{dimension}{RESULT_SUFFIX}"


def record_path(folder: Path, dimension: str) -> Path:
    """Path of the record in which `hiar-vbench run` says how a dimension was measured."""
    return folder / f"{dimension}_run.json"


class ResultError(UsageError):
    """A result folder or file cannot be scored; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class RawResults:
    """The aggregates of one result folder.

    Attributes:
        raw: Aggregate by name of the dimension.
        ignored: Keys that are none of the 16 dimensions, written as "file: key".
        files: SHA-256 of every result file that was read, by file name.
    """

    raw: Mapping[str, float]
    ignored: tuple[str, ...]
    files: Mapping[str, str]


def read_results(folder: Path) -> RawResults:
    """Reads the aggregates from upstream's result files in one folder, without its sub-folders.

    Args:
        folder: Folder with ``*_eval_results.json`` files, each of them
            ``{dimension: [aggregate, per_video, ...]}``. Other files, such as
            ``*_full_info.json``, are not read.

    Returns:
        The aggregates; a dimension may stand in several files if its value is the same.

    Raises:
        ResultError: The folder or its result files do not exist, a file is not JSON, a value is
            not a finite number in [-1, 1], or a dimension has two different values.

    Source:
        Format: Vchitect/VBench 45e79ec vbench/__init__.py, evaluate.
    """
    if not folder.is_dir():
        raise ResultError(f"{folder} is not a folder; give the folder of upstream's result files")
    paths = sorted(folder.glob(RESULT_PATTERN))
    if not paths:
        raise ResultError(f"{folder} holds no {RESULT_PATTERN}; run VBench with this output path")
    known = {dimension.name for dimension in DIMENSIONS}
    found: dict[str, tuple[float, str]] = {}
    ignored: list[str] = []
    files: dict[str, str] = {}
    for path in paths:
        content = _read_bytes(path)
        files[path.name] = hashlib.sha256(content).hexdigest()
        for key, value in _parse_results(path, content).items():
            name = key.replace(" ", "_")
            if name not in known:
                ignored.append(f"{path.name}: {key}")
                continue
            raw = parse_aggregate(name, path.name, value)
            earlier = found.setdefault(name, (raw, path.name))
            if earlier[0] != raw:
                raise ResultError(
                    f"{name} is {earlier[0]!r} in {earlier[1]} but {raw!r} in {path.name}; "
                    "keep the results of one run in the folder"
                )
    return RawResults(
        raw={name: raw for name, (raw, _) in found.items()}, ignored=tuple(ignored), files=files
    )


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What the records of `hiar-vbench run` say of the results beside them.

    Attributes:
        dimensions: Dimensions that the protocol can measure; all 16 if no record is there.
        records: Facts of each dimension that a reader of its score needs, by dimension.
    """

    dimensions: tuple[str, ...]
    records: Mapping[str, Mapping[str, Any]]


def read_run_facts(folder: Path, results: RawResults) -> RunFacts:
    """Reads ``<dimension>_run.json`` beside the results, if `hiar-vbench run` made them.

    Args:
        folder: Folder of the results.
        results: What `read_results` read there.

    Raises:
        ResultError: A result was changed after its record was written, or two dimensions are of
            other videos, prompts or protocols.
    """
    records: dict[str, dict[str, Any]] = {}
    for name in results.raw:
        path = record_path(folder, name)
        if not path.is_file():
            continue
        record = _parse_results(path, _read_bytes(path))
        if record.get("result_sha256") != results.files.get(result_path(folder, name).name):
            raise ResultError(f"{path} is of another result than the one beside it; run it again")
        records[name] = {key: record.get(key) for key in _RUN_KEYS}
    sets = {record["set_sha256"]: name for name, record in records.items()}
    if len(sets) > 1:
        one, other = list(sets.values())[:2]
        raise ResultError(
            f"{one} and {other} are of different videos, prompts or protocols; keep the results "
            "of one run in the folder"
        )
    named = {record["protocol"] for record in records.values()}
    all_names = tuple(dimension.name for dimension in DIMENSIONS)
    dimensions = PROTOCOLS[named.pop()].dimensions if named <= PROTOCOLS.keys() and named else None
    return RunFacts(dimensions=dimensions or all_names, records=records)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ResultError(f"cannot read {path}: {error.strerror}") from error


def _parse_results(path: Path, content: bytes) -> dict[str, Any]:
    try:
        results = json.loads(content)
    except ValueError as error:
        raise ResultError(f"{path} is not JSON ({error}); run the dimension again") from error
    if not isinstance(results, dict):
        raise ResultError(
            f"{path} holds a {type(results).__name__}, not upstream's {{dimension: [aggregate, "
            "per video]}; remove it from the folder or run the dimension again"
        )
    return results


def parse_aggregate(name: str, source: str, value: object) -> float:
    """Checks and returns the aggregate of one dimension.

    Args:
        name: Name of the dimension.
        source: Origin of the value, for messages.
        value: Upstream's ``[aggregate, per video, ...]``.

    Returns:
        The aggregate, finite and in [-1, 1].

    Raises:
        ResultError: The value has another form or is out of range.
    """
    where = f"{name} in {source}"
    if not isinstance(value, list) or not value:
        raise ResultError(f"{where} is not upstream's [aggregate, per video]; run it again")
    raw = value[0]
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise ResultError(f"{where} is {json.dumps(raw)[:40]}, not a number; run it again")
    if not math.isfinite(raw):
        raise ResultError(
            f"{where} is {raw}, not a finite number: upstream scored no video, or one without "
            "a value; check the videos and run it again"
        )
    if abs(raw) > _RAW_BOUND:
        raise ResultError(f"{where} is {raw}, outside [-1, 1]; run it again with upstream's code")
    return float(raw)


def make_record(
    score: VBenchScore,
    results: RawResults,
    run: RunFacts,
    subset_errors: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """Builds the JSON record of one score, with its provenance and without machine paths.

    A dimension that the run's protocol cannot measure is not called missing.
    """
    return {
        "schema": SCHEMA,
        "quality": score.quality,
        "semantic": score.semantic,
        "total": score.total,
        "dimensions": {name: asdict(value) for name, value in score.dimensions.items()},
        "missing": [name for name in score.missing if name in run.dimensions],
        "ignored": list(results.ignored),
        **({"subset_errors": dict(subset_errors)} if subset_errors else {}),
        "provenance": {
            **collect_provenance(),
            "constants": SOURCE,
            "inputs_sha256": dict(results.files),
            "runs": {name: dict(record) for name, record in run.records.items()},
        },
    }
