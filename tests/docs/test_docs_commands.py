"""Every command in README and docs: parsed by the real parser, and run where it says `runnable`."""

import importlib
import os
import re
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest
from markdown import PROGRAMS, SHELLS, Block, our_command, read_blocks, split_commands

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [block for page in PAGES for block in read_blocks(page)]
COMMANDS = [
    (block.place, program, arguments)
    for block in BLOCKS
    if block.language in SHELLS
    for words in split_commands(block.text)
    if (found := our_command(words)) is not None
    for program, arguments in [found]
]
MARKS = {"runnable", "gpu", "weights", "network", "slow"}
RUNNABLE = [page for page in PAGES if any("runnable" in b.marks for b in BLOCKS if b.path == page)]
PICTURE_BYTES = 600_000


def new_parser(program: str) -> ArgumentParser:
    """The command line of a program, as its own main builds it."""
    module = importlib.import_module(PROGRAMS[program])
    parser: ArgumentParser = (getattr(module, "build_parser", None) or module._build_parser)()
    return parser


@pytest.mark.parametrize(
    ("program", "arguments"),
    [pytest.param(p, a, id=f"{place}-{p}") for place, p, a in COMMANDS],
)
def test_command_is_understood(
    program: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    parser = new_parser(program)
    try:
        parser.parse_args(arguments)
    except SystemExit as error:
        # `--help` ends with 0; a mistake ends with 2 and one line.
        pytest.fail(f"{capsys.readouterr().err}{arguments}") if error.code else None


def test_there_are_commands_of_every_program() -> None:
    assert {program for _, program, _ in COMMANDS} == set(PROGRAMS)


def test_marks_are_known() -> None:
    assert {mark for block in BLOCKS for mark in block.marks} <= MARKS


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.name)
def test_runnable_blocks_run(page: Path, tmp_path: Path) -> None:
    """The blocks of a page run one after another in one empty folder, as a reader would."""
    scripts = [block.text for block in BLOCKS if block.path == page and "runnable" in block.marks]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    for script in scripts:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
            timeout=280,
        )  # fmt: skip
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    assert any(tmp_path.iterdir()) or page.name == "reproduce_the_paper.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```|~~~.*?~~~", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name} links to {target}"
        assert file.is_relative_to(ROOT)
        if anchor:
            heads = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {_anchor(head) for head in heads}, f"{page.name} links to {target}"


def _anchor(head: str) -> str:
    """As GitHub makes them."""
    return re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-")


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index


def test_pictures_are_small() -> None:
    pictures = [p for p in (ROOT / "docs").rglob("*") if p.suffix in (".png", ".webp", ".jpg")]
    assert pictures
    assert sum(picture.stat().st_size for picture in pictures) <= PICTURE_BYTES


def house() -> Block:
    return next(
        block for block in BLOCKS if block.path.name == "README.md" and "hiar/ " in block.text
    )


def test_the_house_shows_what_is_there() -> None:
    """Every file and folder that the tree in README names exists, below the package above it."""
    package = ROOT
    seen = 0
    for line in house().text.splitlines():
        if not line.startswith(" "):
            package = ROOT / line.split()[0]
            assert package.exists(), line
        names = re.findall(r"(?<!\S)([\w/{},]+\.(?:py|sh|toml)|\w[\w/]*/)(?=\s)", line + " ")
        for name in names if line.startswith(" ") else names[1:]:
            assert any((folder / name).exists() for folder in (package, ROOT)), f"{line}: {name}"
            seen += 1
    assert seen > 30
