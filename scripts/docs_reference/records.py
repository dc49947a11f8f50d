"""The reference page of the records that the commands write, in Markdown, from the source code.

A record is written where the code has a dictionary with the key `schema`; its keys are the fields.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docs_reference.docstrings import as_definitions, documented_attributes

PACKAGES = ("hiar", "drift", "eval", "baselines", "reports")
CLASSES = {
    "bench/1": (
        "hiar/bench/rows.py",
        "In a row the fields of its groups, such as `intervals`, stand beside its own.",
    ),
    "drift-record/3": ("drift/record/records.py", ""),
}
"""Schemas whose fields are documented in dataclasses: their file, and a sentence about them."""
INTRODUCTION = """\
# Records

Every JSON that a command writes names its schema and that schema's version, as in
`"schema": "drift/1"`. [How versions change](../CONTRIBUTING.md#versions-of-records-and-metrics).
The main kinds have [JSON schemas](../schemas/README.md).
This page is made from the code that writes the records. Where a record takes over the fields of
another object, the list says *and more*.
"""


@dataclass(frozen=True, kw_only=True)
class Record:
    """A record that some code writes.

    Attributes:
        schema: Name and version, such as `drift/1`.
        path: File of the code, relative to the repository.
        summary: First paragraph of that file's docstring.
        fields: Keys of the record, apart from `schema`.
        more: Whether fields of another object are taken over too.
    """

    schema: str
    path: Path
    summary: str
    fields: tuple[str, ...]
    more: bool


def records_page(root: Path) -> str:
    """The page: every schema, its fields, and the code that writes it."""
    sections = []
    for record in find_records(root):
        fields = [f"`{field}`" for field in record.fields] + ["*and more*"] * record.more
        sections += [
            f"## {record.schema}\n\n{record.summary}\n\n"
            f"Fields: {', '.join(fields)}.\n\nCode: `{record.path.as_posix()}`\n"
        ]
        if record.schema in CLASSES:
            file, sentence = CLASSES[record.schema]
            sections += [sentence + "\n", *_documented_classes(root / file)]
    return "\n".join([INTRODUCTION, *sections])


def find_records(root: Path) -> list[Record]:
    """The records that the packages write, by schema; of two writers the first is shown."""
    trees = {
        path.relative_to(root): ast.parse(path.read_text(encoding="utf-8"))
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
    }
    names = {
        f"{_module(path)}.{name}": value
        for path, tree in trees.items()
        for name, value in _constants(tree)
    }
    found: dict[str, Record] = {}
    for path, tree in trees.items():
        for record in _records_of(path, tree, names):
            found.setdefault(record.schema, record)
    return [found[schema] for schema in sorted(found)]


def _records_of(path: Path, tree: ast.Module, names: dict[str, str]) -> Iterator[Record]:
    """Yields the records that a file writes; `names` maps module.CONSTANT to its text."""
    origin = {
        alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    summary = " ".join((ast.get_docstring(tree) or "").split("\n\n")[0].split())
    for node in ast.walk(tree):
        keys = [key.value if isinstance(key, ast.Constant) else None for key in _keys(node)]
        if not isinstance(node, ast.Dict) or "schema" not in keys:
            continue
        value = node.values[keys.index("schema")]
        if isinstance(value, ast.Name):
            schema = names.get(origin.get(value.id, f"{_module(path)}.{value.id}"), "")
        else:
            schema = str(value.value) if isinstance(value, ast.Constant) else ""
        fields = tuple(str(key) for key in keys if key not in (None, "schema"))
        if re.fullmatch(r"[a-z-]+/\d+", schema):
            yield Record(
                schema=schema, path=path, summary=summary, fields=fields, more=None in keys
            )


def _keys(node: ast.AST) -> list[ast.expr | None]:
    return node.keys if isinstance(node, ast.Dict) else []


def _module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts)


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yields the texts that a module names at its top level."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            target, value = node.targets[0], node.value.value
            if isinstance(target, ast.Name) and isinstance(value, str):
                yield target.id, value


def _documented_classes(path: Path) -> Iterator[str]:
    """Yields, for each class of a file that documents its attributes, a list of them."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and (text := ast.get_docstring(node)):
            summary = " ".join(text.split("\n\n")[0].split())
            entries = "\n".join(as_definitions(documented_attributes(text)))
            if entries:
                yield f"### {node.name}\n\n{summary}\n\n{entries}"
