"""Writes a finished table as Markdown, CSV, LaTeX and JSON.

`style` sets how figures look, `pages` how the templates of pages are read.

Imports `reports.tables`.
"""

from pathlib import Path

from drift.files import atomic_write_text
from reports.render.as_data import to_csv, to_json
from reports.render.as_latex import to_latex
from reports.render.as_markdown import to_markdown
from reports.tables.cells import Table

FORMATS = {"md": to_markdown, "csv": to_csv, "tex": to_latex, "json": to_json}


def write_table(table: Table, folder: Path) -> list[Path]:
    """Writes `<folder>/<table>.{md,csv,tex,json}` and returns the paths."""
    paths = []
    for suffix, render in FORMATS.items():
        path = folder / f"{table.name}.{suffix}"
        atomic_write_text(path, render(table))
        paths.append(path)
    return paths
