"""Remake the tiny checkpoints from a seed: text encoder, autoencoder, teacher, students.

    python scripts/train_tiny.py                         # every stage that is not done yet
    python scripts/train_tiny.py --stages teacher --redo # one of them again
    python scripts/train_tiny.py --study --jobs 2        # then all students of Tables 2 and 3
    python scripts/train_tiny.py --study --estimate      # how long that would take here
    python scripts/train_tiny.py --mechanism --jobs 2    # one model, sampled in every way

Stages run in order: text, vae, latents, first_block, teacher. The study distils the teacher into
every student (docs/tiny_study.md); the paper's recipe becomes the default tiny model. What makes a
shipped model writes a training.json beside the weights that says how they were made. Finished
results are kept; transformers and students resume from their checkpoints.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tiny_models.autoencoder import (
    AutoencoderTrainConfig,
    clips_to_tensor,
    inflate_from_pictures,
    train_autoencoder,
)
from tiny_models.mechanism import run_mechanism
from tiny_models.students import score_students
from tiny_models.study import StudyConfig, check_averages, pending, study_runs
from tiny_models.study_estimate import estimate, format_estimate
from tiny_models.study_export import export
from tiny_models.study_jobs import run_study_jobs
from tiny_models.text import TextTrainConfig, train_text_encoder

from hiar.cli.train import SETTINGS
from hiar.codecs.text import load_text_encoder
from hiar.codecs.vae import load_autoencoder, to_uint8
from hiar.errors import UsageError
from hiar.model.config import WanConfig
from hiar.model.geometry import num_frames as num_frames_of
from hiar.model.transformer import CausalWan
from hiar.runtime.files import atomic_path, atomic_write_text
from hiar.runtime.folder_settings import claim
from hiar.runtime.memory import keep_freed_memory
from hiar.runtime.progress import Progress
from hiar.runtime.provenance import file_sha256, provenance
from hiar.runtime.ranks import Ranks
from hiar.tiny import mechanism, world
from hiar.tiny.preset import ASSETS, HELD_OUT_SEED, TEXT_CONFIG, VAE_CONFIG, byte_tokenizer
from hiar.tiny.study import SEEDS, STUDY_MODELS, WEIGHTS_FILE, study_model
from hiar.training.flow_matching import FlowMatchingConfig
from hiar.training.run.loop import run_stage
from hiar.training.run.monitor import LOG, RunMonitor, read_lines
from hiar.training.run.settings import Operation
from hiar.training.stages.clips import ClipFile, encode_scenes, write_clips
from hiar.training.stages.pretrain import PretrainStage
from hiar.weights.checkpoint import load_transformer

CLIP_LATENT_FRAMES = 21
"""Latent frames a transformer trains on: 81 frames, 5 s, as the paper's clips (Sec. 4.1)."""
VAE_OFFSET_FRAMES = 48
NUM_HELD_OUT = 16
MECHANISM_RECORD = Path("reports/measured/tiny-mechanism.json")
STUDENTS_RECORD = Path("reports/measured/tiny-students.json")
STAGES = ("text", "vae", "latents", "first_block", "teacher")
TEACHER = "tiny/teacher"
SIGTERM_EXIT = 143
"""Exit code by which a shell reports that SIGTERM ended a process."""
Steps = Iterator[tuple[int, float]]


