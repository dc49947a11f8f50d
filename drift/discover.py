"""Finds the videos of one or more folders, names them and reads their prompts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from drift.errors import UsageError

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".gif"})


@dataclass(frozen=True, kw_only=True)
class VideoFile:
    """One video to score.

    Args:
        path: Name in results: relative to its folder, with the folder's label before it when
            several folders are scored.
        file: Where it is on this machine; never written to a result.
        prompt: Prompt of its sidecar, else empty.
    """

    path: str
    file: Path
    prompt: str

    @property
    def cluster(self) -> str:
        """Videos of one cluster are resampled together: the prompt, else the file name."""
        return cluster_name(self.path, self.prompt)


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """What the folders hold.

    Args:
        videos: Sorted by path.
        passed_over: Files that are no videos by suffix (used sidecars are not counted).
        warnings: Lines for the user.
    """

    videos: tuple[VideoFile, ...]
    passed_over: int
    warnings: tuple[str, ...]


def cluster_name(path: str, prompt: str) -> str:
    """The prompt, else the file name without folders."""
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
        UsageError: a folder that is none or is given twice, a video reached twice, or no video.
    """
    labels = _labels(folders)
    videos: list[VideoFile] = []
    passed_over = 0
    warnings: list[str] = []
    for folder, label in zip(folders, labels, strict=True):
        files = _files(folder, recursive=recursive, skip=skip)
        kept = [f for f in files if glob is None or _matches(f.relative_to(folder), glob)]
        found = [f for f in kept if _is_video(f)]
        sidecars = {f.with_suffix(".json") for f in found}
        passed_over += sum(1 for f in kept if not _is_video(f) and f not in sidecars)
        for file in found:
            prompt, warning = _read_prompt(file.with_suffix(".json"))
            warnings += [f"{label}{file.relative_to(folder).as_posix()}: {warning}"] * bool(warning)
            name = label + file.relative_to(folder).as_posix()
            videos.append(VideoFile(path=name, file=file, prompt=prompt))
    _check(videos, folders, glob)
    videos.sort(key=lambda video: video.path)
    return Discovery(
        videos=tuple(videos), passed_over=passed_over, warnings=tuple(sorted(warnings))
    )


def _files(folder: Path, *, recursive: bool, skip: Path) -> list[Path]:
    entries = folder.rglob("*") if recursive else folder.iterdir()
    inside = skip.resolve()
    return sorted(f for f in entries if f.is_file() and inside not in f.resolve().parents)


def _is_video(file: Path) -> bool:
    """By suffix; hidden files such as the `._x.mp4` of macOS are none."""
    return file.suffix.lower() in VIDEO_SUFFIXES and not file.name.startswith(".")


def _matches(relative: Path, glob: str) -> bool:
    return fnmatch(relative.as_posix(), glob) or fnmatch(relative.name, glob)


def _labels(folders: Sequence[Path]) -> list[str]:
    """Nothing for a single folder, else the fewest last path parts that tell the folders apart."""
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
    """Prompt of a sidecar and a warning, either may be empty."""
    try:
        data = json.loads(sidecar.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "", ""
    except (ValueError, OSError) as error:
        return "", f"sidecar {sidecar.name} is not JSON ({error}); the prompt is left empty"
    prompt = data.get("prompt") if isinstance(data, dict) else None
    return (prompt, "") if isinstance(prompt, str) else ("", "")


def _check(videos: Sequence[VideoFile], folders: Sequence[Path], glob: str | None) -> None:
    if not videos:
        where = ", ".join(map(str, folders))
        which = f" that matches {glob!r}" if glob else ""
        suffixes = " ".join(sorted(suffix[1:] for suffix in VIDEO_SUFFIXES))
        raise UsageError(
            f"{where}: no video{which}; expected files ending in {suffixes} "
            "(--recursive looks in sub-folders)"
        )
    seen: dict[Path, str] = {}
    for video in videos:
        first = seen.setdefault(video.file.parent.resolve() / video.file.name, video.path)
        if first != video.path:
            raise UsageError(f"{video.path} is also {first}; give folders that do not overlap")
