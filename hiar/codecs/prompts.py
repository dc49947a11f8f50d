"""Prompt files, and names for the videos made of them."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from argparse import ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from hiar.errors import UsageError

SLUG_CHARACTERS = 40
T = TypeVar("T")


def read_prompts(path: Path) -> list[str]:
    """Read one prompt a line.

    Args:
        path: A UTF-8 text file; empty lines are passed over.

    Returns:
        The prompts in order, white space at the ends removed.

    Raises:
        UsageError: If there is no such file, it is not UTF-8, or it has no prompt.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"no prompt file {path}: give a text file, one prompt a line") from None
    except OSError as error:
        raise UsageError(
            f"the prompt file {path} cannot be read: {error.strerror}: give a text file, one "
            "prompt a line"
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"the prompt file {path} is not UTF-8: save it as UTF-8") from None
    prompts = [line.strip() for line in text.split("\n") if line.strip()]
    if not prompts:
        raise UsageError(f"the prompt file {path} has no prompt: write one a line")
    return prompts


def prompt_range(text: str) -> tuple[int, int]:
    """`A:B` of a command line: prompts A to B - 1, counted from 0.

    Raises:
        ArgumentTypeError: If it is no such range.
    """
    first, colon, last = text.partition(":")
    if not (colon and first.isdigit() and last.isdigit() and int(first) < int(last)):
        raise ArgumentTypeError(f"{text!r} is no range: write A:B, such as 0:20")
    return int(first), int(last)


def numbered(prompts: Sequence[T], chosen: tuple[int, int] | None) -> list[tuple[int, T]]:
    """Prompts of a range with their places in the whole list, which names and noise follow.

    Raises:
        UsageError: If the range leaves the list.
    """
    first, last = chosen or (0, len(prompts))
    if last > len(prompts):
        raise UsageError(f"prompt range {first}:{last}: there are {len(prompts)} prompts")
    return list(enumerate(prompts))[first:last]


def check_prompt(prompt: str) -> str:
    """A prompt given on a command line: it must be text, not bytes of another encoding."""
    if not prompt.strip():
        raise UsageError("the prompt is empty: describe the video")
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(f"the prompt {prompt!r} is not UTF-8: write it in UTF-8") from None
    return prompt.strip()


def video_name(prompt: str, prompt_index: int, sample_index: int) -> str:
    """A file name, without suffix, that any disk takes and no other video of the run has.

    Position, the start of the prompt in plain letters, a hash of all of it, and the sample: two
    prompts with one beginning, or the same prompt twice, get names of their own.
    """
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:SLUG_CHARACTERS].strip("-")
    digest = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    parts = [f"{prompt_index:04d}", slug, digest, f"s{sample_index}"]
    return "-".join(part for part in parts if part)