def main() -> int:
    """Run the stages asked for, or the study; returns the exit code."""
    args = parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(SIGTERM_EXIT))  # processes below it end too
    torch.set_num_threads(args.threads or torch.get_num_threads())
    keep_freed_memory()
    stages: dict[str, Callable[[argparse.Namespace], None]] = {
        "text": train_text, "vae": train_vae, "latents": encode_clips,
        "first_block": train_first_block, "teacher": train_teacher,
    }  # fmt: skip
    try:
        with alone_in(args.work):
            if args.study:
                run_study(args)
                return 0
            if args.mechanism:
                run_mechanism(
                    args.work / "mechanism", args.out, args.record or MECHANISM_RECORD,
                    seeds=args.seeds or mechanism.SEEDS, jobs=args.jobs,
                )  # fmt: skip
                return 0
            for name in args.stages or stages:
                print(f"== {name}", file=sys.stderr, flush=True)
                stages[name](args)
    except UsageError as error:
        print(f"train_tiny.py: {error}", file=sys.stderr)
        return 2
    return 0


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs of this script out of a work folder; the kernel lifts the lock if we die."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"--work {folder}: another train_tiny.py works there: wait for it, or name another"
            ) from None
        yield


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description="Remake the tiny checkpoints from a seed.")
    parser.add_argument("--stages", nargs="*", choices=STAGES)
    parser.add_argument("--out", type=Path, default=ASSETS, help="where the weights go")
    parser.add_argument("--work", type=Path, default=Path("runs/tiny"), help="encoded clips")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clips", type=int, default=2400, help="5 s clips to encode")
    parser.add_argument("--beginnings", type=int, default=6000, help="first blocks to encode")
    parser.add_argument("--first-block-steps", type=int, default=2500)
    parser.add_argument("--teacher-steps", type=int, default=10_000)
    parser.add_argument("--threads", type=int, help="default: all cores; 1 for each of --jobs")
    parser.add_argument("--redo", action="store_true", help="make again what is there")
    add_study(parser.add_argument_group("study"))
    return parser.parse_args()


def add_study(group: argparse._ArgumentGroup) -> None:
    """Arguments of the study."""
    names = [model.name for model in STUDY_MODELS]
    group.add_argument(
        "--study", action="store_true", help="train the students, score them, write --record"
    )
    group.add_argument(
        "--mechanism", action="store_true",
        help="train the model of any context level, sample it in every way, write --record",
    )  # fmt: skip
    group.add_argument(
        "--record", type=Path,
        help="record of the study (default: reports/measured/tiny-students.json, or "
        "tiny-mechanism.json)",
    )  # fmt: skip
    group.add_argument("--estimate", action="store_true", help="time a few steps, train nothing")
    group.add_argument("--models", nargs="+", choices=names, metavar="M", help=" ".join(names))
    group.add_argument(
        "--seeds",
        nargs="+",
        type=int,
        help="seeds of the trainings (default: --study 0 to 2; --mechanism: 0 to 5)",
    )
    group.add_argument("--jobs", type=int, default=2, help="processes side by side")
    group.add_argument(
        "--gpus", type=lambda text: tuple(text.split(",")), default=(), metavar="0,1",
        help="one GPU a process, with --device cuda (default: all share what --device names)",
    )  # fmt: skip
    group.add_argument("--teacher", help="weights of the teacher (default: the one in --out)")
    group.add_argument("--prompts", type=int, default=192, help="trajectories of the teacher")
    group.add_argument("--ode-steps", type=int, help="steps of ODE regression (default: preset)")
    group.add_argument("--steps", type=int, help="steps of every student (default: preset)")
    group.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="changes",
        help="change a setting of every student alike",
    )  # fmt: skip
    group.add_argument("--device", default="cpu", help="cpu (default), cuda or cuda:N")


def run_study(args: argparse.Namespace) -> None:
    """Train and score the students that are not done; those of `--seed` go to the assets."""
    if args.redo or args.stages:
        raise UsageError(
            "--study goes without --redo and --stages: to train a student again, remove its folder "
            f"in {args.work / 'study'}"
        )
    models = args.models or [model.name for model in STUDY_MODELS]
    study = StudyConfig(
        work=args.work / "study", teacher=args.teacher or teacher_in(args.out),
        num_prompts=args.prompts, models=tuple(study_model(name) for name in models),
        seeds=tuple(args.seeds or SEEDS), base_seed=args.seed,
        ode_steps=args.ode_steps, steps=args.steps, changes=tuple(args.changes),
        device=args.device,
    )  # fmt: skip
    if args.estimate:
        sys.stdout.write(format_estimate(list(estimate(study)), args.jobs))
        return
    runs = study_runs(study)
    check_averages(runs)
    run_study_jobs(
        pending(runs), study.work, jobs=args.jobs, threads=args.threads or 1, gpus=args.gpus
    )
    for run in runs:
        if run.model is not None and run.model.folder and run.seed == study.base_seed:
            print(export(run, study, args.out), file=sys.stderr)
    score_students(study, args.record or STUDENTS_RECORD, jobs=args.jobs)


