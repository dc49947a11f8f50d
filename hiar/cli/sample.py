"""`hiar sample`: videos from prompts."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from hiar.arguments import make_out_folder, size_px
from hiar.bench.rows import PIPELINED
from hiar.codecs.prompts import numbered, prompt_range
from hiar.errors import UsageError
from hiar.model.config import ATTENTION_BACKENDS, FP8_CHOICES
from hiar.model.geometry import check_num_frames, num_latent_frames
from hiar.runtime.progress import Progress
from hiar.sampling.cache_policies.registry import POLICIES, POLICY_NAMES, find_policy
from hiar.sampling.config import Context, Order, SamplerConfig
from hiar.weights.releases import sampler_of

if TYPE_CHECKING:
    from hiar.pipeline import HiARPipeline
    from hiar.runtime.ranks import Ranks
    from hiar.sample_folder import Conditioning, SampleRun
    from hiar.sampling.pipelined.group import PipelineGroup

OK = 0
DEFAULT_LATENT_FRAMES = 81
"""321 frames: 20 s, the paper's length."""
CONTACT_SHEET = "contact_sheet.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Make one video for each prompt: an mp4 and a JSON that says how it was made. Videos that "
        "exist with the same settings are not made again. Under torchrun, processes share the "
        "prompts."
    )
    texts = parser.add_mutually_exclusive_group(required=True)
    texts.add_argument("--prompts", type=Path, metavar="FILE", help="one prompt a line, UTF-8")
    texts.add_argument(
        "--prompt", action="append", metavar="TEXT", help="a prompt; may be given several times"
    )
    parser.add_argument(
        "--prompt-range", type=prompt_range, metavar="A:B",
        help="only prompts A to B - 1 of the list; their videos are those of a whole run",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--model", default="tiny",
        help="tiny (default), a release such as hiar or self-forcing, or a folder",
    )  # fmt: skip
    parser.add_argument("--weights", type=Path, metavar="FILE", help="other transformer weights")
    _add_sampler(parser)
    _add_length(parser)
    parser.add_argument(
        "--size", type=size_px, metavar="HxW", help="size in pixels (default: the model's)"
    )
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--init-image", type=Path, metavar="FILE", help="picture to begin with")
    begin.add_argument("--init-video", type=Path, metavar="FILE", help="video to continue")
    parser.add_argument("--seed", type=int, default=0, help="of the noise (default 0)")
    parser.add_argument("--samples", type=int, default=1, help="videos a prompt")
    parser.add_argument(
        "--batch-size", type=int, default=8,
        help="videos sampled together; a process of torchrun takes whole batches",
    )  # fmt: skip
    parser.add_argument(
        "--save-latents", action="store_true", help="write latents beside each video"
    )
    parser.add_argument(
        "--contact-sheet", action="store_true", help=f"write {CONTACT_SHEET}: frames of each video"
    )
    _add_execution(parser)


def _add_execution(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or cuda:N")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), default="float32",
        help="precision of the transformer (default float32)",
    )  # fmt: skip
    parser.add_argument(
        "--attention", choices=ATTENTION_BACKENDS, default="sdpa",
        help="attention backend; changes speed and rounding only (default: sdpa)",
    )  # fmt: skip
    parser.add_argument(
        "--compile", action="store_true", help="fuse the operations between the kernels"
    )
    parser.add_argument(
        "--cuda-graphs", action="store_true",
        help="GPU: replay the passes over blocks that see a full window as CUDA graphs",
    )  # fmt: skip
    parser.add_argument(
        "--fp8", choices=FP8_CHOICES, default="off",
        help="ffn: feed-forward products in 8 bits, with --dtype bfloat16; changes the videos",
    )  # fmt: skip
    parser.add_argument(
        "--decoder", default="vae", metavar="NAME",
        help="vae (default), tiny-decoder (coarser, far faster), or the file of its weights",
    )  # fmt: skip
    parser.add_argument(
        "--low-memory", action="store_true", help="keep only the network that is running on the GPU"
    )


