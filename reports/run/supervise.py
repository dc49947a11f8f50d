"""Runs a command and ends it, with its children, when its parent is gone.

Started as a script, `python -I -S supervise.py COMMAND...`: it imports nothing of the toolkit, so
it costs milliseconds. Its standard input is a pipe that its parent holds open; the kernel closes
it when the parent dies, even by `kill -9`. It leads the process group that holds the command.
"""

import os
import signal
import subprocess
import sys
import threading


def main() -> int:
    """Returns the command's exit code; a signal N gives 128 + N, as in a shell."""
    # An interrupt is for the command, and we wait for its end. A handler, unlike SIG_IGN, is not
    # inherited by the command.
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    except OSError as error:
        sys.stderr.write(f"{sys.argv[1]}: {error.strerror}\n")
        return 127
    threading.Thread(target=_end_with_parent, daemon=True).start()
    code = process.wait()
    return code if code >= 0 else 128 - code


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