def teacher_in(assets: Path) -> str:
    """The teacher among these assets, as `hiar train` names it."""
    return TEACHER if assets == ASSETS else str(assets / "teacher" / WEIGHTS_FILE)


def train_text(args: argparse.Namespace) -> None:
    """The byte-level text encoder, and the held-out prompts."""
    from transformers import UMT5Config, UMT5EncoderModel

    folder = args.out / "text_encoder"
    if done(folder / "model.safetensors", args):
        return
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    words = (
        tuple(world.COLOURS), world.SHAPES, world.TEXTURES,
        world.MOTIONS, tuple(world.BACKGROUNDS), world.PANS,
    )  # fmt: skip

    def draw() -> tuple[str, tuple[int, ...]]:
        scene = world.draw_scene(rng)
        chosen = (
            scene.colour, scene.shape, scene.texture, scene.motion, scene.background, scene.pan,
        )  # fmt: skip
        return scene.prompt, tuple(o.index(w) for o, w in zip(words, chosen, strict=True))

    model = UMT5EncoderModel(UMT5Config(**TEXT_CONFIG))
    config = TextTrainConfig()
    sizes = [len(options) for options in words]
    text_len = WanConfig.tiny().text_len
    steps = train_text_encoder(model, byte_tokenizer(), text_len, sizes, draw, config)
    curve = follow(((step, loss) for step, loss, _ in steps), config.steps)
    model.save_pretrained(folder)
    prompts = world.draw_held_out_prompts(NUM_HELD_OUT, HELD_OUT_SEED)
    atomic_write_text(args.out / "heldout_prompts.txt", "\n".join(prompts) + "\n")
    record(folder, args, asdict(config), curve)


def train_vae(args: argparse.Namespace) -> None:
    """The autoencoder, then the mean and deviation of each latent channel."""
    from diffusers import AutoencoderKLWan

    folder = args.out / "vae"
    if done(folder / WEIGHTS_FILE, args):
        return
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)

    vae = AutoencoderKLWan(**VAE_CONFIG)
    inflate_from_pictures(vae)
    config = AutoencoderTrainConfig()
    steps = snapshots(
        train_autoencoder(vae, lambda frames: draw_clip(rng, frames), config),
        lambda: vae.save_pretrained(args.work / "vae"),
    )
    curve = follow(steps, config.steps)
    finish_vae(vae, folder, args)
    record(folder, args, asdict(config), curve, psnr_db=vae_psnr(folder))
    draw_reconstructions(folder)


def draw_clip(rng: np.random.Generator, num_frames: int) -> np.ndarray:
    """A clip of a random scene, from a random moment of its first seconds."""
    scene = world.draw_scene(rng)
    return world.render(scene, num_frames, first_frame=int(rng.integers(0, VAE_OFFSET_FRAMES)))


def snapshots(steps: Steps, save: Callable[[], None], every: int = 250) -> Steps:
    """Pass a training loop on, saving the model now and then so that one can look at it."""
    for step, loss in steps:
        if step % every == every - 1:
            save()
        yield step, loss


def finish_vae(vae: Any, folder: Path, args: argparse.Namespace) -> None:
    """Measure the latents' statistics, put them in the config and save in half precision."""
    rng = np.random.default_rng(args.seed + 1)
    with torch.no_grad():
        latents = [
            vae.encode(clips_to_tensor([world.render(world.draw_scene(rng), 81)])).latent_dist.mean
            for _ in range(48)
        ]
    stacked = torch.cat(latents).transpose(0, 1).flatten(1)
    vae.register_to_config(
        latents_mean=stacked.mean(dim=1).tolist(), latents_std=stacked.std(dim=1).tolist()
    )
    vae.half().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config.pop("_name_or_path", None)  # where it was loaded from: a path of one machine
    atomic_write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")


