"""Finds the videos that files, folders and patterns name, and reads their prompts."""

import glob as globbing
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from drift.errors import UsageError
from drift.video.kinds import VIDEO_SUFFIXES, holds_pictures, is_video_file, sidecar_of
from drift.video.prompts import Prompts
from drift.video.sidecars import Schedule, in_words, read_sidecar, text

EXPECTED = (
    f"files ending in {' '.join(sorted(suffix[1:] for suffix in VIDEO_SUFFIXES))}, or a folder of "
    "numbered pictures"
)


@dataclass(frozen=True, kw_only=True)
class VideoFile:
    """One video to score.

    Args:
        path: Name in results: relative to its folder, with the folder's label before it when
            several folders are scored.
        file: Path on this machine, of a file or of a folder of pictures; never written to a result.
        prompt: Prompt from a table or from its sidecar file, or empty; prompts that change stand
            in one line.
        schedule: Prompts with the seconds from which they hold; empty unless the prompt changes.
        fps: Frame rate that its sidecar tells; None if it tells none.
        told: Everything that its sidecar tells; empty if there is none.
    """

    path: str
    file: Path
    prompt: str
    schedule: Schedule = ()
    fps: float | None = None
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cluster(self) -> str:
        """Prompt, or the file name without one; videos of one cluster are resampled together."""
        return cluster_name(self.path, self.prompt)

    @property
    def prompts(self) -> Schedule:
        """Prompts with the seconds from which they hold, also if there is one; empty for none."""
        return self.schedule or (((0.0, self.prompt),) if self.prompt else ())


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """What was found.

    Args:
        videos: Videos, sorted by path.
        passed_over: Number of files whose suffix is not that of a video, without used sidecars.
        warnings: Lines to show to the user.
    """

    videos: tuple[VideoFile, ...]
    passed_over: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Root:
    """A folder that videos are named relative to.

    Args:
        folder: The folder.
        videos: Names of the videos found in it, relative to it; one found twice stands here twice.
        others: Names of the files in it that are no videos.
        named: Those of them that the user named, neither their folder nor a pattern.
    """

    folder: Path
    videos: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)


def cluster_name(path: str, prompt: str) -> str:
    """The prompt, or the file name without folders if there is none."""
    return prompt or path.rsplit("/", 1)[-1]


def find_videos(
    places: Sequence[Path],
    *,
    recursive: bool = False,
    glob: str | None = None,
    prompts: Path | None = None,
    skip: Path,
) -> Discovery:
    """Finds videos by name, in an order that depends on names only.

    Args:
        places: Folders to look in, videos, and patterns such as `videos/*.mp4` that no shell has
            expanded. A folder of numbered pictures is one video.
        recursive: Look in sub-folders too.
        glob: Keep only paths, relative to the folder, that match this pattern.
        prompts: Table of prompts, which goes before sidecars; None takes a `prompts.csv` that lies
            beside the videos.
        skip: Folder whose content is never looked at (the run).

    Returns:
        The videos, at least one.

    Raises:
        UsageError: a place that does not exist or cannot be read; a video that is found twice; no
            video at all; or a table of prompts that cannot be used.
    """
    try:
        roots = _roots(places, recursive=recursive, skip=skip.resolve())
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}; make it readable") from None
    tables = Prompts(prompts)
    videos: list[VideoFile] = []
    passed_over = 0
    warnings: list[str] = []
    for root, label in zip(roots, _labels([root.folder for root in roots]), strict=True):
        found = sorted(name for name in root.videos if glob is None or _matches(name, glob))
        for name in found:
            video, warning = _described(root.folder, name, label, tables)
            videos.append(video)
            warnings += [f"{video.path}: {warning}"] * bool(warning)
        sidecars = {str(sidecar_of(PurePosixPath(name))) for name in found}
        others = [
            name
            for name in root.others
            if (glob is None or _matches(name, glob))
            and name not in sidecars
            and not tables.has_read(root.folder / name)
        ]
        passed_over += len(others)
        no_video = "passed over, since its name is not that of a video"
        warnings += [f"{name}: {no_video}" for name in others if name in root.named]
    _check(videos, places, glob)
    videos.sort(key=lambda video: video.path)
    warnings += tables.warnings(sum(1 for video in videos if not video.prompt))
    return Discovery(
        videos=tuple(videos),
        passed_over=passed_over,
        warnings=tuple(sorted(map(printable, warnings))),
    )


