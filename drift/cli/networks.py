"""The options of `drift score` for the learned metrics."""

import argparse
from pathlib import Path

from drift.errors import UsageError
from drift.metrics.networks.settings import MetricSettings
from drift.metrics.registry import METRICS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds a group of options."""
    sampled = ", ".join(spec.name for spec in METRICS.values() if spec.sampled)
    choices = "; ".join(
        f"{spec.name}={variant.name}: {variant.about}"
        for spec in METRICS.values()
        for variant in spec.variants[1:]
    )
    group = parser.add_argument_group("learned metrics")
    group.add_argument("--device", default="cpu", metavar="D", help="cpu (default), cuda, cuda:1")
    group.add_argument(
        "--dtype",
        default="auto",
        choices=("auto", "float32", "bfloat16"),
        help="precision inside the networks that tolerate it (default auto: what is fast here)",
    )
    group.add_argument(
        "--batch", type=int, metavar="N", help="frames in a network at once (default: by size)"
    )
    group.add_argument(
        "--every",
        type=int,
        default=1,
        metavar="K",
        help=f"measure {sampled} on every K-th frame only",
    )
    group.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="METRIC=NAME",
        help=f"another way to run a metric; may be repeated. {choices}",
    )
    add_weights_dir(group)
    group.add_argument(
        "--random-weights",
        action="store_true",
        help="seeded random networks, for tests and speed only: every result is marked INVALID",
    )


def add_weights_dir(parser: argparse._ActionsContainer) -> None:
    """Adds `--weights-dir`, the same in every command that has it."""
    parser.add_argument(
        "--weights-dir",
        type=Path,
        metavar="DIR",
        help="folder of weights, looked into before the caches of Hugging Face, torch and CLIP "
        "(default: DRIFT_WEIGHTS, else ~/.cache/drift/weights)",
    )


def settings(arguments: argparse.Namespace) -> MetricSettings:
    """Settings of the networks from the arguments."""
    return MetricSettings(
        device=arguments.device,
        dtype=arguments.dtype,
        batch=arguments.batch,
        weights_dir=arguments.weights_dir,
        random_weights=arguments.random_weights,
    )


def variants(arguments: argparse.Namespace) -> tuple[tuple[str, str], ...]:
    """The `--variant` options as (metric, name).

    Raises:
        UsageError: an option is not METRIC=NAME, or a metric is given twice.
    """
    chosen: dict[str, str] = {}
    for text in arguments.variant:
        metric, equals, name = text.partition("=")
        if not equals or not metric or not name:
            raise UsageError(f"--variant {text}: write METRIC=NAME, such as musiq=spaq")
        if metric in chosen:
            raise UsageError(f"--variant gives {metric} twice; choose one")
        chosen[metric] = name
    return tuple(chosen.items())
