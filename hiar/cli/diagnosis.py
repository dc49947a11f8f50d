"""What this machine has and lacks, and what cannot run because of it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hiar.weights.local import find
from hiar.weights.releases import RELEASES, parts_of

GIB = 2**30
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, kw_only=True)
class Package:
    """A Python package and what it enables; `module` is its import name."""

    name: str
    module: str
    enables: str
    required: bool = True


PACKAGES = (
    Package(name="torch", module="torch", enables="everything"),
    Package(name="einops", module="einops", enables="the transformer"),
    Package(name="safetensors", module="safetensors", enables="loading weights"),
    Package(name="numpy", module="numpy", enables="frames"),
    Package(name="transformers", module="transformers", enables="prompts (text encoder)"),
    Package(name="ftfy", module="ftfy", enables="prompts (cleaning, as Wan does it)"),
    Package(name="diffusers", module="diffusers", enables="frames from latents (the VAE)"),
    Package(name="av", module="av", enables="writing mp4 files"),
    Package(
        name="triton", module="triton", required=False,
        enables="the VAE's norm as one kernel on a GPU; comes with PyTorch for GPUs on Linux",
    ),
    Package(
        name="flash-attn-4", module="flash_attn.cute", required=False,
        enables="the flash_attn_4 attention backend (Hopper, Blackwell); pip install "
        "'hiar-toolkit[flash4]'",
    ),
    Package(
        name="flash-attn", module="flash_attn.flash_attn_interface", required=False,
        enables="the flash_attn attention backend (older GPUs); PyTorch's own is used without it",
    ),
)  # fmt: skip


def examine(folder: Path) -> dict[str, Any]:
    """Everything worth knowing before a run.

    Args:
        folder: Weights folder.

    Returns:
        Plain data: machine, torch, devices, packages, releases.
    """
    packages = [asdict(package) | {"version": find_version(package)} for package in PACKAGES]
    return {
        "machine": examine_machine(folder),
        "torch": examine_torch(),
        "packages": packages,
        "releases": [examine_release(release.key, folder) for release in RELEASES],
    }


def find_version(package: Package) -> str | None:
    """The installed version, None if the package cannot be imported."""
    try:
        if importlib.util.find_spec(package.module) is None:
            return None
    except ModuleNotFoundError:  # not even the package that the module would be in
        return None
    try:
        return version(package.name)
    except PackageNotFoundError:
        return "unknown"


def examine_machine(folder: Path) -> dict[str, Any]:
    """Processors, memory and the disk of the weights folder."""
    disk = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processors": len(os.sched_getaffinity(0)),
        "memory_bytes": memory_bytes(),
        "weights_folder": str(folder),
        "disk_free_bytes": shutil.disk_usage(disk).free,
    }


def memory_bytes() -> int:
    """Main memory, or the container's share of it if that is less."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = CGROUP_LIMIT.read_text().strip()
    except OSError:
        return memory
    return min(memory, int(limit)) if limit.isdigit() else memory


def examine_torch() -> dict[str, Any]:
    """PyTorch's version and devices; `error` says why it does not load."""
    try:
        import torch  # noqa: PLC0415  (seconds to import)

        from hiar.runtime.device import why_no_gpu  # noqa: PLC0415
    except (ImportError, OSError) as error:
        return {"version": None, "error": str(error).splitlines()[0], "devices": []}
    return {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "threads": torch.get_num_threads(),
        "no_gpu": None if torch.cuda.device_count() else why_no_gpu(),
        "devices": [
            {
                "name": f"cuda:{index}",
                "model": torch.cuda.get_device_name(index),
                "memory_bytes": torch.cuda.get_device_properties(index).total_memory,
                "free_bytes": torch.cuda.mem_get_info(index)[0],
                "bfloat16": torch.cuda.is_bf16_supported(),
            }
            for index in range(torch.cuda.device_count())
        ],
    }


def examine_release(key: str, folder: Path) -> dict[str, Any]:
    """Whether a release can run, and which of its weights are missing."""
    missing = [part.key for part in parts_of(key) if not find(part.file, folder).present]
    return {"name": key, "ready": not missing, "missing": missing}


def findings(facts: dict[str, Any]) -> list[str]:
    """What is missing, what that disables and the remedy, one line each."""
    lines = [
        f"{package['name']} is missing: no {package['enables']}; pip install {package['name']}"
        for package in facts["packages"]
        if package["required"] and package["version"] is None
    ]
    if facts["torch"].get("error"):
        lines.append(f"torch does not load: {facts['torch']['error']}")
    elif not facts["torch"]["devices"]:
        lines.append(f"no GPU that torch can use: {facts['torch']['no_gpu']}")
        # 8 calls of 40 TFLOP a block of 12 frames at 480 x 832 px, window full.
        lines.append("without a GPU full-size models are out of reach: they need 27 TFLOP a frame")
    waiting = [release for release in facts["releases"] if not release["ready"]]
    lines += [
        f"{release['name']} lacks {', '.join(release['missing'])}: "
        f"hiar weights fetch {release['name']}"
        for release in waiting
    ]
    return lines
