"""What is measured on every video of a run and how, checked before the first one is decoded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from typing import Any

import av
import cv2

from drift.metrics.networks.settings import MetricSettings
from drift.metrics.registry import METRICS, MetricSpec
from drift.metrics.weights.local import identities, require, weights_folder
from drift.score.config import ScoreConfig

RANDOM_WEIGHTS = "random"
ALWAYS_MEASURED = ("difference",)
"""Metrics that are measured even if no one asks for them: `drift.score.frozen` needs them."""
INVALID = "INVALID: random weights (--random-weights); the learned metrics measure nothing"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured on every video of a run, and how.

    Args:
        config: Metrics, segments and sampling.
        settings: Device, precision and batch of this machine.
        keys: Metric -> everything besides the file that its values depend on; if it changes, the
            metric is measured again.
        weights: Weight file -> sha256, or `random`.
        precision: Learned metric -> float32 or bfloat16.
    """

    config: ScoreConfig
    settings: MetricSettings = field(default_factory=MetricSettings)
    keys: Mapping[str, str]
    weights: Mapping[str, str] = field(default_factory=dict)
    precision: Mapping[str, str] = field(default_factory=dict)

    @property
    def learned(self) -> bool:
        """Whether some metric runs a network."""
        return bool(self.precision)

    @property
    def invalid(self) -> str | None:
        """Why the numbers of the run are meaningless; None if they are not."""
        return INVALID if self.learned and self.settings.random_weights else None

    def about(self) -> dict[str, Any]:
        """Device, weights and precision for the provenance, without paths of this machine."""
        about: dict[str, Any] = {"device": self.settings.device_kind}
        if self.learned:
            about |= {"weights": dict(self.weights), "precision": dict(self.precision)}
        return about | ({"invalid": self.invalid} if self.invalid else {})


def make_plan(config: ScoreConfig, settings: MetricSettings) -> Plan:
    """Checks weights and device, and makes the plan.

    Args:
        config: Metrics, segments and sampling.
        settings: Device, precision and weights folder.

    Returns:
        The plan.

    Raises:
        UsageError: a weight file is missing or damaged, or the device does not exist.
    """
    specs = [METRICS[name] for name in dict.fromkeys((*config.metrics, *ALWAYS_MEASURED))]
    learned = [spec for spec in specs if spec.learned]
    weights = _weights(learned, config, settings)
    precision = {spec.name: _precision(spec, settings) for spec in learned}
    keys = {spec.name: _key(spec, config) for spec in specs}
    for spec in learned:
        used = config.variant(spec).weights
        parts = {
            "weights": "+".join(weights[name][1][:16] for name in used),
            "precision": precision[spec.name],
            "device": settings.device_kind,
            "torch": version("torch"),
        }
        keys[spec.name] += "".join(f" {name}/{value}" for name, value in parts.items())
    return Plan(
        config=config,
        settings=settings,
        keys=keys,
        weights=dict(weights.values()),
        precision=precision,
    )


def _weights(
    specs: list[MetricSpec], config: ScoreConfig, settings: MetricSettings
) -> dict[str, tuple[str, str]]:
    """Name of each weight -> file name and sha256."""
    names = [name for spec in specs for name in config.variant(spec).weights]
    if settings.random_weights:
        return {name: (name, RANDOM_WEIGHTS) for name in names}
    return identities(require(names, weights_folder(settings.weights_dir)))


def _precision(spec: MetricSpec, settings: MetricSettings) -> str:
    loading = import_module("drift.metrics.networks.loading")  # imports torch
    loading.device_of(settings)
    tolerant = import_module(f"drift.metrics.{spec.name}").TOLERATES_BFLOAT16
    return str(loading.precision(settings, tolerates_bfloat16=tolerant)).removeprefix("torch.")


def _key(spec: MetricSpec, config: ScoreConfig) -> str:
    name = f"{spec.name}/{spec.version} av/{av.__version__} opencv/{cv2.__version__}"
    if spec.learned:
        name += f" variant/{config.variant(spec).name}"
    return name + (f" every/{config.every}" if spec.sampled and config.every > 1 else "")
