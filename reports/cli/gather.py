"""`python -m reports.cli.gather`: links the videos of many jobs under the names VBench looks for.

Makes a folder of links `{short prompt}-{sample}.mp4`. VBench's list has two of its prompts twice;
the videos of the first line serve for both. Own prompts are numbered, as `hiar-vbench run --custom`
looks for them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from drift.errors import UsageError
from drift.files import atomic_write_text, file_sha256
from eval.protocol.own_list import numbered_names
from eval.protocol.prompts import check_file_name
from reports.records.video_records import VideoRecord, read_sidecars


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m reports.cli.gather", description=__doc__)
    parser.add_argument("videos", type=Path, help="folder of folders of videos")
    parser.add_argument("--names", type=Path, required=True, help="short prompts, one a line")
    parser.add_argument("--numbered", action="store_true", help="number the prompts: 0000-0.mp4")
    parser.add_argument("--out", type=Path, required=True, help="folder of the links")
    parser.add_argument("--listing", type=Path, required=True, help="file to list them in")
    args = parser.parse_args(argv)
    try:
        names = args.names.read_text(encoding="utf-8").splitlines()
        videos = read_sidecars(sorted({path.parent for path in args.videos.rglob("*.mp4")}))
        links = link_names(videos, names, numbered=args.numbered)
        make_links(links, args.out)
        write_listing(links, args.listing)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"reports.cli.gather: {error}\n")
        return 2
    sys.stdout.write(f"{len(links)} videos in {args.out}\n")
    return 0


def link_names(
    videos: Iterable[VideoRecord], names: Sequence[str], *, numbered: bool = False
) -> dict[str, Path]:
    """Maps VBench's file name of each video to the video.

    Args:
        videos: Videos in order of their prompts; the seeds, in order, are samples 0, 1, ...
        names: Short prompts, in the order of the list.
        numbered: Whether a video is called by its prompt's number, and not by the prompt.

    Raises:
        UsageError: A video is of a prompt past the end of the list, or a prompt is no file name.
    """
    found = list(videos)
    samples = {seed: index for index, seed in enumerate(sorted({video.seed for video in found}))}
    links: dict[str, Path] = {}
    for video in found:
        if video.prompt_index >= len(names):
            raise UsageError(
                f"{video.path.name}: prompt {video.prompt_index}; the list has {len(names)} names"
            )
        sample = samples[video.seed]
        if numbered:
            links[numbered_names(video.prompt_index, sample + 1)[sample]] = video.path
            continue
        name = names[video.prompt_index].strip()
        check_file_name(name, f"line {video.prompt_index + 1}")
        links.setdefault(f"{name}-{sample}.mp4", video.path)
    if not links:
        raise UsageError("no videos: none of the folders holds an mp4 with its JSON")
    return links


def make_links(links: dict[str, Path], out: Path) -> None:
    """Makes the links and removes earlier ones."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.iterdir():
        old.unlink()
    for name, target in links.items():
        (out / name).symlink_to(target.resolve())


def write_listing(links: dict[str, Path], path: Path) -> None:
    """Lists the links with the hash of each video's JSON, which changes with the video."""
    lines = [f"{file_sha256(links[name].with_suffix('.json'))}  {name}" for name in sorted(links)]
    atomic_write_text(path, "\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
