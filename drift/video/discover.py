"""Finds the videos of one or more folders, names them and reads their prompts."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from drift.errors import UsageError

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".gif"})


@dataclass(frozen=True, kw_only=True)
class VideoFile:
    """One video to score.

    Args:
        path: Name in results: relative to its folder, with the folder's label before it when
            several folders are scored.
        file: Path on this machine; never written to a result.
        prompt: Prompt from its sidecar file, or empty.
    """

    path: str
    file: Path
    prompt: str

    @property
    def cluster(self) -> str:
        """Prompt, or the file name without one; videos of one cluster are resampled together."""
        return cluster_name(self.path, self.prompt)


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """What was found in the folders.

    Args:
        videos: Videos, sorted by path.
        passed_over: Number of files whose suffix is not that of a video, without used sidecars.
        warnings: Lines to show to the user.
    """

    videos: tuple[VideoFile, ...]
    passed_over: int
    warnings: tuple[str, ...]


def cluster_name(path: str, prompt: str) -> str:
    """The prompt, or the file name without folders if there is none."""
    return prompt or path.rsplit("/", 1)[-1]


def find_videos(
    folders: Sequence[Path], *, recursive: bool = False, glob: str | None = None, skip: Path
) -> Discovery:
    """Finds videos by suffix, in an order that depends on names only.

    Args:
        folders: Folders to look in.
        recursive: Look in sub-folders too.
        glob: Keep only paths, relative to the folder, that match this pattern.
        skip: Folder whose content is never looked at (the run).

    Returns:
        The videos, at least one.

    Raises:
        UsageError: a path that is no folder, is given twice or cannot be read; a video that is
            found twice; or no video at all.
    """
    labels = _labels(folders)
    videos: list[VideoFile] = []
    passed_over = 0
    warnings: list[str] = []
    for folder, label in zip(folders, labels, strict=True):
        try:
            names = list(_names(folder, recursive=recursive, skip=skip.resolve()))
        except OSError as error:
            raise UsageError(f"{error.filename}: {error.strerror}; make it readable") from None
        kept = {name for name in names if glob is None or _matches(name, glob)}
        found = sorted(name for name in kept if _is_video(name))
        sidecars = {_sidecar(name) for name in found}
        passed_over += sum(1 for name in kept if not _is_video(name) and name not in sidecars)
        for name in found:
            path = text(label + name)
            prompt, warning = _read_prompt(folder / _sidecar(name))
            warnings += [f"{printable(path)}: {warning}"] * bool(warning)
            videos.append(VideoFile(path=path, file=folder / name, prompt=prompt))
    _check(videos, folders, glob)
    videos.sort(key=lambda video: video.path)
    return Discovery(
        videos=tuple(videos), passed_over=passed_over, warnings=tuple(sorted(warnings))
    )


def text(name: str) -> str:
    """A file name or prompt as valid Unicode: bytes that are not valid become escapes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _names(folder: Path, *, recursive: bool, skip: Path, prefix: str = "") -> Iterator[str]:
    """Names of all files in a folder, relative to it and with `/` between the parts.

    Links to files count as files, even where their target is missing: such a video is reported as
    unreadable. Links to folders are not followed, so that loops do no harm. A folder with the
    suffix of a video counts as a file and is reported as unreadable too.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            is_link_to_folder = not is_folder and _is_folder_link(entry)
            name = prefix + entry.name
            if is_folder and recursive and Path(entry.path).resolve() != skip:
                yield from _names(Path(entry.path), recursive=True, skip=skip, prefix=name + "/")
            if not (is_folder or is_link_to_folder) or _is_video(name):
                yield name


def _is_folder_link(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_symlink() and entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_video(name: str) -> bool:
    """Whether the suffix is that of a video and the file not hidden, as the `._x.mp4` of macOS."""
    path = PurePosixPath(name)
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")


def _sidecar(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(".json"))


def _matches(name: str, glob: str) -> bool:
    return fnmatch(name, glob) or fnmatch(name.rsplit("/", 1)[-1], glob)


def _labels(folders: Sequence[Path]) -> list[str]:
    """Prefix of each folder's videos: empty for one folder, else as few last parts as differ."""
    real = [folder.resolve() for folder in folders]
    for folder, path in zip(folders, real, strict=True):
        if not path.is_dir():
            what = "not a folder" if path.exists() else "no such folder"
            raise UsageError(f"{folder}: {what}; give folders that hold videos")
        if real.count(path) > 1:
            raise UsageError(f"{folder} is given twice; name each folder once")
    if len(real) == 1:
        return [""]
    for depth in range(1, max(len(path.parts) for path in real) + 1):
        labels = ["/".join(path.parts[-depth:]).lstrip("/") + "/" for path in real]
        if len(set(labels)) == len(labels):
            return labels
    raise AssertionError("distinct folders have distinct paths")


def _read_prompt(sidecar: Path) -> tuple[str, str]:
    """Prompt of a sidecar file and a warning; either may be empty."""
    if not sidecar.is_file():  # reading a pipe would block
        odd = sidecar.exists() or sidecar.is_symlink()
        return "", "its sidecar is no file; the prompt is left empty" if odd else ""
    try:
        data = json.loads(sidecar.read_text(encoding="utf-8"))
    except OSError as error:
        return "", f"its sidecar cannot be read ({error.strerror}); the prompt is left empty"
    except (ValueError, RecursionError) as error:
        name = printable(sidecar.name)
        return "", f"sidecar {name} is not JSON ({error}); the prompt is left empty"
    prompt = data.get("prompt") if isinstance(data, dict) else None
    return (text(prompt), "") if isinstance(prompt, str) else ("", "")


def _check(videos: Sequence[VideoFile], folders: Sequence[Path], glob: str | None) -> None:
    if not videos:
        where = ", ".join(map(str, folders))
        which = f" that matches {glob!r}" if glob else ""
        suffixes = " ".join(sorted(suffix[1:] for suffix in VIDEO_SUFFIXES))
        raise UsageError(
            f"{where}: no video{which}; expected files ending in {suffixes} "
            "(--recursive looks in sub-folders)"
        )
    real = {parent: parent.resolve() for parent in {video.file.parent for video in videos}}
    seen: dict[Path, str] = {}
    for video in videos:
        first = seen.setdefault(real[video.file.parent] / video.file.name, video.path)
        if first != video.path:
            raise UsageError(f"{video.path} is also {first}; give folders that do not overlap")


JOINERS = "\u200c\u200d"  # part of words in some scripts, and of emoji


def printable(name: str) -> str:
    """A name on one line, with escapes for what moves a cursor or reverses the text direction."""
    return "".join(
        c if c.isprintable() or c in JOINERS else c.encode("unicode_escape").decode() for c in name
    )
