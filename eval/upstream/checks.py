"""Checks that upstream's answer for a dimension is complete: a finite number for every video."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from eval.protocol.clips import video_of
from eval.scores.results import ResultError, parse_aggregate

# Upstream lists a video of `color` only if the object was found in it.
# Source: Vchitect/VBench 45e79ec vbench/color.py.
MAY_LEAVE_OUT = frozenset({"color"})


def check_answer(dimension: str, answer: Any, names: Mapping[str, str], *, long: bool) -> list[Any]:
    """Checks an answer and replaces the names of the links by the videos' own names.

    Args:
        dimension: Name of the dimension.
        answer: Upstream's ``[aggregate, per video, ...]``.
        names: Each video's own name by the name of its link in the folder that upstream read.
        long: Whether the entries are clips of VBench-Long.

    Returns:
        The entry for the result file, without paths of this machine.

    Raises:
        ResultError: The answer is incomplete or holds a value that is not finite.
    """
    aggregate = parse_aggregate(dimension, "upstream's answer", answer)
    entries, seen = _rename(answer, names, long=long)
    left_out = [name for shown, name in names.items() if PurePosixPath(shown).stem not in seen]
    if left_out and dimension not in MAY_LEAVE_OUT:
        raise ResultError(
            f"upstream scored {len(names) - len(left_out)} of {len(names)} videos; it left out "
            f"{left_out[0]}, which it may not have been able to decode"
        )
    return [aggregate, entries]


def count_failures(entry: list[Any], num_measured: int, failed: Sequence[str]) -> list[Any]:
    """Counts videos that could not be made or read as 0, so that losing a bad video gains nothing.

    Args:
        entry: [aggregate, per video] of the videos that were measured.
        num_measured: Number of these videos.
        failed: Names of the others.

    Returns:
        The entry over all videos: the aggregate times the share of measured videos, which for an
        aggregate that is a mean over equally long videos is the mean with a 0 for each other one.
    """
    if not failed:
        return entry
    zeros = [{"video_path": name, "video_results": 0.0, "failed": True} for name in failed]
    share = num_measured / (num_measured + len(failed))
    return [entry[0] * share, [*entry[1], *zeros]]


def _rename(
    answer: list[Any], names: Mapping[str, str], *, long: bool
) -> tuple[list[dict[str, Any]], set[str]]:
    """Entries with the videos' own names, and the stems of the links that upstream scored."""
    entries = answer[1] if len(answer) > 1 else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ResultError("upstream's answer has no list of videos")
    stems = {PurePosixPath(shown).stem: name for shown, name in names.items()}
    renamed, seen = [], set()
    for entry in entries:
        path = str(entry.get("video_path", ""))
        stem = _stem(path, long=long)
        if stem not in stems:
            raise ResultError(f"upstream scored {path!r}, which is none of the videos")
        name = stems[stem]
        if not _is_finite(entry.get("video_results")) or "NaN" in json.dumps(entry):
            value = entry.get("video_results")
            raise ResultError(f"upstream's value of {name} is {value!r}, or beside it stands a NaN")
        seen.add(stem)
        number = PurePosixPath(path).stem[len(stem) :]  # number of the clip
        own = PurePosixPath(name)
        renamed.append(entry | {"video_path": f"{own.stem}{number}{own.suffix}"})
    return renamed, seen


def _stem(path: str, *, long: bool) -> str:
    return video_of(path) if long else PurePosixPath(path).stem


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