def vae_psnr(folder: Path) -> float:
    """Peak signal to noise of reconstructed held-out clips, in dB."""
    vae = load_autoencoder(folder)
    rng = np.random.default_rng(HELD_OUT_SEED)
    clips = [world.render(world.draw_scene(rng, held_out=True), 81) for _ in range(8)]
    video = clips_to_tensor(clips)
    decoded = vae.decode(vae.encode(video)).clamp(-1, 1)
    return float(10 * torch.log10(4 / (decoded - video).square().mean()))


def draw_reconstructions(folder: Path, num_clips: int = 4, num_columns: int = 8) -> None:
    """Save a picture of held-out clips, each above its reconstruction, in time from left."""
    import cv2

    vae = load_autoencoder(folder)
    rng = np.random.default_rng(HELD_OUT_SEED)
    rows = []
    for _ in range(num_clips):
        clip = world.render(world.draw_scene(rng, held_out=True), 81)
        decoded = vae.decode(vae.encode(clips_to_tensor([clip])))[0].unbind(dim=1)
        pair = (clip, [to_uint8(frame) for frame in decoded])
        step = 80 // (num_columns - 1)
        rows += [np.concatenate(list(frames[::step]), axis=1) for frames in pair]
    sheet = np.concatenate(rows)
    cv2.imwrite(str(folder / "reconstruction.png"), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


def encode_clips(args: argparse.Namespace) -> None:
    """Latents and prompts of the training clips, kept in the work folder.

    Whole clips teach how a scene goes on; many beginnings of one block each teach what a shape is,
    for which the frames of one clip are too alike.
    """
    block = FlowMatchingConfig(attention="bidirectional", steps=1).frames_per_block
    sets = (("clips", args.clips, CLIP_LATENT_FRAMES), ("beginnings", args.beginnings, block))
    for offset, (name, count, num_latent_frames) in enumerate(sets):
        path = args.work / f"{name}.safetensors"
        if done(path, args):
            continue
        rng = np.random.default_rng(args.seed + 2 + 100 * offset)
        scenes = [world.draw_scene(rng) for _ in range(count)]
        vae = load_autoencoder(args.out / "vae")
        progress = Progress(f"encoding {name}")
        latents = encode_scenes(vae, scenes, num_frames_of(num_latent_frames), progress)
        write_clips(path, latents, [scene.prompt for scene in scenes])


def train_first_block(args: argparse.Namespace) -> None:
    """From random weights, on beginnings of one block: as many tokens a step, far more scenes."""
    path = args.work / "first_block.safetensors"
    if done(path, args):
        return
    model, curve = run_flow_matching(
        args, "first_block", "beginnings", None, first_block_config(args)
    )
    save_transformer(model, path)
    atomic_write_text(args.work / "first_block.json", json.dumps(curve))


def first_block_config(args: argparse.Namespace) -> FlowMatchingConfig:
    """Settings of the first phase of the teacher."""
    return FlowMatchingConfig(
        attention="bidirectional", steps=args.first_block_steps, batch_size=56, learning_rate=2e-3
    )


def train_teacher(args: argparse.Namespace) -> None:
    """The bidirectional model, from the weights that know one block."""
    config = FlowMatchingConfig(attention="bidirectional", steps=args.teacher_steps)
    first = {
        "first_block": asdict(first_block_config(args)),
        "first_block_loss_curve": json.loads((args.work / "first_block.json").read_text()),
    }
    start = args.work / "first_block.safetensors"
    train_transformer(args, "teacher", start, config, **first)


def train_transformer(
    args: argparse.Namespace, name: str, start: Path, config: FlowMatchingConfig, **facts: Any
) -> None:
    """Go on from the weights in `start` on whole clips; save in bfloat16 with a record."""
    folder = args.out / name
    path = folder / WEIGHTS_FILE
    if done(path, args):
        return
    model, curve = run_flow_matching(args, name, "clips", start, config)
    save_transformer(model, path)
    record(folder, args, asdict(config), curve, **facts)


def run_flow_matching(
    args: argparse.Namespace, name: str, data: str, start: Path | None, config: FlowMatchingConfig
) -> tuple[CausalWan, list[list[float]]]:
    """Train on one set of encoded clips, from the last checkpoint if there is one.

    Args:
        args: Arguments of the command line.
        name: Name of the run's folder.
        data: Name of the set of clips.
        start: Weights to begin with; None begins with random ones.
        config: Settings of the run.

    Returns:
        The model and the loss curve.
    """
    out, path = args.work / name, args.work / f"{data}.safetensors"
    if args.redo and out.exists():
        shutil.rmtree(out)
    facts = asdict(config) | {
        "seed": args.seed, "clips": file_sha256(path), "start": start and file_sha256(start),
    }  # fmt: skip
    claim(out / SETTINGS, facts)
    torch.manual_seed(args.seed)
    sizes = WanConfig.tiny()
    model = CausalWan(sizes) if start is None else load_transformer(start, sizes)
    encoder = load_text_encoder(args.out / "text_encoder", sizes.text_len, byte_tokenizer())
    stage = PretrainStage(model, ClipFile(path, encoder), config, seed=args.seed)
    ranks, operation = Ranks(), Operation(checkpoint_every=250, keep_checkpoints=1)
    monitor = RunMonitor(out, ranks, None, tensorboard=False, wandb="", settings={})
    run_stage(
        stage, out, steps=config.steps, operation=operation, monitor=monitor, ranks=ranks,
        device=torch.device("cpu"),
    )  # fmt: skip
    return model, curve_of([line["loss"] for line in read_lines(out / LOG)])


def save_transformer(model: CausalWan, path: Path) -> None:
    """Write the weights in bfloat16: half the size, and far finer than they are trained."""
    weights = {name: value.to(torch.bfloat16) for name, value in model.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(weights, temporary)


def follow(steps: Steps, total: int) -> list[list[float]]:
    """Run a training loop with a line of progress a minute; the loss curve in 50 points."""
    started = last_line = time.monotonic()
    losses: list[float] = []
    for step, loss in steps:
        losses.append(loss)
        now = time.monotonic()
        if now - last_line > 30 or step + 1 >= total:
            last_line = now
            left = (now - started) / (step + 1) * (total - step - 1)
            recent = float(np.mean(losses[-50:]))
            line = f"step {step + 1}/{total}  loss {recent:.4f}  {left / 60:.1f} min left"
            print(line, file=sys.stderr, flush=True)
    return curve_of(losses)


def curve_of(losses: list[float]) -> list[list[float]]:
    """The first step and the mean loss of some 50 parts of a run."""
    width = max(1, len(losses) // 50)
    return [
        [start, round(float(np.mean(losses[start : start + width])), 5)]
        for start in range(0, len(losses), width)
    ]


def done(path: Path, args: argparse.Namespace) -> bool:
    """Whether a stage's result is there and may stay."""
    return bool(path.exists() and not args.redo)


def record(
    folder: Path, args: argparse.Namespace, config: dict[str, Any],
    curve: list[list[float]], **more: Any,
) -> None:  # fmt: skip
    """Write training.json: what a reader needs to make these weights again."""
    stage = {"teacher": "teacher", "text_encoder": "text", "vae": "vae"}
    facts = {
        "schema": "hiar-training/1",
        "command": f"python scripts/train_tiny.py --stages {stage[folder.name]} --redo "
        f"--seed {args.seed}",
        "seed": args.seed,
        "config": config,
        "loss_curve": curve,
        **more,
        "provenance": provenance(),
    }
    atomic_write_text(folder / "training.json", json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
