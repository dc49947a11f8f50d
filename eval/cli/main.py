"""The ``hiar-vbench`` command. Nothing heavy is imported before a command runs."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from drift.command_line import CommandParser, run_command
from eval.cli import doctor, layout, listings, prompts, proxies, run, score, setup, weights

Handler = Callable[[argparse.Namespace], int]
COMMANDS: tuple[tuple[str, str, Any, Handler], ...] = (
    ("setup", "make or repair the isolated environment", setup, setup.run),
    ("doctor", "which dimensions can run here, what each lacks", doctor, doctor.run),
    ("weights", "list, fetch or verify upstream's weights", weights, weights.run),
    ("prompts", "what to generate and what to call it", prompts, prompts.run),
    ("layout", "check a folder of videos before it is measured", layout, layout.run),
    ("run", "measure dimensions, one process each", run, run.run),
    ("score", "Quality, Semantic and Total from result files", score, score.run),
    ("proxies", "cheap stand-ins without weights, for the tiny world", proxies, proxies.run),
    ("dimensions", "the 16 dimensions and what each needs", listings, listings.run_dimensions),
    ("protocols", "the ways of running VBench", listings, listings.run_protocols),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``hiar-vbench``.

    Args:
        argv: Arguments without the program's name; None reads the command line.

    Returns:
        The exit code.
    """
    return run_command(build_parser(), argv)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = CommandParser(prog="hiar-vbench", description="Score videos with VBench's protocol.")
    parser.add_argument(
        "--debug", action="store_true", help="show an error's traceback, and a report for an issue"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, words, module, handler in COMMANDS:
        command = commands.add_parser(name, help=words)
        module.add_arguments(command)
        command.set_defaults(handler=handler)
    return parser
