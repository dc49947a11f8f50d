"""How long a training step takes, and how much of it its networks' passes.

    python scripts/time_training_step.py --latent-frames 21 --out step.json
    python scripts/time_training_step.py --size wan-1.3b --device cuda --dtype bfloat16 --role both

A step of the student (rollout, both scores, DMD, forward-KL, optimiser) or of the critic is timed
whole, and inside it every forward pass of a network, every backward pass, and the optimiser. What
is left is noise, sigmas, losses and guidance. On a CPU the clock is this process's processor time,
which a busy machine does not stretch; on a GPU its queue is emptied at each edge and wall time is
read.

In bfloat16 the networks are sharded over this one process, as `hiar train` does: float32 masters,
and a gather before every layer, which counts as part of the pass.

Weights, prompts and trajectories are random: speed does not depend on them. Every repeat has the
same exit step, so the spread is the machine's. Exit code 1 if the share is below --least.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from hiar.errors import UsageError
from hiar.model.transformer import CausalWan
from hiar.runtime.device import check_device, device_name, peak_memory_bytes
from hiar.runtime.files import atomic_write_text
from hiar.runtime.memory import keep_freed_memory
from hiar.runtime.provenance import provenance
from hiar.runtime.ranks import device_of_rank
from hiar.training.data import TrajectoryBatch
from hiar.training.draws import Role
from hiar.training.keyed import keyed_normal
from hiar.training.recipes import RECIPES, recipe
from hiar.training.run.networks import SIZES, random_network, size_config, video_format
from hiar.training.run.sharding import is_sharded, joined, mesh_of, shard
from hiar.training.stages import distill
from hiar.training.stages.distill import DistillStage

SCHEMA = "training-step/2"
LEAST_SHARE = 0.85
"""Least share of a student's step that forward and backward passes should take."""
NETWORK_METHODS = ("forward_cached", "encode_text")
"""Entries of a network beside a call of it."""
ROLES: tuple[Role, ...] = ("student", "critic")
TEACHER = 1
"""Place of the teacher among student, teacher and critic."""


class RandomPrompts:
    """One prompt, unit normal [text, text_dim]."""

    def __init__(self, *shape: int) -> None:
        self._shape = shape

    def __len__(self) -> int:
        return 1

    def read(self, indices: Sequence[int]) -> torch.Tensor:
        """The prompt's embedding, once for each index."""
        return random(self._shape, len(indices), "text")

    def empty(self) -> torch.Tensor:
        """The unconditional input: zeros."""
        return torch.zeros(1, *self._shape)


class RandomTrajectories:
    """One trajectory whose points are unit normal."""

    sigmas = torch.tensor([1.0, 0.96, 8 / 9, 8 / 11, 0.0])

    def __init__(self, latent_shape: Sequence[int], texts: RandomPrompts) -> None:
        self._shape, self._texts = (len(self.sigmas), *latent_shape), texts

    def __len__(self) -> int:
        return 1

    def read(self, indices: Sequence[int]) -> TrajectoryBatch:
        """The trajectory, once for each index."""
        points = random(self._shape, len(indices), "points")
        return TrajectoryBatch(latents=points, sigmas=self.sigmas, text=self._texts.read(indices))


