"""The list of one's own videos and their prompts: what a run must find, no more and no less.

A folder without a list is measured as it is, so that a video left from an earlier, larger run, or
one that failed, changes the score without a word. With a list both are found.
"""

import csv
import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import NamedTuple

from drift.errors import UsageError
from eval.protocol.prompts import SUFFIXES, loose_form, read_lines, read_text

COLUMNS = ("video", "prompt")
# What an empty cell becomes when a table is written by pandas or a spreadsheet.
_NO_TEXT = frozenset({"", "nan", "none", "null", "#n/a"})


@dataclass(frozen=True, kw_only=True)
class ListedVideo:
    """One row of a list.

    Attributes:
        name: Name of the video in its folder, never a path.
        prompt: Text that the video was made from. It names no file.
    """

    name: str
    prompt: str


@dataclass(frozen=True, kw_only=True)
class OwnList:
    """The videos of a run, in the list's order, and the hash of their names and prompts."""

    videos: tuple[ListedVideo, ...]

    @property
    def sha256(self) -> str:
        """SHA-256 of names and prompts, whatever the file's line ends or quotes."""
        rows = [(video.name, video.prompt) for video in self.videos]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def read_own_list(path: Path, samples: int) -> OwnList:
    """Reads a list of prompts and, where they have names of their own, videos.

    Args:
        path: CSV with a column ``prompt`` and perhaps a column ``video``; other columns are passed
            over. A file with another suffix holds one prompt a line.
        samples: Number of videos for each prompt, where the file names none: they are then called
            ``0000-0.mp4``, as ``hiar-vbench prompts --list`` calls them.

    Returns:
        The videos.

    Raises:
        UsageError: The file has no such column or no row, a cell is empty or NaN, a video is a
            path or no video, or a video, or a prompt without videos of its own, stands twice.
    """
    if path.suffix.lower() == ".csv":
        rows = _read_csv(path)
    else:
        rows = [_Row(n, line, "") for n, line in enumerate(read_lines(path), 1)]
    if not rows:
        raise UsageError(f"{path} names no video; give a row for each")
    _refuse_twice(path, rows)
    return OwnList(
        videos=tuple(
            ListedVideo(name=name, prompt=row.prompt)
            for index, row in enumerate(rows)
            for name in ([row.video] if row.video else numbered_names(index, samples))
        )
    )


class _Row(NamedTuple):
    line: int
    prompt: str
    video: str


def _read_csv(path: Path) -> list[_Row]:
    reader = csv.DictReader(StringIO(read_text(path)), skipinitialspace=True, strict=True)
    try:
        columns = [name.strip() for name in reader.fieldnames or ()]
        if "prompt" not in columns:
            raise UsageError(
                f"{path} has no column 'prompt'; its first line must name the columns "
                f"{' and '.join(COLUMNS)}, or prompt alone"
            )
        reader.fieldnames = columns
        return [
            _Row(
                line=reader.line_num,
                prompt=_cell(row, "prompt", path, reader.line_num),
                video=_file_name(row, path, reader.line_num) if "video" in columns else "",
            )
            for row in reader
        ]
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num}: {error}; write it as CSV") from None


def numbered_names(index: int, samples: int) -> list[str]:
    """Names of the videos of a prompt whose list names none."""
    return [f"{index:04d}-{sample}.mp4" for sample in range(samples)]


def _cell(row: dict[str, str | None], column: str, path: Path, line: int) -> str:
    text = (row[column] or "").strip()
    if text.casefold() in _NO_TEXT:
        raise UsageError(f"{path}, line {line}: {column} is {text!r}; write its text")
    return text


def _file_name(row: dict[str, str | None], path: Path, line: int) -> str:
    name = _cell(row, "video", path, line)
    where = f"{path}, line {line}: video {name[:60]!r}"
    if any(c in "/\\" or unicodedata.category(c) == "Cc" for c in name) or name.startswith("."):
        raise UsageError(f"{where} is a path or hidden; give the name of a file in VIDEOS")
    if Path(name).suffix.lower() not in SUFFIXES:
        raise UsageError(f"{where} is no {' or '.join(SUFFIXES)} file; give the name with it")
    return name


def _refuse_twice(path: Path, rows: Sequence[_Row]) -> None:
    first: dict[str, int] = {}
    for row in rows:
        key = row.video or row.prompt
        earlier = first.setdefault(loose_form(key), row.line)
        if earlier != row.line:
            raise UsageError(
                f"{path}, line {row.line}: {key[:60]!r} stands on line {earlier} too and would "
                "count twice; remove one (for several videos of a prompt name each in a column "
                "'video', or give --samples)"
            )
