"""`hiar-baselines generate`: a folder of videos of one model."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from baselines.adapters.factory import open_adapter
from baselines.cli.options import add_model_arguments, read_options
from baselines.lengths import find_length
from baselines.registry import find_model
from hiar.arguments import make_out_folder
from hiar.codecs.prompts import prompt_range
from hiar.errors import UsageError
from hiar.runtime.progress import Progress

OK, SOME_FAILED = 0, 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `hiar-baselines generate`."""
    parser.description = (
        "Make one video for each prompt with the settings of the model's authors: an mp4, and a "
        "JSON file that says how it was made. Videos that exist with the same settings are kept. "
        "A video depends only on its seed and on its prompt's text and place in the list. "
        "The exit code is 1 if a video failed. Under torchrun, processes share the prompts."
    )
    texts = parser.add_mutually_exclusive_group(required=True)
    texts.add_argument(
        "--prompts", type=Path, metavar="FILE",
        help="text file with one prompt a line, UTF-8; or a .jsonl file that hiar-vbench prompts "
        "wrote, with the file names that VBench asks for",
    )  # fmt: skip
    texts.add_argument(
        "--prompt", action="append", metavar="TEXT", help="a prompt; may be given several times"
    )
    parser.add_argument(
        "--prompt-range",
        type=prompt_range,
        metavar="A:B",
        help="make only prompts A to B - 1 of the list; the videos equal those of a whole run",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the first video of a prompt (default: 0)"
    )
    parser.add_argument(
        "--samples", type=int, metavar="N",
        help="videos for each prompt (default: 1; for a .jsonl file, as many as it names)",
    )  # fmt: skip
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Makes the videos; returns the exit code."""
    from baselines.run.prompt_list import list_prompts, read_prompt_list  # noqa: PLC0415
    from hiar.codecs.prompts import check_prompt  # noqa: PLC0415

    spec = find_model(args.model)
    length = find_length(spec, args.seconds)
    given = args.prompt is not None
    prompts = (
        list_prompts([check_prompt(text) for text in args.prompt])
        if given
        else read_prompt_list(args.prompts)
    )
    samples = max(1, len(prompts[0].names)) if args.samples is None else args.samples
    options = read_options(args)
    make_out_folder(args.out)
    from baselines.run.generate import Run, generate_folder  # noqa: PLC0415
    from hiar.runtime.ranks import device_of_rank, joined_ranks  # noqa: PLC0415

    settings = Run(
        length=length, seed=args.seed, samples=samples, device=args.device,
        prompt_range=args.prompt_range,
    )  # fmt: skip
    with joined_ranks() as ranks:
        adapter = open_adapter(spec, replace(options, device=device_of_rank(args.device)))
        progress = Progress(f"{spec.key}, videos", sys.stderr if ranks.is_first else None)
        try:
            record = generate_folder(spec, adapter, prompts, args.out, settings, progress, ranks)
        except OSError as error:
            raise UsageError(
                f"writing to {args.out} failed: {error.strerror or error}; finished videos are "
                "kept: make room, then run the same command again"
            ) from error
        finally:
            adapter.close()
    if ranks.is_first:
        _print(record, args)
    return SOME_FAILED if record["failed"] else OK


def _print(record: dict[str, Any], args: argparse.Namespace) -> None:
    if args.json:
        sys.stdout.write(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        return
    failed = record["failed"]
    sys.stdout.write(
        f"{len(record['videos'])} videos of {record['settings']['num_frames']} frames in "
        f"{args.out}: {record['made']} made in {record['seconds']:.1f} s, "
        f"{record['already_there']} there already, {len(failed)} failed\n"
    )
    for failure in failed:
        sys.stderr.write(f"failed: {failure['video']}: {failure['reason']}\n")
