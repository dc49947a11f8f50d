"""`hiar train`: pretraining, ODE regression and distillation, resumed where they stopped."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hiar.errors import UsageError
from hiar.training.run.config_files import preset_names

if TYPE_CHECKING:
    from hiar.training.run.loop import RunResult
    from hiar.training.run.settings import TrainConfig

OK = 0
STAGES = ("pretrain", "ode-init", "distill")
SETTINGS, RECORD = "settings.json", "training.json"
RECORD_SCHEMA = "hiar-training/2"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.description = (
        "Train a model: pretrain (flow matching), ode-init (a causal student from trajectories), "
        "distill (self-rollout, DMD, forward-KL). The same command resumes the run in DIR. Under "
        "torchrun, networks and samples are shared out over the processes."
    )
    parser.add_argument("--stage", choices=STAGES, help="default: the config's")
    parser.add_argument(
        "--config", required=True, metavar="FILE",
        help=f"a TOML file, or a preset: {', '.join(preset_names())}",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="changes",
        help="change one field, such as steps=100 or distill.forward_kl.weight=0.1; repeatable",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the run")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or cuda:N")
    parser.add_argument(
        "--dry-run", action="store_true", help="print the memory each process needs; train nothing"
    )
    parser.add_argument(
        "--world-size", type=int, metavar="N", help="dry run: number of processes (default 1)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code."""
    from hiar.training.run.settings import load_train_config  # noqa: PLC0415

    config = load_train_config(args.config, args.changes, stage=args.stage)
    if args.dry_run:
        return _dry_run(config, args)
    if args.world_size is not None:
        raise UsageError(f"--world-size {args.world_size} is of --dry-run: use torchrun to train")
    if args.out is None:
        raise UsageError("--out is missing: name the folder of the run")
    import torch  # noqa: PLC0415

    from hiar.runtime.device import check_device  # noqa: PLC0415
    from hiar.runtime.memory import keep_freed_memory  # noqa: PLC0415
    from hiar.runtime.ranks import device_of_rank, num_ranks_of  # noqa: PLC0415
    from hiar.training.run.sharding import is_sharded, joined  # noqa: PLC0415
    from hiar.training.stages.stage import check_batch  # noqa: PLC0415

    keep_freed_memory()
    name = device_of_rank(args.device)
    check_device(name)
    device, dtype = torch.device(name), getattr(torch, config.dtype)
    check_batch(config.batch_size, num_ranks_of())
    with joined(device, always=is_sharded(dtype, 1), same=asdict(config)) as ranks:
        record = train(config, args.out, ranks, device)
    if ranks.is_first:
        _print(record, args)
    return OK


def train(config: TrainConfig, out: Path, ranks: Any, device: Any) -> dict[str, Any]:
    """One run; returns its record, also written to `out/training.json`."""
    from hiar.runtime.folder_settings import claim  # noqa: PLC0415
    from hiar.training.run.loop import run_stage  # noqa: PLC0415
    from hiar.training.run.memory_plan import check_memory  # noqa: PLC0415
    from hiar.training.run.monitor import RunMonitor  # noqa: PLC0415
    from hiar.training.run.setup import Builder  # noqa: PLC0415

    if config.run.memory_check:
        check_memory(config, ranks.num_ranks, device)
    builder = Builder(config, out, ranks, device)
    facts = builder.facts()
    if ranks.is_first:
        claim(out / SETTINGS, facts)
    ranks.wait()
    prepared = builder.prepare()
    monitor = RunMonitor(
        out, ranks, prepared.preview,
        tensorboard=config.run.tensorboard, wandb=config.run.wandb, settings=facts,
    )  # fmt: skip
    with closing(monitor):
        result = run_stage(
            prepared.stage, out, steps=config.steps, operation=config.run, monitor=monitor,
            ranks=ranks, device=device,
        )  # fmt: skip
    record = describe(facts, result, out, str(device), ranks.num_ranks)
    if ranks.is_first:
        from hiar.runtime.files import atomic_write_text  # noqa: PLC0415

        atomic_write_text(out / RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return record


def describe(
    facts: dict[str, Any], result: RunResult, out: Path, device: str, num_ranks: int
) -> dict[str, Any]:
    """The record of a run that reached its end."""
    from hiar.runtime.provenance import provenance  # noqa: PLC0415
    from hiar.training.run.monitor import LOG, read_lines  # noqa: PLC0415

    lines = read_lines(out / LOG) if (out / LOG).exists() else []
    names = [name for name in (lines[-1] if lines else {}) if "loss" in name]
    width = max(1, len(lines) // 50)
    curve = [
        {"step": lines[start]["step"]}
        | {name: _mean(lines[start : start + width], name) for name in names}
        for start in range(0, len(lines), width)
    ]
    return {
        "schema": RECORD_SCHEMA,
        "settings": facts,
        "steps": result.steps,
        "resumed_at": result.first_step,
        "weights": [path.name for path in result.weights],
        "loss_curve": curve,
        "seconds_a_step": _median([line["seconds"] for line in lines]),
        "processor_seconds_a_step": _median([line["processor_seconds"] for line in lines]),
        "peak_memory_bytes": max((line["peak_memory_bytes"] for line in lines), default=None),
        "num_ranks": num_ranks,
        "provenance": provenance(device),
    }


def _mean(lines: list[dict[str, Any]], name: str) -> float | None:
    values = [line[name] for line in lines if name in line]
    return round(sum(values) / len(values), 6) if values else None


def _median(values: list[float]) -> float | None:
    return sorted(values)[len(values) // 2] if values else None


def _dry_run(config: TrainConfig, args: argparse.Namespace) -> int:
    from hiar.training.run.memory_plan import format_plan, memory_plan  # noqa: PLC0415

    world_size = 1 if args.world_size is None else args.world_size
    if world_size < 1:
        raise UsageError(f"--world-size {world_size} must be at least 1")
    plan = memory_plan(config, world_size)
    sys.stdout.write(json.dumps(plan, indent=1) + "\n" if args.json else format_plan(plan))
    return OK


def _print(record: dict[str, Any], args: argparse.Namespace) -> None:
    if args.json:
        print(json.dumps(record, indent=1))  # noqa: T201
        return
    done = record["steps"] - record["resumed_at"]
    names = ", ".join(record["weights"])
    sys.stdout.write(f"{done} steps, {record['steps']} in all; {names} in {args.out}\n")
