"""How a command of the toolkit ends: the one line that its user reads, and its exit code.

The packages hiar and drift do not import one another, so each has this file, word for word. The
others use one of the two. What is the user's to mend is told by an attribute: an error class with
an `exit_code` ends the command in one line, whichever package it is of.
"""

from __future__ import annotations

import argparse
import errno
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
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
    """The one line that says what is wrong.

    Args:
        error: What was raised.
        out: What the command writes to. A write that fails for want of room names no file.
    """
    words = str(error)
    if isinstance(error, OSError) and error.strerror:
        path = error.filename or out or "the output"
        remedy = REMEDIES.get(error.errno or 0)
        words = f"{_text(path)}: {error.strerror}" + (f"; {remedy}" if remedy else "")
    return "; ".join(line.strip() for line in words.splitlines() if line.strip())


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
