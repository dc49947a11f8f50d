"""Options that several commands share."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from drift.errors import UsageError
from eval.protocol.protocols import PROTOCOLS, Protocol

if TYPE_CHECKING:
    from eval.protocol.layout import Layout
    from eval.protocol.own_list import OwnList

OK, FAILED, WRONG_USE = 0, 1, 2


def add_environment(parser: argparse.ArgumentParser) -> None:
    """Adds ``--env``."""
    parser.add_argument(
        "--env",
        type=Path,
        metavar="DIR",
        help="isolated environment (default: $HIAR_VBENCH_ENV, or hiar/vbench-env in the XDG data "
        "home, ~/.local/share)",
    )


def add_suite(parser: argparse.ArgumentParser) -> None:
    """Adds ``--suite``."""
    parser.add_argument(
        "--suite",
        type=Path,
        metavar="FILE",
        help="VBench's list of prompts, VBench_full_info.json (default: that of the environment)",
    )


def add_protocol(parser: argparse.ArgumentParser) -> None:
    """Adds ``--protocol``, ``--custom`` and ``--dimensions``."""
    parser.add_argument(
        "--protocol",
        choices=tuple(PROTOCOLS),
        help="way of running VBench, as `hiar-vbench protocols` describes it (default: vbench, "
        "with --custom vbench-custom)",
    )
    parser.add_argument(
        "--custom",
        type=Path,
        metavar="FILE",
        help="own prompts: CSV with a column prompt, and a column video if the files are not "
        "called 0000-0.mp4 as `prompts --list` calls them; VIDEOS must hold these videos and no "
        "other",
    )
    parser.add_argument(
        "--dimensions",
        metavar="A,B",
        help="names of dimensions (default: all that the protocol has)",
    )


def add_videos(parser: argparse.ArgumentParser) -> None:
    """Adds the folder of videos and ``--samples``."""
    parser.add_argument("folder", metavar="VIDEOS", type=Path, help="folder of the videos")
    parser.add_argument(
        "--samples",
        type=positive,
        default=5,
        help="videos for each prompt, 1 to 5 (default: 5); not used where a list names the videos",
    )


def positive(text: str) -> int:
    """Parses a whole number that is at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def environment_of(arguments: argparse.Namespace) -> Path:
    """Folder of the isolated environment: the one given, else the default."""
    from eval.upstream.environment import default_environment  # noqa: PLC0415  (only where it is needed)

    named: Path | None = arguments.env
    return (named or default_environment()).expanduser().absolute()


def suite_of(arguments: argparse.Namespace) -> Path:
    """File of the suite: the one given, else the one in the environment."""
    from eval.protocol.prompts import find_suite  # noqa: PLC0415

    named: Path | None = arguments.suite
    return named or find_suite(environment_of(arguments))


def protocol_of(arguments: argparse.Namespace) -> Protocol:
    """The protocol that is named, else that of VBench's prompts or of one's own.

    Raises:
        UsageError: It measures VBench's own prompts although ``--custom`` gives others.
    """
    name = arguments.protocol or ("vbench-custom" if arguments.custom else "vbench")
    protocol = PROTOCOLS[name]
    if arguments.custom and protocol.suite:
        own = " or ".join(p.name for p in PROTOCOLS.values() if not p.suite)
        raise UsageError(
            f"--protocol {name} measures VBench's own prompts; with --custom use {own}"
        )
    return protocol


def own_list_of(arguments: argparse.Namespace) -> "OwnList | None":
    """The list that ``--custom`` gives; None if there is none."""
    from eval.protocol.own_list import read_own_list  # noqa: PLC0415

    if arguments.custom is None:
        return None
    return read_own_list(arguments.custom, arguments.samples)


def look(
    arguments: argparse.Namespace,
    protocol: Protocol,
    dimensions: Sequence[str],
    *,
    headers: bool = True,
) -> "Layout":
    """Checks the folder by the rules of the protocol."""
    from eval.protocol.layout import check_listed, check_own, check_suite  # noqa: PLC0415  (PyAV)
    from eval.protocol.prompts import read_suite  # noqa: PLC0415

    if own_list := own_list_of(arguments):
        return check_listed(arguments.folder, own_list, dimensions, headers=headers)
    if not protocol.suite:
        return check_own(arguments.folder, dimensions, headers=headers)
    return check_suite(
        arguments.folder,
        read_suite(suite_of(arguments)),
        dimensions=dimensions,
        samples=arguments.samples,
        headers=headers,
    )