class Stopwatch:
    """Seconds of named parts; a part inside another counts for the outer one only.

    Args:
        device: Device whose work is timed.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._depth = device, 0
        self.seconds: dict[str, float] = {}

    def now(self) -> float:
        """Processor time on a CPU, wall time once the queue is empty on a GPU."""
        if self._device.type == "cpu":
            return time.process_time()
        torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def wrap(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        def timed(*args: Any, **options: Any) -> Any:
            if self._depth:
                return function(*args, **options)
            self._depth += 1
            started = self.now()
            try:
                return function(*args, **options)
            finally:
                self._depth -= 1
                self.seconds[part] = self.seconds.get(part, 0.0) + self.now() - started

        return timed


@contextmanager
def watched(watch: Stopwatch, networks: Sequence[CausalWan]) -> Iterator[None]:
    """Time every entry of the networks, every backward pass and the optimiser's steps.

    Sharding gives each network entries of its own, which hide those of the class, so each network's
    are replaced. A call is replaced in the class, where Python looks for it.
    """
    replaced: list[tuple[Any, str, str]] = [
        (CausalWan, "__call__", "forward"),
        (torch.Tensor, "backward", "backward"),
        (distill, "optimizer_step", "optimiser"),
        *((network, name, "forward") for network in networks for name in NETWORK_METHODS),
    ]
    with ExitStack() as stack:
        for owner, name, part in replaced:
            function = watch.wrap(part, getattr(owner, name))
            stack.enter_context(mock.patch.object(owner, name, function))
        yield


def random(shape: Sequence[int], count: int, purpose: str) -> torch.Tensor:
    """Unit normal [count, *shape]."""
    return keyed_normal(shape, seed=0, step=0, samples=range(count), purpose=purpose)


def build_stage(args: argparse.Namespace, device: torch.device) -> DistillStage:
    """The stage of a recipe with random networks; its student exits at --exit-step alone."""
    sizes = size_config(args.size)
    config = recipe(args.recipe)
    steps = len(config.sampler.steps)
    if not 0 <= args.exit_step < steps:
        raise UsageError(f"--exit-step {args.exit_step} must lie in [0, {steps})")
    texts = RandomPrompts(sizes.text_len, sizes.text_dim)
    shape = (args.latent_frames, *video_format(args.size).latent_shape(sizes.in_channels))
    dtype = getattr(torch, args.dtype)
    with device:  # where drawing 1.3 billion weights is quick
        networks = [random_network(sizes, seed) for seed in range(3)]
    student, teacher, critic = (
        placed(network, device, dtype, trained=seed != TEACHER)
        for seed, network in enumerate(networks)
    )
    for trained in (student, critic):
        trained.checkpoint_activations = args.checkpoint_activations
    return DistillStage(
        student, teacher, critic, texts, RandomTrajectories(shape, texts),
        replace(config, batch_size=args.batch_size, micro_batch=args.batch_size, ema_start=0),
        latent_shape=shape, seed=0,
    )  # fmt: skip


def placed(
    network: CausalWan, device: torch.device, dtype: torch.dtype, *, trained: bool
) -> CausalWan:
    """A network on the device, sharded over this process where `hiar train` would."""
    if not is_sharded(dtype, 1):
        return network.to(device)
    kept = torch.float32 if trained else dtype
    return shard(network.to(device, kept), mesh_of(device), dtype)


def time_step(
    stage: DistillStage, role: Role, exit_step: int, device: torch.device
) -> tuple[float, dict[str, float]]:
    """One step of the student or of the critic: seconds of the whole, and of the parts inside."""
    every = stage.config.generator_every
    step = next(
        step
        for step in range(0, 1000 * every, every)
        if stage.draws(role, step, [0]).exit_step == exit_step
    )
    train = stage.train_student if role == "student" else stage.train_critic
    watch = Stopwatch(device)
    with watched(watch, (stage.student, stage.teacher, stage.critic)):
        started = watch.now()
        train(step)
        whole = watch.now() - started
    return whole, watch.seconds


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description="Time a step of the student or critic.")
    parser.add_argument("--size", default="tiny", choices=SIZES)
    parser.add_argument("--recipe", default="release", choices=RECIPES)
    parser.add_argument("--latent-frames", type=int, default=21)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--exit-step", type=int, default=1)
    parser.add_argument("--role", default="student", choices=(*ROLES, "both"))
    parser.add_argument("--checkpoint-activations", action="store_true")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--least", type=float, default=LEAST_SHARE, metavar="SHARE")
    parser.add_argument("--out", type=Path, metavar="FILE")
    return parser


def main() -> int:
    """Run the command line."""
    args = build_parser().parse_args()
    keep_freed_memory()
    try:
        name = device_of_rank(args.device)
        check_device(name)
        device = torch.device(name)
        with joined(device, always=args.dtype != "float32"):
            return measure(args, device)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def measure(args: argparse.Namespace, device: torch.device) -> int:
    """Time the steps, print and write the result; returns the exit code."""
    stage = build_stage(args, device)
    roles = ROLES if args.role == "both" else (args.role,)
    rows = [row for role in roles for row in time_steps(stage, role, args, device)]
    medians = {role: median_of([row for row in rows if row["role"] == role]) for role in roles}
    result = {
        "schema": SCHEMA,
        "clock": "processor" if device.type == "cpu" else "wall",
        "threads": torch.get_num_threads(),
        "settings": {k: v for k, v in vars(args).items() if k != "out"},
        "config": asdict(stage.config),
        "median": medians,
        "rows": rows,
        "peak_memory_bytes": peak_memory_bytes(device),
        "provenance": provenance(device_name(device)),
    }
    for role, median in medians.items():
        print(
            f"{role}'s step {median['step_s']:.3f} s: forward {median['forward_s']:.3f}, "
            f"backward {median['backward_s']:.3f}, optimiser {median['optimiser_s']:.3f}; "
            f"share in passes {median['share']:.1%}"
        )
    if args.out:
        atomic_write_text(args.out, json.dumps(result, indent=1) + "\n")
    return int(any(median["share"] < args.least for median in medians.values()))


def time_steps(
    stage: DistillStage, role: Role, args: argparse.Namespace, device: torch.device
) -> list[dict[str, Any]]:
    """A row for each repeat of a step, after one that allocates memory and is not counted."""
    time_step(stage, role, args.exit_step, device)
    rows = []
    for _ in range(args.repeats):
        whole, parts = time_step(stage, role, args.exit_step, device)
        share = (parts["forward"] + parts["backward"]) / whole
        seconds = {f"{name}_s": value for name, value in parts.items()}
        rows.append({"role": role, "step_s": whole, "share": share, **seconds})
    return rows


def median_of(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The median of each figure."""
    return {
        name: statistics.median(row[name] for row in rows) for name in rows[0] if name != "role"
    }


if __name__ == "__main__":
    sys.exit(main())
