"""What this machine lacks for measuring, and which metrics do not run because of it."""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from drift.cli.weights import describe
from drift.metrics.registry import METRICS
from drift.metrics.weights.local import OFFLINE_VARIABLES, WEIGHTS, default_names, is_offline

SCHEMA = "drift-doctor/1"
FOR_ALL = "every command"
PACKAGES = {
    "av": FOR_ALL,
    "numpy": FOR_ALL,
    "opencv-python": FOR_ALL,
    "pyarrow": FOR_ALL,
    "jinja2": FOR_ALL,
    "torch": "the learned metrics",
    "einops": "musiq, clip_iqa, dino_coherence",
    "safetensors": "the learned metrics",
    "open_clip_torch": "clip_text",
    "lpips": "nothing: it carries the heads of lpips, which `drift weights fetch` has too",
    "pyiqa": "nothing: the tests compare with it (noncommercial licence)",
}
"""Package -> what does not run without the package."""


def examine(folder: Path, *, hashed: bool) -> dict[str, Any]:
    """Examines packages, devices and weights.

    Args:
        folder: Folder of the weights.
        hashed: Compare the weights with their published hashes, which reads every file.

    Returns:
        Data for JSON: `python`, `platform`, `offline`, `packages`, `torch`, `weights_folder`,
        `weights`, `metrics` (name -> whether it runs, and what it lacks), `todo`.
    """
    packages = [
        {"name": name, "version": _version(name), "disables": disables}
        for name, disables in PACKAGES.items()
    ]
    weights = [describe(weight, folder, hashed=hashed) for weight in WEIGHTS.values()]
    return {
        "schema": SCHEMA,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "offline": is_offline(),
        "packages": packages,
        "torch": _torch(),
        "weights_folder": str(folder),
        "weights": weights,
        "metrics": _metrics(weights),
        "todo": _todo(packages, weights),
    }


def _version(package: str) -> str | None:
    for name in (package, f"{package}-headless"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def _torch() -> dict[str, Any]:
    """Devices that torch sees, and whether bfloat16 is fast on each."""
    try:
        import torch  # noqa: PLC0415  (takes seconds)
    except (ImportError, OSError) as error:
        return {"loads": False, "reason": str(error), "devices": []}
    amx = bool(torch.cpu.get_capabilities().get("amx_bf16", False))
    devices = [{"name": "cpu", "model": f"{torch.get_num_threads()} threads", "bfloat16": amx}]
    devices += [
        {
            "name": f"cuda:{index}",
            "model": torch.cuda.get_device_name(index),
            "bfloat16": torch.cuda.is_bf16_supported(including_emulation=False),
        }
        for index in range(torch.cuda.device_count())
    ]
    return {"loads": True, "reason": "", "devices": devices}


def _metrics(weights: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    states = {row["name"]: row["state"] for row in weights}
    lacking = {
        name if index == 0 else f"{name}={variant.name}": [
            weight for weight in variant.weights if states[weight] != "present"
        ]
        for name, spec in METRICS.items()
        for index, variant in enumerate(spec.variants)
    }
    lacking |= {name: [] for name, spec in METRICS.items() if not spec.learned}
    return {name: {"runs": not lacks, "lacks": lacks} for name, lacks in lacking.items()}


def _todo(packages: Sequence[dict[str, Any]], weights: Sequence[dict[str, Any]]) -> list[str]:
    todo = [
        f"pip install {package['name']}: without it {package['disables']} cannot run"
        for package in packages
        if package["version"] is None and not package["disables"].startswith("nothing")
    ]
    needed = default_names()
    names = [r["name"] for r in weights if r["state"] != "present" and r["name"] in needed]
    if names:
        todo.append(f"drift weights fetch {' '.join(names)}")
    if names and is_offline():
        todo.append(f"unset {' and '.join(OFFLINE_VARIABLES)} first: downloads are forbidden")
    return todo
