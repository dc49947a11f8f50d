"""What a model needs to run, and what of it is missing."""

from dataclasses import dataclass
from pathlib import Path

from baselines.adapters.environments import environment_folder, missing_parts
from baselines.spec import ModelSpec
from baselines.weights import check_weights
from hiar.weights.local import WeightStatus

NVIDIA = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True, kw_only=True)
class ModelStatus:
    """State of a model on this machine.

    Attributes:
        spec: The model.
        weights: Status of each needed file or folder.
        missing_environment: Missing parts of its environment; empty if it needs none.
        num_gpus: Number of GPUs of the machine.
    """

    spec: ModelSpec
    weights: tuple[WeightStatus, ...]
    missing_environment: tuple[Path, ...]
    num_gpus: int

    @property
    def num_present(self) -> int:
        """Number of needed files and folders that exist."""
        return sum(status.present for status in self.weights)

    @property
    def needs(self) -> list[str]:
        """What is missing before the model can run; only external programs need a GPU."""
        needs = [] if self.num_present == len(self.weights) else ["weights"]
        if self.missing_environment:
            needs.append("environment")
        if self.spec.command is not None and not self.num_gpus:
            needs.append("GPU")
        return needs

    @property
    def verdict(self) -> str:
        """Whether the model can run here, as text."""
        if self.needs:
            return f"needs {', '.join(self.needs)}"
        return "ready" if self.num_gpus else "ready, on the CPU: hours a video"


def check_model(spec: ModelSpec, folder: Path, num_gpus: int) -> ModelStatus:
    """Looks for everything that a model needs.

    Args:
        spec: The model.
        folder: The weights folder.
        num_gpus: Number of GPUs of the machine.
    """
    external = spec.command is not None
    return ModelStatus(
        spec=spec,
        weights=check_weights(spec, folder),
        missing_environment=tuple(missing_parts(environment_folder(spec))) if external else (),
        num_gpus=num_gpus,
    )


def count_gpus(listing: Path = NVIDIA) -> int:
    """Number of NVIDIA GPUs, from the driver's files because importing torch takes seconds."""
    return len(list(listing.iterdir())) if listing.is_dir() else 0
