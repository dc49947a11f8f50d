"""What several commands share: tables of text for a terminal, options, and lists in an option."""

import argparse
from collections.abc import Sequence


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


def add_blocks(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say where blocks end; `checked_blocks` reads them."""
    parser.add_argument(
        "--first", type=int, metavar="N",
        help="frames of the first block (default: from sidecars, else estimated)",
    )  # fmt: skip
    parser.add_argument("--block", type=int, metavar="N", help="frames of each later block")
