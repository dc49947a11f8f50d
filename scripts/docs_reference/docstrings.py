"""Docstrings in Google style, and plain words, as Markdown."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Iterator

LISTED = ("Args", "Attributes", "Raises")
"""Sections that hold entries: a name or several, a colon, words."""
_MARKUP = re.compile(r"([\\*_\[\]#])")
_SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|Source):[ \t]*", re.MULTILINE)


def as_text(words: str | None) -> str:
    """Plain words as Markdown: one line, markup escaped except for `code`."""
    parts = " ".join((words or "").split()).split("`")
    parts[::2] = [_MARKUP.sub(r"\\\1", html.escape(part, quote=False)) for part in parts[::2]]
    return "`".join(parts)


def as_markdown(docstring: str) -> Iterator[str]:
    """Yields the lines of a docstring in Markdown; indented paragraphs stay code."""
    summary, *rest = _SECTION.split(inspect.cleandoc(docstring))
    for paragraph in filter(None, map(str.rstrip, summary.split("\n\n"))):
        yield from (paragraph if paragraph.startswith("    ") else as_text(paragraph), "")
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        if title in LISTED:
            yield from (f"**{title}**", "", *as_definitions(entries(body)))
        else:
            yield from (f"**{title}**", "", as_text(body), "")


def as_definitions(named: list[tuple[str, str]]) -> Iterator[str]:
    """Yields a definition list."""
    for name, words in named:
        yield from (f"`{name}`", f":   {as_text(words)}", "")


def documented_attributes(docstring: str) -> list[tuple[str, str]]:
    """The names and descriptions below `Attributes:` or `Args:`."""
    _, *rest = _SECTION.split(inspect.cleandoc(docstring))
    sections = dict(zip(rest[::2], rest[1::2], strict=True))
    return entries(sections.get("Attributes") or sections.get("Args") or "")


def entries(body: str) -> list[tuple[str, str]]:
    """The entries of a section: each begins at the section's own indentation."""
    text = inspect.cleandoc("\n" + body)
    found = re.findall(r"^(\S[^:\n]*):(.*(?:\n(?:[ \t].*)?)*)", text, flags=re.MULTILINE)
    return [(name, " ".join(words.split())) for name, words in found]
