"""A table as a picture: PNG, and PDF with its text as text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.tables.cells import Row, Table
from reports.tables.text import (
    Shown,
    heading,
    legend,
    measured_columns,
    shown_measured,
    shown_published,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EM_IN = 0.105
"""Size of the text, inches; 7.5 points."""
CHAR_EM, BOLD_EM = 0.58, 0.66
"""Mean width of a character of DejaVu Sans, em."""
LINE_EM = 1.5
PAD_EM = 1.1
RULES = {"heavy": 1.1, "light": 0.5}
SOFT = "#555555"
LABEL_CHARS, ORIGIN_CHARS = 34, 34


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """Lines of text; the first may be bold, the others are smaller and soft."""

    lines: tuple[str, ...]
    bold: bool = False
    italic: bool = False
    left: bool = False

    @property
    def width_em(self) -> float:
        first = BOLD_EM if self.bold else CHAR_EM
        widths = [first * len(self.lines[0]), *(0.85 * CHAR_EM * len(s) for s in self.lines[1:])]
        return max(widths) + PAD_EM


def write_pictures(table: Table, folder: Path) -> list[Path]:
    """Writes `<folder>/<table>.png` and `.pdf` and returns the paths."""
    from reports.render.style import save_figure  # noqa: PLC0415  (other formats need no drawing)

    return save_figure(draw_table(table), folder, table.name)


def draw_table(table: Table) -> Figure:
    """Draws a table with its head, rows and the notes under it."""
    from matplotlib import pyplot as plt  # noqa: PLC0415

    heads, rows = _heads(table), list(_rows(table))
    widths = [
        max(cell.width_em for cell in column)
        for column in zip(*(cells for _, cells in [(None, heads), *rows] if cells), strict=True)
    ]
    notes = [
        line for note in legend(table) for line in textwrap.wrap(note, int(sum(widths) / CHAR_EM))
    ]
    title = textwrap.wrap(table.title, int(sum(widths) / BOLD_EM))
    heights = [_height_em(cells, group) for group, cells in rows]
    total = LINE_EM * (len(title) + len(notes) + 1) + _height_em(heads, "") + sum(heights)
    figure = plt.figure(figsize=(EM_IN * sum(widths), EM_IN * (total + 1)))
    pen = _Pen(figure, sum(widths), total + 1)
    for line in title:
        pen.text(0.3, line, weight="bold", size=1.1)
        pen.down(LINE_EM)
    pen.rule("heavy")
    _draw_cells(pen, heads, widths)
    pen.rule("light")
    for (group, cells), height in zip(rows, heights, strict=True):
        if group:
            pen.text(0.3, group, style="italic", color=SOFT)
            pen.down(height)
        else:
            _draw_cells(pen, cells, widths)
    pen.rule("heavy")
    for line in notes:
        pen.text(0.3, line, color=SOFT, size=0.9)
        pen.down(LINE_EM)
    return figure


class _Pen:
    """Writes from the top down; units are em of the text."""

    def __init__(self, figure: Figure, width_em: float, height_em: float) -> None:
        self.figure, self.width, self.height = figure, width_em, height_em
        self.top = 0.6

    def down(self, em: float) -> None:
        self.top += em

    def text(
        self, x: float, line: str, *, dy: float = 0.0, size: float = 1.0, **style: Any
    ) -> None:
        from reports.render.style import plain  # noqa: PLC0415

        self.figure.text(
            x / self.width, 1 - (self.top + dy + LINE_EM / 2) / self.height, plain(line),
            fontsize=72 * EM_IN * size, va="center", **style,
        )  # fmt: skip

    def rule(self, kind: str) -> None:
        from matplotlib.lines import Line2D  # noqa: PLC0415

        y = 1 - self.top / self.height
        self.figure.add_artist(Line2D([0, 1], [y, y], color="black", linewidth=RULES[kind]))


def _draw_cells(pen: _Pen, cells: tuple[_Cell, ...], widths: list[float]) -> None:
    x = 0.0
    for cell, width in zip(cells, widths, strict=True):
        place: dict[str, Any] = (
            {"x": x + 0.3, "ha": "left"} if cell.left else {"x": x + width - 0.4, "ha": "right"}
        )
        for index, line in enumerate(cell.lines):
            style: dict[str, Any] = {"weight": "bold"} if cell.bold and not index else {}
            if index:
                style |= {"size": 0.85, "color": SOFT}
            pen.text(line=line, dy=index * 0.85 * LINE_EM, **place, **style)
        x += width
    pen.down(_height_em(cells, ""))


def _height_em(cells: tuple[_Cell, ...], group: str | None) -> float:
    if group:
        return LINE_EM
    return LINE_EM * (1 + 0.85 * (max(len(cell.lines) for cell in cells) - 1)) + 0.15


def _heads(table: Table) -> tuple[_Cell, ...]:
    measured = measured_columns(table)
    heads = [_Cell(lines=("",), left=True)]
    for column in table.columns:
        heads.append(_Cell(lines=(heading(column), "published"), bold=True))
        if column in measured:
            heads.append(_Cell(lines=("", "measured")))
    return (*heads, _Cell(lines=("", "measured with"), left=True))


def _rows(table: Table) -> Iterator[tuple[str, tuple[_Cell, ...]]]:
    for group, rows in groupby(table.rows, key=lambda row: row.group):
        if group:
            yield group, ()
        for row in rows:
            yield "", _cells(table, row)


def _cells(table: Table, row: Row) -> tuple[_Cell, ...]:
    measured = measured_columns(table)
    cells = [_Cell(lines=tuple(textwrap.wrap(row.label, LABEL_CHARS)), left=True)]
    for column in table.columns:
        cells.append(_number(shown_published(table, row, column)))
        if column in measured:
            cells.append(_number(shown_measured(table, row, column)))
    wrapped = textwrap.wrap(row.origin, ORIGIN_CHARS, break_on_hyphens=False)
    origin = _Cell(lines=tuple(wrapped), left=True)
    return (*cells, origin)


def _number(shown: Shown) -> _Cell:
    first = f"{shown.value} {shown.mark}".strip()
    change = f"({shown.change})" if shown.change else ""
    rest = [part for part in (shown.interval, change, shown.difference) if part]
    if shown.note:
        rest += textwrap.wrap(shown.note, ORIGIN_CHARS)
    return _Cell(lines=(first, *rest), bold=shown.best)
