"""`hiar-vbench prompts`: what to generate and what the videos must be called."""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from drift.errors import UsageError
from drift.files import atomic_write_text
from eval.cli.options import OK, add_environment, add_suite, positive, suite_of
from eval.protocol.own_list import read_own_list
from eval.protocol.prompts import (
    FILTERED,
    FILTERED_SAMPLES,
    Prompt,
    case_pairs,
    count_differences,
    duplicates,
    extend,
    read_suite,
    select,
)
from eval.protocol.protocols import PROTOCOLS, choose_dimensions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `hiar-vbench prompts`."""
    parser.description = (
        "Print the prompts to generate, in VBench's order. Videos are called "
        "{short prompt}-{sample}.mp4 even when a longer version of the prompt is generated."
    )
    add_environment(parser)
    add_suite(parser)
    parser.add_argument(
        "--dimensions", metavar="A,B", help="only the prompts that these dimensions use"
    )
    parser.add_argument(
        "--extended", type=Path, metavar="FILE", help="longer version of each prompt, line by line"
    )
    parser.add_argument(
        "--list",
        type=Path,
        metavar="FILE",
        help="use this list instead of VBench's prompts, such as MovieGenVideoBench's: one prompt "
        "a line, or a CSV as `run --custom` takes it; files are numbered unless it names them",
    )
    parser.add_argument("--first", type=positive, metavar="N", help="only the first N prompts")
    parser.add_argument(
        "--samples", type=positive, default=5, help="videos for each prompt (default: 5)"
    )
    parser.add_argument(
        "--format",
        choices=("text", "jsonl"),
        default="text",
        help="text: one prompt a line; jsonl: also file names and dimensions, one line per set of "
        "files (default: text)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write to a file, not to stdout")


def run(arguments: argparse.Namespace) -> int:
    """Runs `hiar-vbench prompts`."""
    rows, notes = _own_list(arguments) if arguments.list else _suite(arguments)
    rows = rows[: arguments.first]
    if arguments.format == "jsonl":
        rows = _merge(rows)
        lines: Iterable[str] = (json.dumps(row, ensure_ascii=False) for row in rows)
    else:
        lines = (str(row["generate"]) for row in rows)
    text = "".join(f"{line}\n" for line in lines)
    if arguments.out is None:
        sys.stdout.write(text)
    else:
        atomic_write_text(arguments.out, text)
    videos = {name for row in rows for name in row["files"]}
    for note in (*notes, f"{len(rows)} prompts, {len(videos)} videos"):
        sys.stderr.write(f"hiar-vbench: {note}\n")
    return OK


def _suite(arguments: argparse.Namespace) -> tuple[list[dict[str, Any]], list[str]]:
    suite = read_suite(suite_of(arguments))
    notes = [f"not VBench's suite: {line}" for line in count_differences(suite)]
    if arguments.extended:
        suite = extend(suite, arguments.extended)
    chosen = select(suite, choose_dimensions(PROTOCOLS["vbench"], arguments.dimensions))
    notes += [
        f"lines {', '.join(str(line + 1) for line in lines)} are one prompt: one set of videos "
        f"serves them: {text!r}"
        for text, lines in duplicates(chosen).items()
    ]
    notes += [
        f"{' and '.join(map(repr, pair))} differ in case only: generate into a disk that tells "
        "them apart"
        for pair in case_pairs(chosen)
    ]
    filtered = select(chosen, [FILTERED])
    if filtered and arguments.samples < FILTERED_SAMPLES:
        notes.append(
            f"VBench makes {FILTERED_SAMPLES} samples of the {len(filtered)} prompts of {FILTERED} "
            "and keeps five that its static filter passes: make them with "
            f"--dimensions {FILTERED} --samples {FILTERED_SAMPLES}"
        )
    return [_row(prompt, arguments.samples) for prompt in chosen], notes


def _row(prompt: Prompt, samples: int) -> dict[str, Any]:
    return {
        "index": prompt.index,
        "prompt": prompt.text,
        "generate": prompt.generate,
        "dimensions": list(prompt.dimensions),
        "files": list(prompt.file_names(samples)),
    }


def _merge(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each set of files.

    A prompt that stands on several lines keeps its first row, with the dimensions of all of them.
    """
    merged: dict[str, dict[str, Any]] = {}
    for row in rows:
        first = merged.setdefault(row["files"][0], row)
        if first is not row:
            first["dimensions"] = list(dict.fromkeys(first["dimensions"] + row["dimensions"]))
    return list(merged.values())


def _own_list(arguments: argparse.Namespace) -> tuple[list[dict[str, Any]], list[str]]:
    if arguments.extended or arguments.dimensions:
        raise UsageError("--list has no dimensions and no short versions: leave the other away")
    own_list = read_own_list(arguments.list, arguments.samples)
    rows: dict[str, dict[str, Any]] = {}
    for video in own_list.videos:
        row = {"index": len(rows), "prompt": video.prompt, "generate": video.prompt, "files": []}
        rows.setdefault(video.prompt, row)["files"].append(video.name)
    note = f"measure the videos with: hiar-vbench run VIDEOS --custom {arguments.list} --out RUN"
    return list(rows.values()), [note]
