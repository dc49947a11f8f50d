"""The `hiar-baselines` command. Nothing heavy is imported before a command runs."""

import argparse
from collections.abc import Sequence
from types import ModuleType

from baselines.adapters.environments import DEFAULT_FOLDER as ENVIRONMENTS
from baselines.adapters.environments import ENVIRONMENT_VARIABLE as ENVIRONMENTS_VARIABLE
from baselines.cli import fetch, generate, list_models, show, timing
from hiar.command_line import CommandParser, run_command
from hiar.runtime.ranks import speaks_for_all
from hiar.weights.local import DEFAULT_FOLDER, ENVIRONMENT_VARIABLE

EPILOG = f"""\
Weights are looked for in {DEFAULT_FOLDER}/<hub repository>/<file> ({ENVIRONMENT_VARIABLE}), the
environments of external programs in {ENVIRONMENTS}/<model> ({ENVIRONMENTS_VARIABLE}).
Only `fetch` downloads.
"""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = CommandParser(
        prog="hiar-baselines",
        description="The models that the paper compares: what is missing, make videos, time them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--debug", action="store_true", help="show an error's traceback, and a report for an issue"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add(
        commands.add_parser("list", help="all models: what runs here, what is missing"), list_models
    )
    _add(commands.add_parser("show", help="one model: weights, lengths, settings, sources"), show)
    _add(commands.add_parser("fetch", help="download the weights of models"), fetch)
    _add(commands.add_parser("generate", help="make a folder of videos"), generate)
    _add(commands.add_parser("time", help="measure throughput and latency"), timing)
    for command in commands.choices.values():
        command.add_argument(
            "--json", action="store_true", help="print the record as JSON, not a table"
        )
    return parser


def _add(parser: argparse.ArgumentParser, module: ModuleType) -> None:
    module.add_arguments(parser)
    parser.set_defaults(handler=module.run)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `hiar-baselines`.

    Args:
        argv: Arguments without the program's name; None reads the command line.

    Returns:
        The exit code: 0; 1 if some video failed; 2 for wrong use, a length that the model does not
        support, or something missing; 130 if interrupted.
    """
    return run_command(build_parser(), argv, speaks=speaks_for_all)
