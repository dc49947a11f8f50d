"""Tables of text for a terminal."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Lines with columns padded to their widest cell.

    Args:
        rows: Cells, as many in each row.

    Returns:
        A line a row, each ending in a newline.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "".join(f"{line}\n" for line in lines)


def between(interval: Sequence[float] | None, spec: str) -> str:
    """An interval in words, or a dash where there is none."""
    return "-" if interval is None else f"{interval[0]:{spec}} to {interval[1]:{spec}}"


def number(value: float | None, spec: str) -> str:
    """A number, or a dash where there is none."""
    return "-" if value is None else f"{value:{spec}}"