def _add_sampler(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--order", choices=[*get_args(Order), PIPELINED],
        help="default: the model's own; pipelined is diagonal, the processes of torchrun sharing "
        "each video's steps",
    )  # fmt: skip
    parser.add_argument(
        "--rank-timeout", type=float, default=600.0, metavar="SECONDS",
        help="pipelined: longest wait for another process's block (default 600)",
    )  # fmt: skip
    parser.add_argument(
        "--decoder-ranks", type=int, default=0, metavar="K",
        help="pipelined: the last K processes share the decoder and denoise nothing (default 0: "
        "the last process decodes)",
    )  # fmt: skip
    parser.add_argument(
        "--block-first-steps", type=int, metavar="N",
        help="hybrid: first steps that each block runs at once",
    )  # fmt: skip
    parser.add_argument(
        "--block-first-blocks", type=int, metavar="N",
        help="hybrid: first blocks finished before the rest begins (default 1)",
    )  # fmt: skip
    parser.add_argument(
        "--context", choices=get_args(Context),
        help="noise level of earlier blocks (default: clean for block_first, else output)",
    )  # fmt: skip
    parser.add_argument(
        "--context-noise", type=float, metavar="T",
        help="context clean: timestep in [0, 1000) up to which it is noised again (default 0)",
    )  # fmt: skip
    parser.add_argument(
        "--euler", action="store_true", help="Euler steps instead of fresh noise at each step"
    )
    parser.add_argument("--window", type=int, help="latent frames visible; 0 = all (default 21)")
    parser.add_argument("--sink", type=int, help="first latent frames always visible (default 0)")
    parser.add_argument(
        "--cache", choices=POLICY_NAMES,
        help="latent frames visible before a block's own, and where in rotary phase (default: as "
        "--window and --sink say): "
        + "; ".join(f"{policy.name}: {policy.summary}" for policy in POLICIES),
    )  # fmt: skip
    parser.add_argument(
        "--wave-batch", action="store_true", help="diagonal: one forward pass for each wave"
    )


def _add_length(parser: argparse.ArgumentParser) -> None:
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--latent-frames", type=int, metavar="N",
        help=f"whole blocks; default {DEFAULT_LATENT_FRAMES}: 321 frames",
    )  # fmt: skip
    length.add_argument("--frames", type=int, metavar="N", help="length in frames, whole blocks")
    length.add_argument("--seconds", type=float, help="length, rounded up to whole blocks")
    length.add_argument("--minutes", type=float, help="length, rounded up to whole blocks")


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from hiar.codecs.prompts import check_prompt, read_prompts  # noqa: PLC0415

    given = args.prompt is not None
    prompts = [check_prompt(text) for text in args.prompt] if given else read_prompts(args.prompts)
    changes = sampler_changes(args)
    make_out_folder(args.out)
    from hiar.pipeline import HiARPipeline  # noqa: PLC0415
    from hiar.runtime.memory import keep_freed_memory  # noqa: PLC0415
    from hiar.runtime.ranks import device_of_rank  # noqa: PLC0415
    from hiar.sample_folder import SampleRun  # noqa: PLC0415

    keep_freed_memory()
    same = _same_on_all_ranks(args, prompts, changes)
    with _joined(args, same, changes) as (ranks, group), _out_of_memory_named():
        pipeline = HiARPipeline.from_pretrained(
            args.model, transformer=args.weights, torch_dtype=args.dtype,
            device=device_of_rank(args.device), size_px=args.size, decoder=args.decoder,
        )  # fmt: skip
        _use_kernels(pipeline, args)
        if args.low_memory:
            pipeline.enable_model_cpu_offload()
        config = apply_changes(pipeline.sampler, changes)
        conditioning = _conditioning(pipeline, args)
        run = SampleRun(
            config=config, seed=args.seed, samples=args.samples, batch_size=args.batch_size,
            latent_frames=_latent_frames(args, config, pipeline.fps, conditioning),
            conditioning=conditioning, save_latents=args.save_latents,
            attention=args.attention, compiled=args.compile, prompt_range=args.prompt_range,
        )  # fmt: skip
        if group is not None:
            _share_steps(pipeline, prompts, run, group)
        elif args.device == "cuda" and not args.low_memory:
            _decode_elsewhere(pipeline)
        if ranks.is_first:
            _warn_long_prompts(pipeline, prompts)
        ranks.wait()
        record = _make(pipeline, prompts, args, run, ranks)
    if ranks.is_first:
        _print(record, args)
    return OK


def _use_kernels(pipeline: HiARPipeline, args: argparse.Namespace) -> None:
    """Give the transformer the kernels that were asked for."""
    from hiar.model.attention_backends import attention_backend  # noqa: PLC0415
    from hiar.model.compiled import compile_layers  # noqa: PLC0415
    from hiar.model.fp8 import use_fp8_feed_forward  # noqa: PLC0415
    from hiar.sampling.graphs import SteadyGraphs  # noqa: PLC0415

    transformer = pipeline.transformer
    transformer.attend = attention_backend(args.attention, pipeline.device, transformer.dtype)
    if args.fp8 == "ffn":
        use_fp8_feed_forward(transformer)
    if args.compile:
        compile_layers(transformer)
    if args.cuda_graphs:
        if args.low_memory or pipeline.device.type != "cuda":
            raise UsageError(
                "--cuda-graphs needs a model that stays on a GPU: add --device cuda and leave "
                "--low-memory out"
            )
        transformer.replayer = SteadyGraphs(transformer)


