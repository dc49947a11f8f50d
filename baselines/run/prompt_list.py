"""Prompts and, where a benchmark prescribes them, the names of their videos.

A text file has one prompt a line. A JSON Lines file, which `hiar-vbench prompts --format jsonl`
writes, has lines `{"generate": prompt, "files": [a name for each sample]}`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hiar.codecs.prompts import read_prompts, video_name
from hiar.errors import UsageError

SUFFIX = ".mp4"


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A prompt and the file names of its videos, without suffix; empty if none are prescribed."""

    text: str
    index: int
    names: tuple[str, ...] = ()

    def name(self, sample_index: int) -> str:
        """File name of one sample, without suffix.

        Raises:
            UsageError: The list names fewer samples.
        """
        if not self.names:
            return video_name(self.text, self.index, sample_index)
        if sample_index >= len(self.names):
            raise UsageError(
                f"the list names {len(self.names)} videos of {self.text!r}: lower --samples"
            )
        return self.names[sample_index]


def list_prompts(texts: list[str]) -> list[Prompt]:
    """Prompts whose videos have no prescribed names."""
    return [Prompt(text=text, index=index) for index, text in enumerate(texts)]


def read_prompt_list(path: Path) -> list[Prompt]:
    """Read a file of prompts; a line with the prompt and names of an earlier one is dropped.

    Raises:
        UsageError: The file cannot be read, a name is not that of an mp4 file in the folder
            itself, or two prompts share a name.
    """
    if path.suffix != ".jsonl":
        return list_prompts(read_prompts(path))
    found: dict[str, Prompt] = {}
    kept: list[Prompt] = []
    for number, line in enumerate(read_prompts(path), start=1):
        prompt = _parse(line, f"{path}, line {number}", len(kept))
        owners = {found[name].text for name in prompt.names if name in found}
        if owners - {prompt.text}:
            raise UsageError(
                f"{path}, line {number}: {prompt.text!r} has a video name of {owners.pop()!r}"
            )
        if not owners:
            kept.append(prompt)
            found |= dict.fromkeys(prompt.names, prompt)
    return kept


def _parse(line: str, place: str, index: int) -> Prompt:
    try:
        row: Any = json.loads(line)
        text, files = row["generate"], row["files"]
    except (ValueError, TypeError, KeyError):
        raise UsageError(
            f'{place} is no {{"generate": ..., "files": [...]}}: hiar-vbench prompts --format '
            "jsonl writes such a list"
        ) from None
    if not isinstance(text, str) or not text.strip() or not isinstance(files, list) or not files:
        raise UsageError(f"{place}: it needs a prompt and at least one file name")
    return Prompt(text=text, index=index, names=tuple(_plain_name(f, place) for f in files))


def _plain_name(file: object, place: str) -> str:
    name = str(file)
    plain = Path(name).name == name and "\0" not in name and not name.startswith(".")
    if not plain or not name.endswith(SUFFIX) or name == SUFFIX:
        raise UsageError(f"{place}: {name!r} is no plain name of an mp4 file")
    return name.removesuffix(SUFFIX)
