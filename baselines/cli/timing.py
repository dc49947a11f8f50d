"""`hiar-baselines time`: throughput and latency of one model on this machine."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from baselines.adapters.adapter import Options
from baselines.adapters.factory import open_adapter
from baselines.cli.options import add_model_arguments, read_options
from baselines.lengths import find_length
from baselines.registry import find_model
from baselines.spec import Length, ModelSpec
from hiar.runtime.files import atomic_write_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `hiar-baselines time`."""
    parser.description = (
        "Measure one model by the paper's definitions. Throughput is the number of frames of a "
        "steady chunk over its time, latency is the time of one chunk; a bidirectional model has "
        "one chunk, the whole video. The record says what was counted."
    )
    parser.add_argument("--warmup", type=int, default=1, help="runs that do not count (default 1)")
    parser.add_argument("--repeats", type=int, default=3, help="runs that count (default 3)")
    parser.add_argument(
        "--random-weights", action="store_true",
        help="time the code that the model was released with, in its own environment, and this "
        "toolkit beside it, both with random weights",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the record as JSON")
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Measures the model and prints the result."""
    spec = find_model(args.model)
    length = find_length(spec, args.seconds)
    options = read_options(args)
    measure = _time_beside_release if args.random_weights else _time_model
    record = measure(spec, options, length, args)
    text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    if args.out is not None:
        atomic_write_text(args.out, text)
    lines = [line for row in record["rows"] for line in format_row(row)]
    sys.stdout.write(text if args.json else "\n".join(lines) + "\n")
    return 0


def _time_model(
    spec: ModelSpec, options: Options, length: Length, args: argparse.Namespace
) -> dict[str, Any]:
    from baselines.run.timing import time_model  # noqa: PLC0415

    adapter = open_adapter(spec, options)
    try:
        return time_model(spec, adapter, options, length, warmup=args.warmup, repeats=args.repeats)
    finally:
        adapter.close()


def _time_beside_release(
    spec: ModelSpec, options: Options, length: Length, args: argparse.Namespace
) -> dict[str, Any]:
    from baselines.run.timing import time_beside_release  # noqa: PLC0415

    return time_beside_release(spec, options, length, warmup=args.warmup, repeats=args.repeats)


def format_row(row: dict[str, Any]) -> list[str]:
    """Formats a row as lines of text."""
    low, high = row["chunk_s_range"]
    code = f", {row['code']}, {row['weights']} weights" if "code" in row else ""
    lines = [
        f"{row['model']}{code}, {row['num_frames']} frames, {row['dtype']}, "
        f"{row['num_gpus']} GPUs, median of {row['repeats']}",
        f"  throughput  {row['throughput_fps']:.3g} frames/s "
        f"({row['chunk_frames']} frames in {row['chunk_s']:.3g} s; {low:.3g} to {high:.3g})",
        f"  latency     {row['latency_s']:.3g} s",
        f"  counted     {row['counted']}",
    ]
    apart = ", ".join(f"{name.removesuffix('_s')} {s:.3g} s" for name, s in row["parts"].items())
    lines.append(f"  apart       {apart}")
    if "attention" in row:
        lines.append(f"  attention   {row['attention']}")
    if "times_the_release" in row:
        lines.append(f"  against it  {row['times_the_release']:.3g} times the release's speed")
    return lines