def _decode_elsewhere(pipeline: HiARPipeline) -> None:
    """Decode on a GPU that no process uses, if this machine has one."""
    from hiar.sampling.pipelined.group import free_gpu  # noqa: PLC0415

    free = free_gpu(pipeline.device)
    if free is not None:
        pipeline.decoder.to(free)


def _same_on_all_ranks(
    args: argparse.Namespace, prompts: list[str], changes: dict[str, Any]
) -> dict[str, Any]:
    """What all processes must have been started with, as far as it is known before loading."""
    names = (
        "model", "prompt_range", "seed", "samples", "batch_size", "latent_frames", "frames",
        "seconds", "minutes", "size", "dtype", "attention", "compile", "fp8", "save_latents",
        "decoder_ranks",
    )  # fmt: skip
    digest = hashlib.sha256("\n".join(prompts).encode()).hexdigest()
    return {"prompts": digest, **changes, **{name: getattr(args, name) for name in names}}


@contextmanager
def _joined(
    args: argparse.Namespace, same: dict[str, Any], changes: dict[str, Any]
) -> Iterator[tuple[Ranks, PipelineGroup | None]]:
    """Join the processes of torchrun; with a group they share each video's steps, else the list."""
    if args.order != PIPELINED:
        if args.decoder_ranks:
            raise UsageError("--decoder-ranks needs --order pipelined")
        from hiar.runtime.ranks import joined_ranks  # noqa: PLC0415

        with joined_ranks(same) as ranks:
            yield ranks, None
        return
    from hiar.runtime.ranks import num_ranks_of  # noqa: PLC0415
    from hiar.sampling.pipelined.group import joined_group  # noqa: PLC0415
    from hiar.sampling.pipelined.tasks import split_steps  # noqa: PLC0415

    if args.low_memory:
        raise UsageError("--low-memory moves networks about: leave it out with --order pipelined")
    config = apply_changes(sampler_of(args.model), changes)
    num_denoising = num_ranks_of() - args.decoder_ranks
    split_steps(len(config.steps), max(1, num_denoising))  # raises if a process would own none
    with joined_group(
        args.device, timeout_s=args.rank_timeout, same=same, decoder_ranks=args.decoder_ranks
    ) as group:
        yield group.ranks, group


def _share_steps(
    pipeline: HiARPipeline, prompts: list[str], run: SampleRun, group: PipelineGroup
) -> None:
    """Make the processes a pipeline, if all were started alike; decode on a GPU of its own."""
    from hiar.sample_folder import same_on_all_ranks  # noqa: PLC0415
    from hiar.sampling.pipelined.group import check_same  # noqa: PLC0415

    check_same(group.ranks, same_on_all_ranks(pipeline, prompts, run))
    pipeline.share_steps(group)
    if group.ranks.is_last and not group.decoder_ranks:
        _decode_elsewhere(pipeline)


def sampler_changes(args: argparse.Namespace) -> dict[str, Any]:
    """The sampler settings that were given on the command line."""
    changes: dict[str, Any] = {}
    if args.order is not None:
        counts = args.block_first_steps or 0, args.block_first_blocks
        is_hybrid = args.order == "hybrid"
        changes["order"] = "diagonal" if args.order == PIPELINED else args.order
        # One block, as the release's hybrid_block0 (inference.py, num_frame_first_blocks).
        default_blocks = int(is_hybrid and not counts[0])
        changes["block_first_steps"] = counts[0]
        changes["block_first_blocks"] = default_blocks if counts[1] is None else counts[1]
        changes["context"] = "clean" if args.order == "block_first" else "output"
    elif args.block_first_steps or args.block_first_blocks:
        raise UsageError("--block-first-steps and --block-first-blocks need --order hybrid")
    if args.context is not None:
        changes["context"] = args.context
    if args.context_noise is not None:
        changes["context_noise"] = args.context_noise
    if args.euler:
        changes["stochastic"] = False
    if args.cache is not None:
        changes["cache"] = args.cache
        # What the policy does not have need not be taken away from the model's own settings.
        changes |= {} if find_policy(args.cache).has_sink else {"sink": 0}
        changes |= {} if find_policy(args.cache).has_window else {"window": None}
    if args.window is not None:
        changes["window"] = args.window or None
    if args.sink is not None:
        changes["sink"] = args.sink
    if args.wave_batch:
        changes["wave_batch"] = True
    replace(sampler_of(args.model), **changes)  # wrong use is named before a model is loaded
    return changes


