"""Checks a folder of videos before a GPU is used: names, counts, copies and readable headers.

Upstream only warns of a missing video and scores the rest, and assumes that all videos have the
suffix of the first entry in the folder. Here everything that would change a score is reported.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av

from drift.errors import UsageError
from eval.protocol.own_list import OwnList
from eval.protocol.prompts import SAMPLES, SUFFIXES, Prompt, loose_form, select

# Folder of a dimension's videos, where its name differs from that of the dimension.
# Source: Vchitect/VBench 45e79ec sampled_videos/ and vbench/dimension_to_folder.json.
FOLDERS = {
    "background_consistency": "scene",
    "aesthetic_quality": "overall_consistency",
    "imaging_quality": "overall_consistency",
    "motion_smoothness": "subject_consistency",
    "dynamic_degree": "subject_consistency",
}


@dataclass(frozen=True, kw_only=True)
class Video:
    """A video that a dimension is measured on.

    Attributes:
        name: File name that upstream looks for; for own videos, the path below the folder.
        path: The file.
        frames: Number of frames, from the header; 0 if the header was not read or has no value.
        seconds: Duration, likewise.
        width: Width in pixels, likewise.
        height: Height in pixels, likewise.
    """

    name: str
    path: Path
    frames: int = 0
    seconds: float = 0.0
    width: int = 0
    height: int = 0


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong: its kind, the file or prompt concerned, and a detail."""

    kind: str
    name: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The videos that were found in a folder, and what is wrong with them.

    Attributes:
        videos: The videos that will be measured, by dimension.
        expected: Number of names that were looked for; 0 for own videos without a list.
        problems: Problems that must be corrected, missing videos first.
        passed_over: Entries that are not measured: other files, and samples beyond the number
            asked for.
    """

    videos: Mapping[str, tuple[Video, ...]]
    expected: int
    problems: tuple[Problem, ...]
    passed_over: tuple[str, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the videos that should be there and cannot be measured, each once."""
        kinds = ("missing", "unreadable")
        return tuple(dict.fromkeys(p.name for p in self.problems if p.kind in kinds))

    @property
    def files(self) -> tuple[Video, ...]:
        """Every video once, sorted by name."""
        unique = {video.path: video for found in self.videos.values() for video in found}
        return tuple(sorted(unique.values(), key=lambda video: (video.name, str(video.path))))


def check_suite(
    folder: Path,
    prompts: Sequence[Prompt],
    *,
    dimensions: Sequence[str],
    samples: int = SAMPLES,
    headers: bool = True,
) -> Layout:
    """Looks for ``{prompt}-{i}.mp4`` of every prompt, in the folder or in upstream's sub-folders.

    Args:
        folder: Folder of the videos.
        prompts: Prompts of the suite.
        dimensions: Dimensions whose videos are needed.
        samples: Number of videos for each prompt; upstream reads five.
        headers: Whether to open each file and read its header.

    Returns:
        The videos that were found, and the problems.

    Raises:
        UsageError: The folder does not exist.
    """
    entries = _list_entries(folder)
    suffix = _common_suffix(entries)
    found: dict[str, tuple[Video, ...]] = {}
    missing: dict[str, Problem] = {}
    loose = {loose_form(name.rsplit("/", 1)[-1]): name for name in entries}
    expected: set[str] = set()
    used: set[str] = set()
    for dimension in dimensions:
        videos = []
        for prompt in select(prompts, [dimension]):
            for name in prompt.file_names(samples, suffix):
                place = _locate(name, dimension, entries)
                expected.add(place or name)
                if place is None:
                    missing.setdefault(name, _missing(name, loose))
                    continue
                used.add(place)
                videos.append(Video(name=name, path=folder / place))
        found[dimension] = tuple({video.path: video for video in videos}.values())
    problems = [*missing.values(), *_uneven(prompts, missing, samples), *_mixed(entries)]
    return _finish(found, len(expected), problems, sorted(entries.keys() - used), headers)


