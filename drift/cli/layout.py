"""What several commands share: tables of text for a terminal, options, and lists in an option."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from drift.files import atomic_write_text, dump_json


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Aligns columns by padding them to their widest cell.

    Args:
        rows: Rows of cells, all of one length.

    Returns:
        One line a row, each with a newline at its end.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "".join(f"{line}\n" for line in lines)


def between(interval: Sequence[float] | None, spec: str) -> str:
    """An interval as text, or a dash for None."""
    return "-" if interval is None else f"{interval[0]:{spec}} to {interval[1]:{spec}}"


def number(value: float | None, spec: str) -> str:
    """A number as text, or a dash for None."""
    return "-" if value is None else f"{value:{spec}}"


def names_of(text: str) -> tuple[str, ...]:
    """The names of an option such as `--metrics A,B`, without spaces around them or empty ones."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def deliver(
    arguments: argparse.Namespace, record: dict[str, Any], text: Callable[[dict[str, Any]], str]
) -> None:
    """Writes a record to `--out` if it was given, and prints it; its notes go to stderr.

    Args:
        arguments: Arguments of a command that has `--out` and `--json`.
        record: What the command found.
        text: Makes text for a terminal of the record.
    """
    if arguments.out is not None:
        atomic_write_text(arguments.out, dump_json(record))
    invalid = record.get("invalid") or record.get("provenance", {}).get("invalid")
    for note in dict.fromkeys([*([invalid] if invalid else []), *record.get("notes", [])]):
        sys.stderr.write(f"drift: note: {note}\n")
    sys.stdout.write(dump_json(record) if arguments.json else text(record))


def add_pair_by(parser: argparse.ArgumentParser) -> None:
    """Adds the option that says what the videos of a pair share."""
    parser.add_argument(
        "--pair-by",
        choices=("prompt", "name"),
        default="prompt",
        help="what the videos of a pair share: the prompt (default), or the file name without "
        "suffix. Videos without prompts are refused (exit 2) unless you say --pair-by name; "
        "drift score --prompts FILE gives a scored run its prompts without decoding again",
    )


def add_blocks(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say where blocks end; `checked_blocks` reads them."""
    parser.add_argument(
        "--first", type=int, metavar="N",
        help="frames of the first block (default: from sidecars, else estimated)",
    )  # fmt: skip
    parser.add_argument("--block", type=int, metavar="N", help="frames of each later block")
