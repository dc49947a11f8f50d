"""Renders a table in LaTeX, with booktabs."""

from __future__ import annotations

from itertools import groupby

from reports.tables.cells import Column, Row, Table
from reports.tables.text import Shown, legend, measured_columns, shown_measured, shown_published

SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "–": "--",
    "−": "$-$",
    "Δ": r"$\Delta$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
}


def escape(text: str) -> str:
    """Escapes text for LaTeX."""
    return "".join(SPECIAL.get(char, char) for char in text)


def to_latex(table: Table) -> str:
    """Renders a floating table; the document needs `booktabs` and `graphicx`."""
    measured = measured_columns(table)
    num_columns = len(table.columns) + len(measured) + 2
    lines = [
        r"% needs \usepackage{booktabs,graphicx}",
        r"\begin{table*}[t]",
        r"\centering",
        rf"\caption{{{escape(table.caption)}}}",
        r"\resizebox{\textwidth}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * (num_columns - 2)}l}}",
        r"\toprule",
        *_head(table, measured),
        r"\midrule",
        *_body(table, measured, num_columns),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\par\smallskip\footnotesize\raggedright",
        *(rf"{escape(note)}\par" for note in legend(table)),
        r"\end{table*}",
        "",
    ]
    return "\n".join(lines)


def _head(table: Table, measured: list[Column]) -> list[str]:
    top, rules, bottom = [""], [], [""]
    for column in table.columns:
        span = 2 if column in measured else 1
        arrow = "↑" if column.better == "higher" else "↓"
        unit = f" ({column.unit})" if column.unit else ""
        top.append(rf"\multicolumn{{{span}}}{{c}}{{{escape(column.label + unit + ' ' + arrow)}}}")
        rules.append(rf"\cmidrule(lr){{{len(bottom) + 1}-{len(bottom) + span}}}")
        bottom += ["published", "measured"][:span]
    return [
        " & ".join([*top, ""]) + r" \\",
        "".join(rules),
        " & ".join([*bottom, "measured with"]) + r" \\",
    ]


def _body(table: Table, measured: list[Column], num_columns: int) -> list[str]:
    lines = []
    for group, rows in groupby(table.rows, key=lambda row: row.group):
        if group:
            lines.append(rf"\multicolumn{{{num_columns}}}{{l}}{{\textit{{{escape(group)}}}}} \\")
        lines += [" & ".join(_cells(table, row, measured)) + r" \\" for row in rows]
    return lines


def _cells(table: Table, row: Row, measured: list[Column]) -> list[str]:
    cells = [escape(row.label)]
    for column in table.columns:
        cells.append(_set(shown_published(table, row, column)))
        if column in measured:
            cells.append(_set(shown_measured(table, row, column)))
    return [*cells, escape(row.origin)]


def _set(shown: Shown) -> str:
    value = rf"\textbf{{{escape(shown.value)}}}" if shown.best else escape(shown.value)
    mark = rf"\textsuperscript{{{shown.mark}}}" if shown.mark else ""
    last = shown.change or shown.note
    parts = (
        value + mark, shown.interval, f"({escape(last)})" if last else "", escape(shown.difference)
    )  # fmt: skip
    return " ".join(part for part in parts if part)