def check_own(folder: Path, dimensions: Sequence[str], *, headers: bool = True) -> Layout:
    """Takes every video of a folder, whatever its name; no prompts are known.

    Args:
        folder: Folder of the videos; sub-folders are not searched.
        dimensions: Dimensions that will be measured on every video.
        headers: Whether to open each file and read its header.

    Returns:
        The videos that were found, and the problems.

    Raises:
        UsageError: The folder does not exist or holds no video.
    """
    entries = {name: path for name, path in _list_entries(folder).items() if "/" not in name}
    videos = tuple(
        Video(name=name, path=path) for name, path in sorted(entries.items()) if is_video(name)
    )
    if not videos:
        raise UsageError(f"{folder} holds no {' or '.join(SUFFIXES)} file; give a folder of videos")
    passed_over = sorted(entries.keys() - {video.name for video in videos})
    return _finish(dict.fromkeys(dimensions, videos), 0, [], passed_over, headers)


def check_listed(
    folder: Path, own_list: OwnList, dimensions: Sequence[str], *, headers: bool = True
) -> Layout:
    """Looks for the videos of a list, and for videos that are not on it.

    Args:
        folder: Folder of the videos; sub-folders are not searched.
        own_list: The videos that must be there.
        dimensions: Dimensions that will be measured on every video.
        headers: Whether to open each file and read its header.

    Returns:
        The videos that can be measured, and the problems: a video that is missing, unreadable,
        left from another run ("stale"), or a copy of another one.

    Raises:
        UsageError: The folder does not exist, or has none of the videos.
    """
    entries = {name: path for name, path in _list_entries(folder).items() if "/" not in name}
    names = [video.name for video in own_list.videos]
    there = tuple(Video(name=name, path=entries[name]) for name in names if name in entries)
    if not there:
        raise UsageError(f"{folder} has none of the {len(names)} listed videos, such as {names[0]}")
    loose = {loose_form(name): name for name in entries}
    strangers = sorted(entries.keys() - set(names))
    problems = [_missing(name, loose) for name in names if name not in entries]
    problems += [
        Problem(kind="stale", name=name, detail="a video that the list does not name")
        for name in strangers
        if is_video(name)
    ]
    passed_over = [name for name in strangers if not is_video(name)]
    layout = _finish(dict.fromkeys(dimensions, there), len(names), problems, passed_over, headers)
    broken = {problem.name for problem in layout.problems if problem.kind == "unreadable"}
    whole = {
        dimension: tuple(video for video in videos if video.name not in broken)
        for dimension, videos in layout.videos.items()
    }
    return replace(layout, videos=whole)


def is_video(name: str) -> bool:
    """Whether a file is a video by its name."""
    return Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")


def _finish(
    found: dict[str, tuple[Video, ...]],
    expected: int,
    problems: list[Problem],
    passed_over: list[str],
    headers: bool,
) -> Layout:
    layout = Layout(videos=found, expected=expected, problems=(), passed_over=tuple(passed_over))
    probed, broken = _probe_all(layout.files, headers=headers)
    return Layout(
        videos={
            dimension: tuple(probed[video.path] for video in videos)
            for dimension, videos in found.items()
        },
        expected=expected,
        problems=(*problems, *broken, *_copies(layout.files, {b.name for b in broken})),
        passed_over=tuple(passed_over),
    )