def _described(folder: Path, name: str, label: str, tables: Prompts) -> tuple[VideoFile, str]:
    """A video with what its sidecar and the tables tell, and a warning or nothing."""
    file, path = folder / name, text(label + name)
    sidecar = read_sidecar(sidecar_of(file))
    told, warning = tables.schedule_of(path, text(name), folder), sidecar.warning
    if told and sidecar.schedule and told != sidecar.schedule:
        warning = "its sidecar has another prompt than the table of prompts, which is used"
    schedule = sidecar.schedule if told is None else told
    video = VideoFile(
        path=path,
        file=file,
        prompt=in_words(schedule),
        schedule=schedule if len(schedule) > 1 else (),
        fps=sidecar.fps,
        told=sidecar.data,
    )
    return video, warning


def _roots(places: Sequence[Path], *, recursive: bool, skip: Path) -> list[_Root]:
    """The folders that the places name or lie in, with what was found in each."""
    roots: dict[Path, _Root] = {}
    for place in places:
        for path in _matching(place):
            is_pictures = path.is_dir() and holds_pictures(path)
            whole = path.resolve() if path.name in {"", ".."} else path
            folder = path if path.is_dir() and not is_pictures else whole.parent
            root = roots.setdefault(folder.resolve(), _Root(folder=folder))
            if folder is not path:
                is_video = is_pictures or is_video_file(path)
                (root.videos if is_video else root.others).append(whole.name)
                root.named.extend([whole.name] * (path == place))
                continue
            for name, is_video in _walk(path, recursive=recursive, skip=skip):
                (root.videos if is_video else root.others).append(name)
    return list(roots.values())


def _matching(place: Path) -> list[Path]:
    """The place itself, or what the pattern matches if nothing has this very name.

    Raises:
        UsageError: there is nothing.
    """
    if os.path.lexists(place):
        return [place]
    pattern = str(place)
    found = globbing.glob(pattern, recursive=True)  # noqa: PTH207  (a Path takes relative ones)
    if not found:
        what = "matches nothing" if globbing.has_magic(pattern) else "no such file or folder"
        raise UsageError(f"{place}: {what}; give videos, or folders that hold them")
    return [Path(path) for path in sorted(found)]


def _walk(
    folder: Path, *, recursive: bool, skip: Path, prefix: str = ""
) -> Iterator[tuple[str, bool]]:
    """Names of all files in a folder and whether each is a video, with `/` between the parts.

    Links to files count as files, even where their target is missing: such a video is reported as
    unreadable. Links to folders are not followed, so that loops do no harm. A folder of pictures is
    a video. Another folder with the suffix of a video counts as one and is reported as unreadable.
    """
    with os.scandir(folder) as found:
        entries = list(found)
    for entry in entries:
        name, path = prefix + entry.name, Path(entry.path)
        is_folder = entry.is_dir(follow_symlinks=False)
        if is_folder and recursive and path.resolve() != skip:
            if holds_pictures(path):
                yield name, True
                continue
            yield from _walk(path, recursive=True, skip=skip, prefix=f"{name}/")
        is_video = is_video_file(path)
        if is_video or not (is_folder or _is_folder_link(entry)):
            yield name, is_video


def _is_folder_link(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_symlink() and entry.is_dir()
    except OSError:  # a link to itself
        return False


def _matches(name: str, glob: str) -> bool:
    return fnmatch(name, glob) or fnmatch(name.rsplit("/", 1)[-1], glob)


def _labels(folders: Sequence[Path]) -> list[str]:
    """Prefix of each folder's videos: empty for one folder, else as few last parts as differ."""
    real = [folder.resolve() for folder in folders]
    if len(real) == 1:
        return [""]
    for depth in range(1, max(len(path.parts) for path in real) + 1):
        labels = ["/".join(path.parts[-depth:]).lstrip("/") + "/" for path in real]
        if len(set(labels)) == len(labels):
            return labels
    raise AssertionError("distinct folders have distinct paths")


def _check(videos: Sequence[VideoFile], places: Sequence[Path], glob: str | None) -> None:
    if not videos:
        where = ", ".join(map(str, places))
        which = f" that matches {glob!r}" if glob else ""
        raise UsageError(
            f"{where}: no video{which}; expected {EXPECTED} (--recursive looks in sub-folders)"
        )
    real = {parent: parent.resolve() for parent in {video.file.parent for video in videos}}
    seen: dict[Path, str] = {}
    for video in videos:
        file = real[video.file.parent] / video.file.name
        first = seen.setdefault(file, video.path)
        if first != video.path:
            raise UsageError(f"{video.path} is also {first}; give folders that do not overlap")
    twice = [path for path, count in Counter(video.path for video in videos).items() if count > 1]
    if twice:
        raise UsageError(f"{twice[0]} is given twice; name each video, and its folder, once")


JOINERS = "\u200c\u200d"  # part of words in some scripts, and of emoji


def printable(name: str) -> str:
    """A name on one line, with escapes for what moves a cursor or reverses the text direction."""
    return "".join(
        c if c.isprintable() or c in JOINERS else c.encode("unicode_escape").decode() for c in name
    )
