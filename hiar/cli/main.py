"""The `hiar` command. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import argparse
from types import ModuleType
from typing import NoReturn

from hiar.cli import bench, doctor, sample, strips, train, trajectories, weights
from hiar.command_line import CommandParser, run_command
from hiar.runtime.ranks import leave, speaks_for_all


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = CommandParser(prog="hiar", description="Make videos with HiAR, and time it.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_module(commands.add_parser("sample", help="make videos from prompts"), sample)
    made = commands.add_parser("strips", help="one denoising step under both attentions (Fig. 5)")
    _add_module(made, strips)
    _add_module(commands.add_parser("bench", help="time sampling on this machine"), bench)
    made = commands.add_parser("trajectories", help="sample the teacher's ODE, for training")
    _add_module(made, trajectories)
    _add_module(commands.add_parser("train", help="train a model, stage by stage"), train)
    _add_module(commands.add_parser("weights", help="list, fetch and verify weights"), weights)
    _add_module(commands.add_parser("doctor", help="what is here, what is missing"), doctor)
    for command in commands.choices.values():
        command.add_argument("--json", action="store_true", help="print the record, no table")
        command.add_argument(
            "--debug",
            action="store_true",
            help="show an error's traceback, and a report for an issue",
        )
    return parser


def _add_module(parser: argparse.ArgumentParser, module: ModuleType) -> None:
    module.add_arguments(parser)
    parser.set_defaults(handler=module.run)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return run_command(build_parser(), argv, speaks=speaks_for_all)


def console() -> NoReturn:
    """The command `hiar`: runs it and ends the process."""
    leave(main())
