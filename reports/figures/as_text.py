"""Writes a figure's numbers and words as Markdown, tidy CSV, LaTeX and JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from drift.files import atomic_write_text, dump_json
from reports.render.as_data import csv_text
from reports.render.as_latex import escape

if TYPE_CHECKING:
    from reports.figures.drawing import Drawing, FigureEntry

FIGURE_SCHEMA = "reports-figure/1"


def write_texts(entry: FigureEntry, drawing: Drawing, scale: str, folder: Path) -> list[Path]:
    """Writes `<name>.md`, `.tex`, `.json`, and `.csv` where there is data; returns the paths."""
    texts = {"md": to_markdown(entry, drawing), "tex": to_latex(entry, drawing)}
    texts["json"] = to_json(entry, drawing, scale)
    if drawing.data:
        texts["csv"] = csv_text(drawing.data)
    paths = []
    for suffix, text in texts.items():
        paths.append(folder / f"{entry.name}.{suffix}")
        atomic_write_text(paths[-1], text)
    return paths


def to_markdown(entry: FigureEntry, drawing: Drawing) -> str:
    """Renders the title, the picture, its caption, and what is missing for it."""
    lines = [f"## {entry.title}", ""]
    if drawing.figure is not None:
        lines += [f"![{entry.title}]({entry.name}.png)", ""]
    lines += [entry.caption, "", *(f"- {line}" for line in _lines(drawing))]
    return "\n".join(lines).rstrip() + "\n"


def to_latex(entry: FigureEntry, drawing: Drawing) -> str:
    """Renders a floating figure; the document needs `graphicx`."""
    body = rf"\includegraphics[width=\linewidth]{{{entry.name}.pdf}}"
    if drawing.figure is None:
        body = rf"\fbox{{\parbox{{0.9\linewidth}}{{{escape(' '.join(_lines(drawing)))}}}}}"
    caption = " ".join([entry.caption, *drawing.notes])
    return "\n".join(
        [
            r"% needs \usepackage{graphicx}",
            r"\begin{figure}[t]",
            r"\centering",
            body,
            rf"\caption{{{escape(caption)}}}",
            r"\end{figure}",
            "",
        ]
    )


def to_json(entry: FigureEntry, drawing: Drawing, scale: str) -> str:
    """Renders the data as JSON, with what is missing."""
    return dump_json(
        {
            "schema": FIGURE_SCHEMA,
            "figure": entry.name,
            "title": entry.title,
            "scale": scale,
            "status": "drawn" if drawing.figure is not None else "not run",
            "needs": list(drawing.needs),
            "notes": list(drawing.notes),
            "data": list(drawing.data),
        }
    )


def _lines(drawing: Drawing) -> list[str]:
    return [f"Needs {need}." for need in drawing.needs] + list(drawing.notes)
