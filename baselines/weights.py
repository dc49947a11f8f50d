"""Where weights lie on this machine, and which of them are there."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from baselines.spec import ModelSpec
from hiar.releases import WeightFile
from hiar.weights import is_present, target_path


@dataclass(frozen=True, kw_only=True)
class WeightStatus:
    """One needed file or folder: where it belongs and whether it is there.

    A folder counts as there if it holds a file of the expected kind; contents are not verified.
    """

    file: WeightFile
    target: Path
    fetch: str
    present: bool


def check_weights(spec: ModelSpec, folder: Path) -> tuple[WeightStatus, ...]:
    """Looks for everything that a model needs.

    Args:
        spec: The model.
        folder: The weights folder; see ``hiar.weights.weights_folder``.

    Returns:
        One status a needed file or folder, in the spec's order.
    """
    return tuple(_check_file(file, folder) for file in spec.weights)


def _check_file(file: WeightFile, folder: Path) -> WeightStatus:
    command = (*_fetch_command(file), "--local-dir", str(folder / file.repo))
    return WeightStatus(
        file=file,
        target=target_path(file, folder),
        fetch=shlex.join(command),
        present=is_present(file, folder),
    )


def _fetch_command(file: WeightFile) -> tuple[str, ...]:
    """``hf download`` with the arguments that select a file, without ``--local-dir``."""
    if file.path == "":
        return ("hf", "download", file.repo)
    if file.is_folder:
        return ("hf", "download", file.repo, "--include", f"{file.path}*")
    return ("hf", "download", file.repo, file.path)
