"""The settings of a run, where its files lie, and the hashes that say whether they still fit."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drift.errors import UsageError
from drift.files import file_sha256
from eval.protocol.layout import Layout, Video
from eval.protocol.own_list import OwnList
from eval.protocol.prompts import SAMPLES
from eval.protocol.protocols import Protocol
from eval.scores.results import RESULT_PATTERN, RESULT_SUFFIX, record_path


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Settings of a run.

    Attributes:
        protocol: How VBench is run.
        layout: The videos, by dimension.
        environment: The isolated environment.
        out: The run folder.
        suite: Upstream's list of prompts; None for own videos that are measured whole.
        samples: Number of videos for each prompt.
        own_list: The list of own videos; None if there is none. A video of it that failed counts.
        devices: CUDA indices or "cpu"; each device runs one process at a time.
        timeout_s: Longest time that a dimension may take.
        versions: Version by name of each package that the results depend on.
    """

    protocol: Protocol
    layout: Layout
    environment: Path
    out: Path
    suite: Path | None
    samples: int = SAMPLES
    own_list: OwnList | None = None
    devices: tuple[str, ...] = ("cpu",)
    timeout_s: float
    versions: Mapping[str, str]


def input_hash(settings: RunSettings, dimension: str) -> str:
    """Hash of everything that a dimension's result depends on.

    Video files are represented by their size and modification time.
    """
    facts = {
        "protocol": settings.protocol.name,
        "dimension": dimension,
        "samples": settings.samples,
        "full_info": full_info_sha256(settings),
        "list": settings.own_list.sha256 if settings.own_list else None,
        "videos": _file_facts(settings.layout.videos[dimension]),
        "failed": list(settings.layout.failed),
        "versions": dict(settings.versions),
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def full_info_sha256(settings: RunSettings) -> str | None:
    """SHA-256 of the ``VBench_full_info.json`` that upstream reads; None if it reads none."""
    return file_sha256(settings.suite) if settings.suite else None


def _file_facts(videos: Sequence[Video]) -> list[tuple[str, int, int]]:
    stats = [(video.name, video.path.stat()) for video in videos]
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]


def refuse_stale_results(settings: RunSettings, dimensions: Sequence[str]) -> None:
    """Refuses a run folder in which another run left results that ``score`` would mix with these.

    Args:
        settings: Settings of the run.
        dimensions: Dimensions that this run measures, whose earlier results it replaces.

    Raises:
        UsageError: A result of another dimension is of another protocol, list of prompts, number
            of samples or, for own videos, of other videos.
    """
    mine = set_sha256(settings)
    for path in sorted(settings.out.glob(RESULT_PATTERN)):
        dimension = path.name.removesuffix(RESULT_SUFFIX)
        record = read_json(record_path(settings.out, dimension))
        if dimension in dimensions or record.get("set_sha256") == mine:
            continue
        raise UsageError(
            f"{path} is stale: it is of other videos or another protocol than this run; give "
            "another --out, or remove it"
        )


def set_sha256(settings: RunSettings) -> str:
    """Hash of what all dimensions of one score must share.

    It holds the protocol, VBench's list or one's own, the samples and, for own videos, the files.
    """
    suite = settings.protocol.suite
    facts = {
        "protocol": settings.protocol.name,
        "samples": settings.samples if suite else None,
        "full_info": full_info_sha256(settings),
        "list": settings.own_list.sha256 if settings.own_list else None,
        "videos": None if suite else _file_facts(settings.layout.files),
        "failed": None if suite else list(settings.layout.failed),
    }
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, empty if there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
