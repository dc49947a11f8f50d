"""The page of errors: what the code says to its user, below the topic that ends the line.

docs/errors.md tells cause and remedy of each topic; the site adds the messages themselves, so that
whoever looks for the words of an error finds its topic.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

from drift.command_line import OPTION_ROOMS, PACKAGES

ALWAYS = ("files", "options")
"""Topics of errors that the operating system and the command line itself raise."""
_HEADING = re.compile(r"^## `(?P<topic>[\w-]+)`\n", re.MULTILINE)


@cache
def messages(root: Path) -> dict[str, list[str]]:
    """Topic -> what the errors of that topic say; what a message is filled with is `…`."""
    trees = {
        path.relative_to(root): ast.parse(path.read_text("utf-8"))
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
    }
    classes = _user_errors(list(chain.from_iterable(map(ast.walk, trees.values()))))
    found: dict[str, list[str]] = defaultdict(list, {topic: [] for topic in ALWAYS})
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and isinstance(call := node.exc, ast.Call):
                name = ast.unparse(call.func)
                if name in classes and call.args:
                    found[topic_of_file(path)].append(_text(call.args[0]))
    return dict(found)


def topic_of_file(path: Path) -> str:
    """The topic of what a file raises, as `drift.command_line.topic_of` tells it of an error."""
    package, *rooms = path.with_suffix("").parts[:2]
    return "options" if rooms in OPTION_ROOMS else "-".join((package, *rooms))


def topics_of_page(markdown: str) -> list[str]:
    """Topics that have a section on the page."""
    return [match["topic"] for match in _HEADING.finditer(markdown)]


def with_messages(markdown: str, root: Path) -> str:
    """The page with the messages of each topic at the end of its section."""
    sections = _HEADING.split(markdown)
    known = messages(root)
    page = [sections[0]]
    for topic, body in zip(sections[1::2], sections[2::2], strict=True):
        said = sorted({text for text in known.get(topic, ()) if text.strip("… ")})
        listed = "".join(f"    - {text}\n" for text in map(_escaped, said))
        page.append(f"## `{topic}`\n{body.rstrip()}\n\n")
        page.append(f'??? note "Messages"\n\n{listed}\n' if listed else "")
    return "".join(page)


def _user_errors(nodes: list[ast.AST]) -> set[str]:
    """Names of the classes that end a command in one line: those with an `exit_code`, and heirs."""
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    found: set[str] = set()
    while True:
        more = {node.name for node in classes if _has_exit_code(node) or found & _bases(node)}
        if more == found:
            return found
        found = more


def _has_exit_code(node: ast.ClassDef) -> bool:
    names = (t for item in node.body if isinstance(item, ast.Assign) for t in item.targets)
    return any(isinstance(name, ast.Name) and name.id == "exit_code" for name in names)


def _bases(node: ast.ClassDef) -> set[str]:
    return {ast.unparse(base) for base in node.bases}


def _text(node: ast.expr) -> str:
    """The fixed words of a message."""
    return re.sub(r"(… ?)+$", "…", "".join(_parts(node)))


def _parts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.JoinedStr):
        for value in node.values:
            yield from _parts(value)
    elif isinstance(node, ast.BinOp):
        yield from _parts(node.left)
        yield from _parts(node.right)
    else:
        yield "…"


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split()))
