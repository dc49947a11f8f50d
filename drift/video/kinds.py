"""What is a video by its name: a file, or a folder of pictures that are numbered.

Imports no decoder, since every command reads it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path, PurePath, PurePosixPath
from typing import TypeVar

from drift.video.media import BrokenVideoError

ANIMATION_SUFFIXES = frozenset({".webp", ".avif"})
"""Suffixes of animations and of single pictures alike; the first bytes of a file tell."""
VIDEO_SUFFIXES = ANIMATION_SUFFIXES | {
    ".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".gif", ".y4m",
}  # fmt: skip
PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
REFUSED_PICTURES = {
    ".exr": "exr holds light without an upper end, so its metrics would depend on how it is mapped "
    "to a screen; write png files, mapped as they are to be seen"
}
"""Suffixes of pictures that are numbered like videos but not measured, and why."""
_NUMBERED = re.compile(r"(?P<prefix>.*?)(?P<number>\d+)(?P<suffix>\.\w+)")
_HEADER_BYTES = 64
WEBP_FLAGS, WEBP_ANIMATION = 20, 2  # place and bit in the header: WebP container, chunk VP8X
P = TypeVar("P", bound=PurePath)


def is_video_file(path: Path) -> bool:
    """Whether a file is a video by its name; hidden ones, as the `._x.mp4` of macOS, are none.

    A `.webp` or `.avif` that cannot be read counts as a video, so that it is reported.
    """
    suffix = path.suffix.lower()
    if path.name.startswith(".") or suffix not in VIDEO_SUFFIXES:
        return False
    return suffix not in ANIMATION_SUFFIXES or is_animated(path) is not False


def is_animated(path: Path) -> bool | None:
    """Whether a WebP or AVIF file holds several frames; None if its first bytes do not say."""
    if not path.is_file():  # opening a pipe would block
        return None
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError:
        return None
    if len(header) <= WEBP_FLAGS:
        return None
    if header[:4] == b"RIFF" and header[8:12] == b"WEBP":
        return header[12:16] == b"VP8X" and bool(header[WEBP_FLAGS] & WEBP_ANIMATION)
    if header[4:8] == b"ftyp":
        return b"avis" in header[8 : int.from_bytes(header[:4], "big")]  # AVIF, section 6
    return None


def sidecar_of(video: P) -> P:
    """The JSON file beside a video that tells its prompt: `x.json` for `x.mp4` or a folder `x`."""
    if video.suffix.lower() in VIDEO_SUFFIXES:
        return video.with_suffix(".json")
    return video.with_name(f"{video.name}.json")  # a dot in a folder's name begins no suffix


def holds_pictures(folder: Path) -> bool:
    """Whether a folder is a video itself: two numbered pictures or more, and no video file.

    Raises:
        OSError: the folder cannot be read.
    """
    names = _visible(folder)
    sequences = Counter(map(_sequence, names))
    del sequences[None]
    is_sequence = max(sequences.values(), default=0) > 1
    return is_sequence and not any(_is_surely_video(folder / name) for name in names)


def numbered_pictures(folder: Path) -> list[Path]:
    """The pictures of a video in the order of their numbers.

    Raises:
        BrokenVideoError: `truncated` if a number is missing; `unreadable` if the folder holds no
            numbered pictures, others beside them, or pictures of a refused kind.
        OSError: the folder cannot be read.
    """
    if not holds_pictures(folder):
        raise BrokenVideoError("unreadable", "a folder, not a file")
    pictures = [name for name in _visible(folder) if _is_picture(name)]
    sequences = Counter(found for name in pictures if (found := _sequence(name)))
    sequence = sequences.most_common(1)[0][0]
    mine = sorted((name for name in pictures if _sequence(name) == sequence), key=_number)
    strays = sorted(set(pictures) - set(mine))
    if strays:
        raise BrokenVideoError(
            "unreadable",
            f"{strays[0]} is not named like {mine[0]}, and a folder of pictures is one video; "
            "give each video a folder of its own",
        )
    if sequence[1] in REFUSED_PICTURES:
        raise BrokenVideoError("unreadable", REFUSED_PICTURES[sequence[1]])
    _check_numbers(mine)
    return [folder / name for name in mine]


def _check_numbers(names: Sequence[str]) -> None:
    for before, name in pairwise(names):
        missing = _number(name) - _number(before) - 1
        if missing < 0:
            raise BrokenVideoError("unreadable", f"{before} and {name} have one number")
        if missing:
            raise BrokenVideoError(
                "truncated",
                f"{missing} missing between {before} and {name}; if no frame was lost, number the "
                "pictures without gaps",
            )


def _visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def _is_surely_video(path: Path) -> bool:
    """Whether a file is a video, and not a picture that cannot be told from one."""
    suffix = path.suffix.lower()
    return is_animated(path) is True if suffix in ANIMATION_SUFFIXES else suffix in VIDEO_SUFFIXES


def _is_picture(name: str) -> bool:
    suffix = PurePosixPath(name).suffix.lower()
    return suffix in PICTURE_SUFFIXES or suffix in REFUSED_PICTURES


def _sequence(name: str) -> tuple[str, str] | None:
    """What numbered pictures of one video share: the name before the number, and the suffix."""
    match = _NUMBERED.fullmatch(name)
    return (match["prefix"], match["suffix"].lower()) if match and _is_picture(name) else None


def _number(name: str) -> int:
    match = _NUMBERED.fullmatch(name)
    assert match, "only numbered pictures are asked for their number"
    return int(match["number"])
