"""What MkDocs does beside the pages in docs/: this file is its hook, named in mkdocs.yml.

The site's front page is README.md; CONTRIBUTING.md, CHANGELOG.md and SECURITY.md are pages too; the
pages in reference/ are made from the commands' parsers, the docstrings of the public names and the
code that writes records. A file of the repository that some page links to gets a page with its
text, below source/.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from docs_reference import errors
from docs_reference.commands import PARSERS, command_page, commands_page
from docs_reference.python import python_page
from docs_reference.records import records_page
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PROJECT_PAGES = {
    ROOT / "README.md": "index.md",
    DOCS / "README.md": "index.md",  # its list of pages is the site's navigation
    ROOT / "CONTRIBUTING.md": "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md": "CHANGELOG.md",
    ROOT / "SECURITY.md": "SECURITY.md",
}
"""Pages that are not in docs/ under their own name, with their names on the site."""
NEEDS = {"gpu": "a GPU", "weights": "downloaded weights", "network": "a network"}
"""Marks of a command block, and what the reader of the site is told that it needs."""
PICTURES = (".png", ".webp", ".jpg", ".svg", ".gif")

_LINK = re.compile(r"""(?P<before>\]\(|(?:src|href)=")(?P<target>[^)"\s]+)""")
_FENCE = re.compile(
    r"^(?P<fence>\s*(?:```|~~~)+)(?P<language>\w+) (?P<marks>[\w ]+)$", re.MULTILINE
)


def on_files(files: Files, *, config: Any) -> Files:
    """Adds the pages that are not in docs/."""
    for path in (ROOT / name for name in ("README.md", *_names_at_the_root())):
        files.append(File.generated(config, PROJECT_PAGES[path], content=path.read_text("utf-8")))
    generated: dict[str, Callable[[], str]] = {
        "reference/commands.md": commands_page,
        "reference/python.md": python_page,
        "reference/records.md": partial(records_page, ROOT),
        **{f"reference/{name}.md": partial(command_page, name) for name in PARSERS},
    }
    for name, make in generated.items():
        files.append(File.generated(config, name, content=make()))
    for path in _linked_sources(files):
        files.append(_source_file(config, path))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Leads links to where their files are on the site; says what a command block needs."""
    uri = page.file.src_uri
    if uri.startswith(("reference/", "source/")):
        return markdown
    if uri == "errors.md":
        markdown = errors.with_messages(markdown, ROOT)
    origin = _origin(uri)

    def led(match: re.Match[str]) -> str:
        return match["before"] + _on_the_site(match["target"], origin, uri)

    return _FENCE.sub(_with_title, _LINK.sub(led, markdown))


def _names_at_the_root() -> list[str]:
    names = {path.name for path in PROJECT_PAGES if path.parent == ROOT}
    return sorted(names - {"README.md"})


def _origin(uri: str) -> Path:
    """The file of the repository that a page of the site is."""
    return next((path for path, name in PROJECT_PAGES.items() if name == uri), DOCS / uri)


def _on_the_site(target: str, origin: Path, uri: str) -> str:
    """A link of the file `origin`, as the page `uri` must write it."""
    name, hash_, anchor = target.partition("#")
    if not name or ":" in name:
        return target
    path = (origin.parent / name).resolve()
    if path in PROJECT_PAGES:
        place = PROJECT_PAGES[path]
    elif path.is_relative_to(DOCS):
        place = path.relative_to(DOCS).as_posix()
    else:
        place = _source_uri(path)
    return os.path.relpath(place, Path(uri).parent).replace(os.sep, "/") + hash_ + anchor


def _linked_sources(files: Files) -> Iterator[Path]:
    """Yields each file outside docs/ that a page links to, once."""
    seen: set[Path] = set()
    for file in files.documentation_pages():
        if file.src_uri.startswith("reference/"):
            continue
        origin = _origin(file.src_uri)
        for match in _LINK.finditer(origin.read_text("utf-8")):
            name = match["target"].partition("#")[0]
            path = (origin.parent / name).resolve()
            is_outside = path not in PROJECT_PAGES and not path.is_relative_to(DOCS)
            if name and ":" not in name and is_outside and path.is_file() and path not in seen:
                seen.add(path)
                yield path


def _source_uri(path: Path) -> str:
    uri = f"source/{os.path.relpath(path, ROOT)}".replace(os.sep, "/")
    return uri if path.suffix in PICTURES else f"{uri}.md"


def _source_file(config: Any, path: Path) -> File:
    """A file of the repository on the site: a picture as it is, a text as a page."""
    uri = _source_uri(path)
    if path.suffix in PICTURES:
        return File.generated(config, uri, abs_src_path=str(path))
    name = path.relative_to(ROOT).as_posix()
    text = (
        f"---\nsearch:\n  exclude: true\n---\n# {name}\n\n"
        f"~~~~~~{path.suffix.removeprefix('.') or 'text'}\n{path.read_text('utf-8')}\n~~~~~~\n"
    )
    return File.generated(config, uri, content=text, inclusion=InclusionLevel.NOT_IN_NAV)


def _with_title(match: re.Match[str]) -> str:
    """The first line of a command block: its marks become a title, such as "needs a GPU"."""
    needs = [NEEDS[mark] for mark in match["marks"].split() if mark in NEEDS]
    title = f' title="needs {" and ".join(needs)}"' if needs else ""
    return f"{match['fence']}{match['language']}{title}"
