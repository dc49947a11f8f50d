"""`hiar strips`: videos after a single denoising step under both attentions, for Fig. 5."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hiar.model.geometry import num_blocks

if TYPE_CHECKING:
    from hiar.pipeline import HiARPipeline

OK = 0
SCHEMA = "reports-strips/1"
RECORD, FOLDER = "strips.json", "strips"
DEFAULT_LATENT_FRAMES = 21
"""81 frames, 5 s: what the models are trained on."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Denoise each prompt's video in one step from the same noise, all frames at once, under "
        f"bidirectional and under causal attention. Writes DIR/{RECORD} and DIR/{FOLDER}/*.mp4, "
        "which reproduce-paper draws Fig. 5 from."
    )
    parser.add_argument(
        "--prompts", type=Path, required=True, metavar="FILE", help="one prompt a line, UTF-8"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--model", default="tiny", help="as of `hiar sample` (default tiny)")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="other transformer weights")
    parser.add_argument(
        "--latent-frames", type=int, default=DEFAULT_LATENT_FRAMES, metavar="N",
        help=f"whole blocks of 3 (default {DEFAULT_LATENT_FRAMES}: 5 s)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the noise (default 0)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or cuda:N")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16"), default="float32",
        help="precision of the transformer (default float32)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from hiar.codecs.prompts import read_prompts  # noqa: PLC0415

    prompts = read_prompts(args.prompts)
    num_blocks(args.latent_frames, 3)
    from hiar.pipeline import HiARPipeline  # noqa: PLC0415
    from hiar.runtime.files import atomic_write_text, remove_leftovers  # noqa: PLC0415
    from hiar.runtime.memory import keep_freed_memory  # noqa: PLC0415

    keep_freed_memory()
    for folder in (args.out, args.out / FOLDER):
        remove_leftovers(folder)
    pipeline = HiARPipeline.from_pretrained(
        args.model, transformer=args.weights, torch_dtype=args.dtype, device=args.device
    )
    clips = [_make(pipeline, prompts, index, args) for index in range(len(prompts))]
    record = describe(pipeline, clips, args)
    atomic_write_text(args.out / RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    if args.json:
        print(json.dumps(record, indent=1))  # noqa: T201
    else:
        sys.stdout.write(f"{len(clips)} prompts under both attentions in {args.out}\n")
    return OK


def describe(
    pipeline: HiARPipeline, clips: list[dict[str, Any]], args: argparse.Namespace
) -> dict[str, Any]:
    """The record of Fig. 5."""
    from hiar.model.config import WanConfig  # noqa: PLC0415
    from hiar.runtime.provenance import provenance  # noqa: PLC0415
    from hiar.sampling.config import NUM_TRAIN_TIMESTEPS  # noqa: PLC0415

    return {
        "schema": SCHEMA,
        "scale": "tiny" if pipeline.transformer.config == WanConfig.tiny() else "paper",
        "timestep": float(NUM_TRAIN_TIMESTEPS),
        "clips": clips,
        "provenance": provenance(args.device) | {"weights": pipeline.weights},
    }


def _make(
    pipeline: HiARPipeline, prompts: list[str], index: int, args: argparse.Namespace
) -> dict[str, Any]:
    """Both videos of a prompt, written; their places in the record."""
    from hiar.codecs.video import write_mp4  # noqa: PLC0415
    from hiar.sampling.noise import initial_noise  # noqa: PLC0415
    from hiar.sampling.single_step import ATTENTIONS, denoise_once  # noqa: PLC0415

    size = pipeline.sampler.frames_per_block
    channels, height, width = pipeline.latent_shape
    noise = initial_noise(
        len(prompts), args.latent_frames // size, (size, channels, height, width), seed=args.seed
    )[index : index + 1].to(pipeline.device)
    text = pipeline.text_encoder.encode([prompts[index]]).to(pipeline.device)
    clip: dict[str, Any] = {"prompt": prompts[index], "seed": args.seed}
    for name, attention in ATTENTIONS.items():
        latents = denoise_once(pipeline.transformer, noise, text, attention, frames_per_block=size)
        place = f"{FOLDER}/{index:02d}-{name}.mp4"
        write_mp4(args.out / place, pipeline.decode(latents)[0], pipeline.fps)
        clip[name] = place
    return clip
