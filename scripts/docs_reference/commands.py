"""The reference pages of the commands, in Markdown, from the parsers that the commands use."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator

from docs_reference.docstrings import as_text

PARSERS = {
    "hiar": "hiar.cli.main",
    "drift": "drift.cli.main",
    "hiar-vbench": "eval.cli.main",
    "hiar-baselines": "baselines.cli.main",
    "reproduce-paper": "reports.cli.main",
}
"""Module of each command whose `build_parser` makes its command line."""
USAGE_WIDTH = 76


def commands_page() -> str:
    """The page that lists every command and its sub-commands."""
    lines = [
        "# Commands",
        "",
        "These pages are made from the command lines themselves. Exit codes of all of them: 0 all "
        "done; 1 something could not be done, and is named; 2 wrong use, in one line; 130 "
        "interrupted. With `--debug` an error shows its traceback.",
        "",
    ]
    for program in PARSERS:
        parser = new_parser(program)
        lines += [f"## [{program}]({program}.md)", "", as_text(parser.description), ""]
        for name, help_, _ in sub_commands(parser):
            link = f"[`{program} {name}`]({program}.md#{program}-{name})"
            lines += [f"- {link}: {as_text(help_)}"]
        lines += [""]
    return "\n".join(lines)


def command_page(program: str) -> str:
    """The page of one command: each sub-command with every argument and option."""
    parser = new_parser(program)
    lines = [f"# {program}", "", *_describe(parser)]
    for name, help_, command in sub_commands(parser):
        lines += [f"## {program} {name}", "", *_describe(command, otherwise=help_)]
    return "\n".join(lines) + "\n"


def new_parser(program: str) -> argparse.ArgumentParser:
    """The command line of a program, as its own main builds it."""
    parser: argparse.ArgumentParser = importlib.import_module(PARSERS[program]).build_parser()
    return parser


def sub_commands(
    parser: argparse.ArgumentParser,
) -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    """Yields the name, the line of help and the parser of each sub-command."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {entry.dest: entry.help or "" for entry in action._choices_actions}
            for name, command in action.choices.items():
                yield name, helps.get(name, ""), command


def _describe(parser: argparse.ArgumentParser, otherwise: str = "") -> Iterator[str]:
    """Yields what a parser says of itself; `otherwise` stands in for a missing description."""
    formatter = argparse.HelpFormatter(parser.prog, width=USAGE_WIDTH)
    formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups, prefix="")
    yield from (as_text(parser.description or _sentence(otherwise)), "")
    yield from ("```text", formatter.format_help().strip(), "```", "")
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if _is_shown(action)]
        if actions:
            yield from (f"**{as_text((group.title or '').capitalize())}**", "")
        for action in actions:
            yield from _entry(formatter, action)
    if parser.epilog:
        yield from (as_text(_sentence(parser.epilog)), "")


def _entry(formatter: argparse.HelpFormatter, action: argparse.Action) -> Iterator[str]:
    """Yields an entry of a definition list: how the option is written, then what it does."""
    yield f"`{formatter._format_action_invocation(action)}`"
    yield f":   {as_text(formatter._expand_help(action) if action.help else None)}"
    yield ""


def _is_shown(action: argparse.Action) -> bool:
    hidden = (argparse._HelpAction, argparse._SubParsersAction)
    return action.help != argparse.SUPPRESS and not isinstance(action, hidden)


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