def apply_changes(config: SamplerConfig, changes: dict[str, Any]) -> SamplerConfig:
    """The model's own settings with those of the command line."""
    return replace(config, **changes)


def _latent_frames(
    args: argparse.Namespace, config: SamplerConfig, fps: int, conditioning: Conditioning | None
) -> int:
    """Latent frames of each video, given ones included."""
    size = config.frames_per_block
    initial = 0 if conditioning is None else conditioning.num_latent_frames
    if args.frames is not None:
        return check_num_frames(args.frames, size, initial=initial)
    seconds = args.seconds if args.minutes is None else 60 * args.minutes
    if seconds is not None:
        if not 0 < seconds < float("inf"):
            raise UsageError(f"a length of {seconds:g} s: give one above 0")
        return num_latent_frames(round(seconds * fps), size, initial=initial)
    if args.latent_frames is not None:
        return int(args.latent_frames)
    return initial + DEFAULT_LATENT_FRAMES // size * size


def _conditioning(pipeline: HiARPipeline, args: argparse.Namespace) -> Conditioning | None:
    path = args.init_image or args.init_video
    if path is None:
        return None
    from hiar.codecs.frames import read_picture, read_video  # noqa: PLC0415
    from hiar.runtime.provenance import file_sha256  # noqa: PLC0415
    from hiar.sample_folder import Conditioning  # noqa: PLC0415

    if args.init_image:
        latents = pipeline.encode_initial(image=read_picture(path))
    else:
        latents = pipeline.encode_initial(video=read_video(path))
    assert latents is not None
    return Conditioning(path=path.name, sha256=file_sha256(path), latents=latents)


def _make(
    pipeline: HiARPipeline,
    prompts: list[str],
    args: argparse.Namespace,
    run: SampleRun,
    ranks: Ranks,
) -> dict[str, Any]:
    from hiar.codecs.contact_sheet import Row, write_contact_sheet  # noqa: PLC0415
    from hiar.sample_folder import sample_folder  # noqa: PLC0415

    shown = sys.stderr if ranks.is_first else None
    progress = Progress(f"sampling {run.config.order}", shown)
    try:
        record = sample_folder(pipeline, prompts, args.out, run, progress, ranks)
        if args.contact_sheet and ranks.is_first:
            names = [Path(name).stem for name in record["videos"]]
            chosen = numbered(prompts, run.prompt_range)
            captions = [prompt for _, prompt in chosen for _ in range(run.samples)]
            rows = [
                Row(args.out / f"{name}.mp4", caption)
                for name, caption in zip(names, captions, strict=True)
            ]
            write_contact_sheet(args.out / CONTACT_SHEET, rows)
    except OSError as error:
        raise UsageError(
            f"writing to {args.out} failed: {error.strerror or error}; finished videos are kept: "
            "make room or name another --out, then run the same command again"
        ) from error
    return record


@contextmanager
def _out_of_memory_named() -> Iterator[None]:
    """Turn the error of a full GPU into one line with the remedies."""
    import torch  # noqa: PLC0415

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UsageError(
            "the GPU's memory is full: lower --batch-size or --window, use --dtype bfloat16 or "
            "--low-memory, or --order step_first (one cache, where diagonal has one a step)"
        ) from error


def _warn_long_prompts(pipeline: HiARPipeline, prompts: list[str]) -> None:
    limit = pipeline.text_encoder.text_len
    for index, tokens in enumerate(pipeline.encode_ahead(prompts)):
        if tokens > limit:
            sys.stderr.write(
                f"hiar: prompt {index} has {tokens} tokens; the model reads the first {limit}\n"
            )


def _print(record: dict[str, Any], args: argparse.Namespace) -> None:
    if args.json:
        print(json.dumps(record, indent=1))  # noqa: T201
        return
    from hiar.runtime.progress import counted  # noqa: PLC0415

    sys.stdout.write(
        f"{counted(len(record['videos']), 'video')} in {args.out}: {record['made']} made in "
        f"{record['seconds']:.1f} s, {record['already_there']} there already\n"
    )
    if args.contact_sheet:
        sys.stdout.write(f"contact sheet: {args.out / CONTACT_SHEET}\n")
