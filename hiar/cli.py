"""The `hiar` command. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import argparse
import signal
import sys
from types import ModuleType
from typing import NoReturn

from hiar.commands import bench, doctor, sample, strips, train, trajectories, weights
from hiar.errors import UsageError
from hiar.ranks import leave, num_ranks_of

OK, WRONG_USE, INTERRUPTED = 0, 2, 130


class _Parser(argparse.ArgumentParser):
    """Wrong use is one line, not a page of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USE, f"{self.prog}: {message}; see {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = _Parser(prog="hiar", description="Make videos with HiAR, and time it.")
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
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _add_module(parser: argparse.ArgumentParser, module: ModuleType) -> None:
    module.add_arguments(parser)
    parser.set_defaults(handler=module.run)


class _Terminated(KeyboardInterrupt):
    """Told to stop by another process, not at the keyboard."""


def _terminate(signum: int, frame: object) -> NoReturn:
    raise _Terminated


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = build_parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return int(args.handler(args))
    except UsageError as error:
        if args.debug:
            raise
        sys.stderr.write(f"hiar: {error}\n")
        return WRONG_USE
    except KeyboardInterrupt as stop:
        # torchrun stops the others once a rank has ended; that one has said why.
        if not isinstance(stop, _Terminated) or num_ranks_of() == 1:
            sys.stderr.write("hiar: interrupted; run the same command again to go on\n")
        return INTERRUPTED


def console() -> NoReturn:
    """The command `hiar`: runs it and ends the process."""
    leave(main())
