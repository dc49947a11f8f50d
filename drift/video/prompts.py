"""Prompts from tables: `prompts.csv` beside the videos, or a file that the user names."""

import csv
from pathlib import Path, PurePosixPath

from drift.errors import UsageError
from drift.video.sidecars import Schedule, ordered, text

PROMPTS_FILE = "prompts.csv"
"""Name under which a table of prompts is found beside the videos."""
COLUMNS = ("file", "prompt")
START = "start_s"
"""Column of a table whose prompts change: the second from which a prompt holds."""


class PromptTable:
    """Prompts by file.

    Args:
        path: Table with the columns `file` and `prompt`, in UTF-8, and `start_s` where prompts
            change. A file is named by its path in results or without the folders; the suffix may
            be left out.

    Raises:
        UsageError: the table is none, lacks a column, or gives a file two prompts at one second.
        OSError: the table cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        prompts: dict[str, dict[float, str]] = {}
        for file, start, prompt in _rows(path):
            if prompts.setdefault(file, {}).setdefault(start, prompt) != prompt:
                raise UsageError(f"{path} gives {file} two prompts at {start:g} s; leave one")
        try:
            self._schedules = {file: ordered(each.items()) for file, each in prompts.items()}
        except ValueError as error:
            raise UsageError(f"{path}: prompts of a file: {error}") from None
        self._unused = set(self._schedules)

    def schedule_of(self, name: str) -> Schedule | None:
        """The prompts of the video of this name in results; None if no row names it."""
        path = PurePosixPath(name)
        for key in (name, str(path.with_suffix("")), path.name, path.stem):
            if key in self._schedules:
                self._unused.discard(key)
                return self._schedules[key]
        return None

    def warnings(self) -> list[str]:
        """What to tell about rows that named no video so far."""
        if not self._unused:
            return []
        rows = f"{len(self._unused)} row{'s' * (len(self._unused) > 1)}"
        return [f"{rows} of {self.path.name} name no video, such as {min(self._unused)}"]


class Prompts:
    """The prompts of all tables that concern the videos.

    Args:
        given: Table for all videos; None takes the `prompts.csv` in the folder of each video, or
            in the folder that was searched.
    """

    def __init__(self, given: Path | None) -> None:
        self._given = None if given is None else PromptTable(given)
        self._beside: dict[Path, PromptTable | None] = {}
        self._broken: list[str] = []

    def schedule_of(self, path: str, name: str, folder: Path) -> Schedule | None:
        """The prompts of a video; None if no table has them.

        Args:
            path: Path in results.
            name: Path relative to the folder that was searched.
            folder: Folder that was searched.
        """
        if self._given is not None:
            return self._given.schedule_of(path)
        for place in dict.fromkeys(((folder / name).parent, folder)):
            table = self._table_in(place)
            schedule = table.schedule_of(name) if table else None
            if schedule is not None:
                return schedule
        return None

    def has_read(self, file: Path) -> bool:
        """Whether a file is one of the tables."""
        return self._beside.get(file.parent) is not None and file.name == PROMPTS_FILE

    def warnings(self, without_prompt: int) -> list[str]:
        """What to tell about the tables.

        Args:
            without_prompt: Number of videos that have no prompt.
        """
        tables = [table for table in (self._given, *self._beside.values()) if table is not None]
        lines = [line for table in tables for line in table.warnings()]
        if tables and without_prompt:
            lines.append(f"{without_prompt} without a row in {tables[0].path.name} have no prompt")
        return self._broken + lines

    def _table_in(self, folder: Path) -> PromptTable | None:
        if folder not in self._beside:
            path, table = folder / PROMPTS_FILE, None
            try:
                table = PromptTable(path) if path.is_file() else None
            except (UsageError, OSError) as error:
                self._broken.append(f"{PROMPTS_FILE} is not used: {error}")
            self._beside[folder] = table
        return self._beside[folder]


def _rows(path: Path) -> list[tuple[str, float, str]]:
    columns = " and ".join(COLUMNS)
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            table = csv.DictReader(lines, strict=True)
            missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                raise UsageError(f"{path} has no column {missing[0]}; it needs {columns}")
            return [
                (
                    text((row["file"] or "").strip()),
                    float(row.get(START) or 0),
                    text((row["prompt"] or "").strip()),
                )
                for row in table
            ]
    except UsageError:
        raise
    except (csv.Error, ValueError) as error:  # text that is no UTF-8 or no number too
        raise UsageError(f"{path} is no table of {columns} in UTF-8: {error}") from None
