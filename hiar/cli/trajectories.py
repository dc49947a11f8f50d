"""`hiar trajectories`: the teacher's ODE paths, for ode-init and the forward-KL term."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hiar.errors import UsageError
from hiar.model.geometry import num_blocks
from hiar.runtime.progress import Progress

if TYPE_CHECKING:
    from hiar.training.trajectories import OdeConfig

OK = 0
TINY_GUIDANCE = 3.0
"""The tiny teacher oversaturates at the 6 that suits Wan."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Integrate the teacher's ODE for each prompt and keep a few points of each path, in "
        "shards with an index. Finished shards are not made again. Under torchrun, "
        "processes share the shards; the files do not depend on their number."
    )
    texts = parser.add_mutually_exclusive_group(required=True)
    texts.add_argument("--prompts", type=Path, metavar="FILE", help="one prompt a line, UTF-8")
    texts.add_argument(
        "--draw-prompts", type=int, metavar="N", help="draw N prompts of the tiny world"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--size", default="tiny", help="tiny (default), wan-1.3b or wan-14b")
    parser.add_argument(
        "--weights", metavar="W",
        help="teacher: tiny/teacher, wan2.1-1.3b, wan2.1-14b or a file (default: that of --size)",
    )  # fmt: skip
    parser.add_argument(
        "--preset", choices=("release", "paper"), default="release",
        help="release: shift 8; paper: the points are the student's own levels (shift 5)",
    )  # fmt: skip
    parser.add_argument("--steps", type=int, help="Euler steps (default 48)")
    parser.add_argument("--shift", type=float, help="shift of the noise scale (default: preset)")
    parser.add_argument(
        "--guidance",
        type=float,
        help=f"guidance (default 6; {TINY_GUIDANCE:g} for the tiny teacher)",
    )
    parser.add_argument(
        "--saved", type=_indices, metavar="I,J,..", help="points to keep (default 0,12,24,36,-1)"
    )
    parser.add_argument("--samples", type=int, default=1, help="trajectories a prompt")
    parser.add_argument("--latent-frames", type=int, default=21, help="default 21: videos of 5 s")
    parser.add_argument(
        "--negative-prompt",
        metavar="TEXT",
        help="what guidance leads away from (default: the model's own)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the noise (default 0)")
    parser.add_argument("--shard-size", type=int, default=32, help="trajectories a file")
    parser.add_argument("--batch-size", type=int, default=8, help="trajectories sampled together")
    parser.add_argument(
        "--store", choices=("float32", "float16"), default="float32",
        help="precision of the latents in the files (default float32)",
    )  # fmt: skip
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or cuda:N")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16"), default="float32",
        help="precision of the transformer (default float32)",
    )  # fmt: skip


def _indices(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: write whole numbers, as 0,12,-1") from None


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from hiar.codecs.prompts import read_prompts  # noqa: PLC0415

    prompts = None if args.prompts is None else read_prompts(args.prompts)
    if args.draw_prompts is not None and (args.draw_prompts < 1 or args.size != "tiny"):
        raise UsageError(
            f"--draw-prompts {args.draw_prompts} with --size {args.size}: draw at least 1, and of "
            "the tiny world; other sizes need --prompts FILE"
        )
    num_blocks(args.latent_frames, 3)
    import torch  # noqa: PLC0415

    from hiar.runtime.device import check_device  # noqa: PLC0415
    from hiar.runtime.memory import keep_freed_memory  # noqa: PLC0415
    from hiar.runtime.ranks import device_of_rank, joined_ranks  # noqa: PLC0415
    from hiar.training.run.networks import (  # noqa: PLC0415
        default_teacher,
        draw_prompts,
        encode_texts,
        load_encoder,
        load_network,
        video_format,
        weights_fact,
    )  # fmt: skip
    from hiar.training.stages.trajectory_files import TrajectoryPlan, write_trajectories  # noqa: PLC0415

    keep_freed_memory()
    device = device_of_rank(args.device)
    check_device(device)
    ode = ode_config(args)
    if prompts is None:
        prompts = draw_prompts(args.draw_prompts, args.seed)
    form = video_format(args.size)
    negative = form.negative_prompt if args.negative_prompt is None else args.negative_prompt
    weights = args.weights or default_teacher(args.size)
    with joined_ranks() as ranks:
        model = load_network(weights, args.size).to(device, getattr(torch, args.dtype))
        plan = TrajectoryPlan(
            ode=ode, prompts=tuple(prompts), samples=args.samples,
            latent_shape=(args.latent_frames, *form.latent_shape(model.config.in_channels)),
            negative_prompt=negative,
            model={"size": args.size, "weights": weights_fact(weights), "dtype": args.dtype},
            seed=args.seed, shard_size=args.shard_size, batch_size=args.batch_size,
            dtype=args.store,
        )  # fmt: skip
        texts = encode_texts(prompts, load_encoder(args.size), args.size, negative_prompt=negative)
        progress = Progress("trajectories", sys.stderr if ranks.is_first else None)
        index = write_trajectories(plan, args.out, model, texts, progress, ranks)
    if ranks.is_first:
        _print(index, args)
    return OK


def ode_config(args: argparse.Namespace) -> OdeConfig:
    """The preset, with the fields that the command line changes."""
    from hiar.training.trajectories import ODE_PRESETS  # noqa: PLC0415

    changes: dict[str, Any] = {"guidance": TINY_GUIDANCE} if args.size == "tiny" else {}
    for name in ("steps", "shift", "guidance", "saved"):
        if getattr(args, name) is not None:
            changes[name] = getattr(args, name)
    return replace(ODE_PRESETS[args.preset], **changes)


def _print(index: dict[str, Any], args: argparse.Namespace) -> None:
    if args.json:
        print(json.dumps(index, indent=1))  # noqa: T201
        return
    levels = ", ".join(f"{sigma:.4g}" for sigma in index["sigmas"])
    sys.stdout.write(
        f"{index['num_trajectories']} trajectories in {args.out}: {index['made']} shards made, "
        f"{index['already_there']} there already; points at sigma {levels}\n"
    )
