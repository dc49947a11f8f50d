"""The documentation as a site: strict links, every option and record described, nothing fetched."""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from accessibility import faults_of
from chromium import Chromium
from docs_reference.commands import PARSERS, new_parser, sub_commands
from docs_reference.docstrings import as_markdown, as_text, documented_attributes
from docs_reference.python import python_page
from docs_reference.records import find_records
from markdown import PROGRAMS as COMMANDS

import drift
import hiar

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with every warning an error: a dead link, a page that no one finds."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_every_command_has_a_page() -> None:
    assert PARSERS == COMMANDS


@pytest.mark.parametrize("program", PARSERS)
def test_every_option_says_what_it_does(program: str) -> None:
    parser = new_parser(program)
    silent = [
        (name, action.dest)
        for name, _, command in [(program, "", parser), *sub_commands(parser)]
        for action in command._actions
        if not action.help and not isinstance(action, argparse._SubParsersAction)
    ]
    assert silent == []


@pytest.mark.slow
@pytest.mark.parametrize("program", PARSERS)
def test_every_option_is_on_the_page(program: str, site: Path) -> None:
    page = (site / "reference" / f"{program}.html").read_text(encoding="utf-8")
    words = set(re.findall(r"--[\w-]+", page))
    parser = new_parser(program)
    for name, _, command in [("", "", parser), *sub_commands(parser)]:
        assert f'id="{program}-{name}"' in page or not name
        options = {o for o in command._option_string_actions if o.startswith("--")}
        assert options - {"--help"} <= words


def test_records_have_their_fields() -> None:
    records = {record.schema: record for record in find_records(ROOT)}
    assert {"drift/1", "bench/1", "hiar-sample/1", "seams/1", "vbench/1"} <= set(records)
    assert {"videos", "segments", "preset", "provenance"} <= set(records["drift/1"].fields)
    assert records["drift/1"].more
    assert {"rows", "provenance"} <= set(records["bench/1"].fields)


DOCSTRING = """One *line*.

    More of `it_all`.

    Args:
        a: First,
            and more: [B, C].
        b, c: Both.

    Returns:
        A number.
    """


def test_attributes_of_a_docstring() -> None:
    assert documented_attributes(DOCSTRING) == [
        ("a", "First, and more: [B, C]."),
        ("b, c", "Both."),
    ]
    assert documented_attributes("One line.") == []


def test_docstring_as_markdown() -> None:
    lines = [line for line in as_markdown(DOCSTRING) if line]
    assert lines == [
        r"One \*line\*.", "More of `it_all`.", "**Args**", "`a`",
        r":   First, and more: \[B, C\].", "`b, c`", ":   Both.", "**Returns**", "A number.",
    ]  # fmt: skip
    assert as_text("a <b> `c<d>`\n  e") == "a &lt;b&gt; `c<d>` e"


def test_public_names_are_described() -> None:
    page = python_page()
    for module in (hiar, drift):
        for name in module.__all__:
            assert f"### {module.__name__}.{name}\n" in page
    assert "    attention: Attention = 'bidirectional',\n" in page
    assert "`HiARPipeline.__call__`" in page


@pytest.mark.slow
def test_nothing_is_fetched(site: Path) -> None:
    """No page asks for a script, a style, a font or a picture of another machine."""
    for page in site.rglob("*.html"):
        text = re.sub(r"<a\s[^>]*>", "", page.read_text(encoding="utf-8"))
        assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//[^"'\s>]+""", text), page


@pytest.mark.slow
@pytest.mark.browser
def test_pages_fit_a_phone(site: Path, browser: Chromium) -> None:
    for page in sorted(site.rglob("*.html")):
        if page.name != "404.html":  # its addresses are those of a server's root
            browser.open(page, width=390)
            assert browser.run("document.documentElement.scrollWidth") <= 390, page
            assert browser.problems() == []


@pytest.mark.slow
@pytest.mark.browser
def test_a_reader_and_a_keyboard_get_all_of_a_page(site: Path, browser: Chromium) -> None:
    assert faults_of(browser, site / "errors.html") == []


@pytest.mark.slow
@pytest.mark.browser
def test_search_works_in_a_page_opened_as_a_file(site: Path, browser: Chromium) -> None:
    browser.open(site / "index.html", width=1280)
    browser.run(SEARCH)
    assert browser.run(FOUND) > 0
    assert browser.problems() == []


SEARCH = """
    const field = document.querySelector('.md-search__input');
    field.focus(); field.value = 'sharpness';
    field.dispatchEvent(new Event('keyup', {bubbles: true}));
"""
FOUND = """
    new Promise(resolve => {
        const look = left => {
            const found = document.querySelectorAll('.md-search-result__item').length;
            found || !left ? resolve(found) : setTimeout(look, 100, left - 1);
        };
        look(100);
    })
"""
