"""What jobs require of a machine beside the toolkit, and what of it is missing here."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from baselines.adapters.environments import environment_folder, missing_parts
from baselines.registry import find_model
from baselines.weights import check_weights
from drift.metrics.registry import METRICS, resolve_metrics
from drift.metrics.weights.local import WEIGHTS, state_of
from drift.metrics.weights.local import weights_folder as metric_weights_folder
from eval.upstream.environment import default_environment
from eval.upstream.isolated_process import python_of
from hiar.weights.local import weights_folder
from hiar.weights.releases import PARTS


def missing_requirements(
    names: Iterable[str], paths: Mapping[str, str], get: Mapping[str, str]
) -> dict[str, str]:
    """Looks for everything that jobs require, each thing once.

    Args:
        names: Requirements such as `model hiar`, `metric all`, `file {data}/x`, `vbench`.
        paths: What `{data}` stands for.
        get: How to get a file, by file.

    Returns:
        One line for each requirement that is not met: what is missing, and the remedy.
    """
    found = {name: _look(name, paths, get) for name in dict.fromkeys(names)}
    return {name: reason for name, reason in found.items() if reason}


def _look(name: str, paths: Mapping[str, str], get: Mapping[str, str]) -> str:
    if name == "vbench":
        return _missing_vbench()
    kind, _, what = name.partition(" ")
    if kind == "model":
        return _missing_model(what)
    if kind == "metric":
        return _missing_metrics(what)
    assert kind == "file", name
    if Path(what.replace("{data}", paths["data"])).is_file():
        return ""
    remedy = get.get(what, "train it (hiar train) and put its checkpoint there")
    return f"needs {what.replace('{data}', 'DATA')}: {remedy.replace('{data}', 'DATA')}"


def _missing_model(key: str) -> str:
    """Looks for a model's weights, and for the environment of an external program."""
    spec = find_model(key)
    absent = [s for s in check_weights(spec, weights_folder()) if not s.present]
    needs = []
    if absent:
        others = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        sizes = {part.file: part.num_bytes for part in PARTS}
        known = sum(sizes.get(status.file) or 0 for status in absent)
        size = f" (at least {known / 1e9:.0f} GB)" if known else ""
        needs.append(f"weights {absent[0].file.repo}{others}{size}")
    if spec.command is not None and missing_parts(environment_folder(spec)):
        needs.append("its environment")
    return f"needs {' and '.join(needs)}: hiar-baselines show {key}" if needs else ""


def _missing_metrics(group: str) -> str:
    folder = metric_weights_folder()
    learned = [METRICS[name] for name in resolve_metrics((group,)) if METRICS[name].learned]
    names = [weight for metric in learned for weight in metric.variants[0].weights]
    absent = [name for name in names if state_of(WEIGHTS[name], folder) != "present"]
    if not absent:
        return ""
    return f"needs metric weights {', '.join(absent)}: drift weights fetch"


def _missing_vbench() -> str:
    folder = default_environment()
    if python_of(folder).exists():
        return ""
    return "needs VBench's isolated environment: hiar-vbench setup"


def visible_gpus() -> tuple[str, ...]:
    """Returns the ids of this machine's GPUs that `nvidia-smi` lists; none without that tool."""
    if shutil.which("nvidia-smi") is None:
        return ()
    done = subprocess.run(
        ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return tuple(done.stdout.split()) if done.returncode == 0 else ()
