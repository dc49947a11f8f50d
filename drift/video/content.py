"""The content of a video, by which a record of earlier measurements is found again."""

import hashlib
import stat
from pathlib import Path

from drift.files import file_sha256
from drift.video.kinds import numbered_pictures, sidecar_of
from drift.video.sidecars import read_sidecar

State = tuple[int, int, int]


def content_state(video: Path) -> list[State]:
    """Inode, size and time of a video's files, which change when someone writes to them.

    Raises:
        OSError: something is not a regular file. Opening a pipe would block.
        BrokenVideoError: a folder that is no whole sequence of pictures.
    """
    return [_state(file) for file in _files(video)]


def content_sha256(video: Path) -> str:
    """Hash of a video file; of pictures, a hash over theirs and the frame rate they are told.

    Raises:
        OSError: a file cannot be read.
        BrokenVideoError: a folder that is no whole sequence of pictures.
    """
    if not video.is_dir():
        return file_sha256(video)
    told = read_sidecar(sidecar_of(video)).fps
    lines = [f"pictures at {told}", *map(file_sha256, _files(video))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _files(video: Path) -> list[Path]:
    return numbered_pictures(video) if video.is_dir() else [video]


def _state(file: Path) -> State:
    state = file.stat()
    if not stat.S_ISREG(state.st_mode):
        kind = "a folder" if stat.S_ISDIR(state.st_mode) else "a pipe, socket or device"
        raise OSError(f"{kind}, not a file")
    return state.st_ino, state.st_size, state.st_mtime_ns
