"""How a command of the toolkit ends: exit code, one line for its user, with `--debug` a report.

The packages hiar and drift do not import one another, so each has this file, word for word. The
others use one of the two. What is the user's to mend is told by an attribute: an error class with
an `exit_code` ends the command in one line, whichever package it is of.
"""

from __future__ import annotations

import argparse
import errno
import os
import platform
import select
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from traceback import walk_tb
from typing import NoReturn

OK, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
PIPE_CLOSED = 128 + signal.SIGPIPE
STOPS = (signal.SIGTERM, signal.SIGHUP)
"""Signals that end a command as Ctrl-C does."""
_NO_ROOM = "make room or name another folder, then run the same command again"
_NOT_ALLOWED = "change its permissions or name another path"
REMEDIES = {
    errno.ENOSPC: _NO_ROOM,
    errno.EDQUOT: _NO_ROOM,
    errno.EFBIG: "raise the limit on the size of files (ulimit -f) or name another folder",
    errno.EACCES: _NOT_ALLOWED,
    errno.EPERM: _NOT_ALLOWED,
    errno.EROFS: "name a folder on a disk that can be written",
    errno.ENOTDIR: "name a path all of whose folders are folders",
    errno.EISDIR: "name a file",
    errno.EEXIST: "name a folder, or a path that is free",
    errno.ENOENT: "check the path",
    errno.ELOOP: "name a path without links that lead back to themselves",
    errno.ENAMETOOLONG: "name a shorter path",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
}
"""What the user can do about an error of the operating system."""
OPTION_ROOMS = (["cli"], ["arguments"], ["command_line"])
PACKAGES = ("hiar", "drift", "eval", "baselines", "reports")
LIBRARIES = {
    **{name: name for name in ("torch", "numpy", "diffusers", "transformers", "av", "pyarrow")},
    "cv2": "opencv-python",
}
"""Modules of others that a report of a fault names, and the packages they come in."""
VARIABLES = (
    *("HIAR_WEIGHTS", "HIAR_DATA", "DRIFT_WEIGHTS", "VBENCH_CACHE_DIR", "HF_HUB_OFFLINE"),
    *("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "WORLD_SIZE"),
)
CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
"""Sets of instructions on which the last digits of results depend."""


class ArgumentsError(ValueError):
    """Arguments that the command line does not have, or values that they do not take."""

    exit_code = WRONG_USE


class Terminated(KeyboardInterrupt):
    """Raised when another process, not the keyboard, asks the command to stop."""


class CommandParser(argparse.ArgumentParser):
    """A parser whose errors are one line, not a page of usage."""

    def error(self, message: str) -> NoReturn:
        """Raise the message for `run_command`."""
        raise ArgumentsError(f"{message}; see {self.prog} --help")


def run_command(
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None = None,
    *,
    speaks: Callable[[BaseException], bool] = lambda _: True,
) -> int:
    """Run what a command line asks for.

    Args:
        parser: Sets `handler`, which takes the arguments and returns the exit code.
        argv: Arguments without the program's name; None takes them from the process.
        speaks: Asked, before an error is shown, whether this process is the one that shows it.

    Returns:
        The exit code: the handler's; an error's own; 130 if interrupted; 141 if the reader of the
        output has gone.

    Raises:
        Exception: What is no mistake of the user's; and anything if `--debug` is among the
            arguments.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    arguments = argparse.Namespace()
    try:
        with _stopped_as_by_ctrl_c():
            parser.parse_args(words, arguments)
            code = int(arguments.handler(arguments))
            _flush_output()
            return code
    except KeyboardInterrupt as stop:
        if speaks(stop):
            new_line = "\n" if sys.stderr.isatty() else ""  # what was shown may be an open line
            interrupted = "interrupted; run the same command again to go on"
            sys.stderr.write(f"{new_line}{parser.prog}: {interrupted}\n")
        return INTERRUPTED
    except Exception as error:
        is_closed = _output_is_closed(error)
        _forget_output()
        if is_closed:
            return PIPE_CLOSED
        ending = exit_code_of(error)
        if "--debug" in words and speaks(error):
            sys.stderr.write(fault_report(parser, words, error))
        if ending is None or "--debug" in words:
            raise
        if speaks(error):
            sys.stderr.write(f"{parser.prog}: {line_of(error, getattr(arguments, 'out', None))}\n")
        return ending


def exit_code_of(error: BaseException) -> int | None:
    """The exit code of an error that is the user's to mend; None for a fault of ours."""
    default = WRONG_USE if isinstance(error, OSError) else None
    code: int | None = getattr(error, "exit_code", default)
    return code


def line_of(error: BaseException, out: object = None) -> str:
    """The one line that says what is wrong; the topic in brackets leads to docs/errors.md.

    Args:
        error: What was raised.
        out: What the command writes to. A write that fails for want of room names no file.
    """
    words = str(error)
    if isinstance(error, OSError) and error.strerror:
        path = error.filename or out or "the output"
        remedy = REMEDIES.get(error.errno or 0)
        words = f"{_text(path)}: {error.strerror}" + (f"; {remedy}" if remedy else "")
    line = "; ".join(line.strip() for line in words.splitlines() if line.strip())
    topic = topic_of(error)
    return f"{line} [{topic}]" if topic else line


def topic_of(error: BaseException) -> str:
    """Section of docs/errors.md: package and room of the code that raised an error, as a rule."""
    if isinstance(error, OSError):
        return "files"
    ours = [name for name, _, _ in _places(error) if name.split(".")[0] in PACKAGES]
    rooms = ours[-1].split(".")[:2] if ours else []
    return "options" if rooms[1:] in OPTION_ROOMS else "-".join(rooms)


def fault_report(
    parser: argparse.ArgumentParser, words: Sequence[str], error: BaseException
) -> str:
    """What `--debug` shows for a report of a fault: no path, no name and no prompt is in it.

    It tells no word that the user chose: of the arguments those that the command line itself
    knows, and numbers; of an error its class and where it was raised, but not its message.
    """
    known = _known_words(parser)
    asked = [part for word in words for part in word.split("=", 1)]
    told = [word if word in known or _is_number(word) else "..." for word in asked]
    lines = [
        f"command    {' '.join((parser.prog, *told))}",
        f"versions   Python {platform.python_version()}, {', '.join(_versions())}",
        f"machine    {platform.system()} {platform.machine()}, {os.cpu_count()} processors, "
        f"{' '.join(_cpu_features()) or 'features unknown'}",
        f"variables  {', '.join(name for name in VARIABLES if name in os.environ) or 'none set'}",
    ]
    cause: BaseException | None = error
    while cause is not None:
        lines += [f"error      {type(cause).__name__} [{topic_of(cause)}]"]
        lines += [f"  {_public(name)}:{line} {function}" for name, line, function in _places(cause)]
        cause = cause.__cause__ or cause.__context__
    return "\n".join(("--- for a report of a fault, from here", *lines, "--- to here", ""))


def _places(error: BaseException) -> list[tuple[str, int, str]]:
    """Module, line and function of each frame between the command and the error."""
    return [
        (str(frame.f_globals.get("__name__")), line, frame.f_code.co_name)
        for frame, line in walk_tb(error.__traceback__)
    ]


def _public(module: str) -> str:
    """The module's name if it is one of the toolkit, of Python or of a library that we use."""
    root = module.split(".", maxsplit=1)[0]
    is_known = root in (*PACKAGES, *LIBRARIES) or root in sys.stdlib_module_names
    return module if is_known else "another module"


def _known_words(parser: argparse.ArgumentParser) -> set[str]:
    """Options, commands and choices of a command line."""
    words: set[str] = set()
    for action in parser._actions:
        words.update(action.option_strings, map(str, action.choices or ()))
        if isinstance(action, argparse._SubParsersAction):
            words.update(*map(_known_words, action.choices.values()))
    return words


def _is_number(word: str) -> bool:
    with suppress(ValueError):
        float(word)
        return True
    return False


def _versions() -> Iterator[str]:
    for package in ("hiar-toolkit", *LIBRARIES.values()):
        with suppress(metadata.PackageNotFoundError):
            yield f"{package} {metadata.version(package)}"


def _cpu_features() -> list[str]:
    with suppress(OSError):  # Linux tells them here
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
        return [name for name in CPU_FEATURES if name in told]
    return []


def _text(path: object) -> str:
    return os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else str(path)


@contextmanager
def _stopped_as_by_ctrl_c() -> Iterator[None]:
    """Turn a signal that stops the process into a KeyboardInterrupt, unless it is ignored."""

    def stop(number: int, frame: object) -> NoReturn:
        raise Terminated

    before = {number: signal.getsignal(number) for number in STOPS}
    before = {number: old for number, old in before.items() if old is not signal.SIG_IGN}  # nohup
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _flush_output() -> None:
    """Write what stdout still holds, while an error can still be told."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from error


def _output_is_closed(error: BaseException) -> bool:
    """Whether the reader of stdout has gone, as `head` does, and not that of another pipe."""
    if not isinstance(error, BrokenPipeError):
        return False
    with suppress(OSError, ValueError):  # a stdout without a file
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(events & select.POLLERR for _, events in poll.poll(0))
    return False


def _forget_output() -> None:
    """Drop what stdout still holds if it cannot be written: Python would try again at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