def _list_entries(folder: Path) -> dict[str, Path]:
    """Files of a folder by name, and those of its sub-folders as ``folder/name``."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; give the folder of the videos")
    entries: dict[str, Path] = {}
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            entries |= {f"{entry.name}/{below.name}": below for below in sorted(entry.iterdir())}
        else:
            entries[entry.name] = entry
    return entries


def _common_suffix(names: Iterable[str]) -> str:
    """Suffix of all videos, for upstream allows only one: mp4, unless all of them are gif."""
    suffixes = {Path(name).suffix for name in names} & set(SUFFIXES)
    return ".gif" if suffixes == {".gif"} else ".mp4"


def _locate(name: str, dimension: str, entries: Mapping[str, Path]) -> str | None:
    folders = {dimension, FOLDERS.get(dimension, dimension)}
    places = (*(f"{folder}/{name}" for folder in sorted(folders)), name)
    return next((place for place in places if place in entries), None)


def _missing(name: str, loose: Mapping[str, str]) -> Problem:
    near = loose.get(loose_form(name))
    detail = f"{near!r} is there: other case, Unicode form or folder" if near else ""
    return Problem(kind="missing", name=name, detail=detail)


def _uneven(
    prompts: Iterable[Prompt], missing: Mapping[str, Problem], samples: int
) -> Iterator[Problem]:
    """Yields prompts with only some of their samples, which would weigh less than others."""
    stems = {Path(name).stem for name in missing}
    for text in dict.fromkeys(prompt.text for prompt in prompts):
        gone = sum(f"{text}-{i}" in stems for i in range(samples))
        if 0 < gone < samples:
            yield Problem(kind="uneven", name=text, detail=f"{samples - gone} of {samples} videos")


def _mixed(entries: Iterable[str]) -> Iterator[Problem]:
    stems: dict[str, list[str]] = defaultdict(list)
    for name in entries:
        if Path(name).suffix in SUFFIXES:
            stems[name.rsplit(".", 1)[0]].append(name)
    for names in stems.values():
        if len(names) > 1:
            yield Problem(kind="two suffixes", name=names[0], detail=f"also {', '.join(names[1:])}")


def _probe_all(
    videos: Sequence[Video], *, headers: bool
) -> tuple[dict[Path, Video], tuple[Problem, ...]]:
    probed: dict[Path, Video] = {}
    broken = []
    for video in videos:
        probed[video.path] = video
        try:
            if video.path.stat().st_size == 0:
                raise ValueError("the file is empty")
            if headers:
                probed[video.path] = _probe(video)
        except (OSError, ValueError) as error:  # PyAV's errors are subclasses of these
            reason = getattr(error, "strerror", None) or str(error)
            broken.append(Problem(kind="unreadable", name=video.name, detail=reason))
    return probed, tuple(broken)


def _probe(video: Video) -> Video:
    with av.open(str(video.path), metadata_errors="replace") as container:
        if not container.streams.video:
            raise ValueError("no video stream")
        stream = container.streams.video[0]
        rate = stream.average_rate
        return Video(
            name=video.name,
            path=video.path,
            frames=stream.frames,
            seconds=float(stream.frames / rate) if rate else 0.0,
            width=stream.codec_context.width,
            height=stream.codec_context.height,
        )


def _copies(videos: Sequence[Video], broken: set[str]) -> Iterator[Problem]:
    """Yields videos with the content of another one.

    Links, a disk that ignores case, and one seed used twice lead to such copies.
    """
    by_size: dict[int, list[Video]] = defaultdict(list)
    for video in videos:
        if video.name not in broken:
            by_size[video.path.stat().st_size].append(video)
    for same_size in by_size.values():
        first: dict[object, str] = {}
        for video in same_size if len(same_size) > 1 else ():
            other = first.setdefault(_content(video.path), video.name)
            if other != video.name:
                yield Problem(kind="copy", name=video.name, detail=f"the same content as {other!r}")


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_view(videos: Sequence[Video], folder: Path, names: Mapping[Path, str]) -> Path:
    """Makes a folder of links that holds the videos and nothing else.

    Upstream lists its input folder, and VBench-Long writes into it.

    Args:
        videos: Videos to link to.
        folder: Folder of links; other links in it are removed.
        names: Name of each link, by the path of its video.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {names[video.path]: video.path.resolve() for video in videos}
    for entry in folder.iterdir():
        if entry.is_symlink() and entry.readlink() != wanted.get(entry.name):
            entry.unlink()
    for name, target in wanted.items():
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(target)
    return folder
