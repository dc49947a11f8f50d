"""Command blocks and links of a Markdown file."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SHELLS = ("", "sh", "bash", "shell", "console")
PROGRAMS = {
    "hiar": "hiar.cli.main",
    "drift": "drift.cli.main",
    "hiar-vbench": "eval.cli.main",
    "hiar-baselines": "baselines.cli.main",
    "reproduce-paper": "reports.cli.main",
}
MODULES = {module.removesuffix(".cli"): program for program, module in PROGRAMS.items()}
ENDS = {";", "&&", "||", "|", "&"}


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block; `marks` are the words after the language."""

    path: Path
    line: int
    language: str
    marks: tuple[str, ...]
    text: str

    @property
    def place(self) -> str:
        return f"{self.path.name}:{self.line}"


def read_blocks(path: Path) -> list[Block]:
    """Returns the fenced blocks of a file."""
    blocks: list[Block] = []
    fence, info, start, body = "", "", 0, []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        opening = re.match(r"\s*(`{3,}|~{3,})(.*)", line)
        if not fence and opening:
            fence, info, start, body = opening[1], opening[2].strip(), number, []
        elif fence and line.strip() == fence:
            language, *marks = info.split() or [""]
            blocks.append(Block(path=path, line=start, language=language, marks=tuple(marks),
                                text="\n".join(body)))  # fmt: skip
            fence = ""
        else:
            body.append(line)
    assert not fence, f"{path}:{start}: the block has no end"
    return blocks


def split_commands(script: str) -> Iterator[list[str]]:
    """Yields the words of every simple command; comments and redirections are dropped."""
    joined = re.sub(r"\\\n\s*", " ", script)
    for line in joined.splitlines():
        text = re.sub(r"<(\w[\w -]*)>", lambda match: match[1].replace(" ", "-"), line)
        text = text.removeprefix("$ ")
        lexer = shlex.shlex(text, posix=True, punctuation_chars=";|&<>")
        lexer.whitespace_split = True
        words: list[str] = []
        try:
            found = list(lexer)
        except ValueError:  # an apostrophe: a tree or output, no command
            assert our_command(line.split()) is None, line
            continue
        for word in found:
            if word in ENDS:
                yield words
                words = []
            else:
                words.append(word)
        yield words


def our_command(words: list[str]) -> tuple[str, list[str]] | None:
    """Returns the program and its arguments where a simple command is one of ours."""
    for cut, word in enumerate(words):
        if word in (">", ">>", "<", "2>"):
            words = words[:cut]
            break
    while words and re.fullmatch(r"\w+=\S*", words[0]):  # variables before the command
        words = words[1:]
    if not words:
        return None
    name = Path(words[0]).name
    if name in PROGRAMS and not words[0].endswith("/"):  # a folder in a tree
        return name, words[1:]
    for at in range(len(words) - 1):
        if words[at] == "-m" and words[at + 1] in MODULES:
            return MODULES[words[at + 1]], words[at + 2 :]
    return None
