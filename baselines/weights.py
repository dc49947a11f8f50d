"""Where weights lie on this machine, and which of them are there."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from baselines.spec import ModelSpec, WeightFile

ENVIRONMENT_VARIABLE = "HIAR_WEIGHTS"
DEFAULT_FOLDER = "~/.cache/hiar/weights"


class WeightsFolderError(ValueError):
    """A weights folder that cannot be one; the message is one line for the user."""


@dataclass(frozen=True, kw_only=True)
class WeightStatus:
    """One needed file or folder: where it belongs and whether it is there.

    A folder counts as there if it holds a file of the expected kind; contents are not verified.
    """

    file: WeightFile
    target: Path
    fetch: str
    present: bool


def weights_folder(environment: Mapping[str, str]) -> Path:
    """Returns the folder that holds ``<hub repository>/<file>``.

    Args:
        environment: Usually ``os.environ``; ``HIAR_WEIGHTS`` overrides the default folder.

    Raises:
        WeightsFolderError: The path exists and is not a folder.
    """
    folder = Path(environment.get(ENVIRONMENT_VARIABLE) or DEFAULT_FOLDER).expanduser()
    if folder.exists() and not folder.is_dir():
        raise WeightsFolderError(
            f"{folder} is not a folder; set {ENVIRONMENT_VARIABLE} to the folder of the weights"
        )
    return folder


def check_weights(spec: ModelSpec, folder: Path) -> tuple[WeightStatus, ...]:
    """Looks for everything that a model needs.

    Args:
        spec: The model.
        folder: What ``weights_folder`` returned.

    Returns:
        One status a needed file or folder, in the spec's order.
    """
    return tuple(_check_file(file, folder) for file in spec.weights)


def _check_file(file: WeightFile, folder: Path) -> WeightStatus:
    repository = folder / file.repo
    target = repository / file.path
    if file.is_folder:
        present = any(_is_filled(path) for path in target.glob(file.present))
    else:
        present = _is_filled(target)
    command = ("hf", "download", *file.fetch_arguments, "--local-dir", str(repository))
    return WeightStatus(file=file, target=target, fetch=shlex.join(command), present=present)


def _is_filled(path: Path) -> bool:
    return path.is_file() and path.suffix != ".part" and path.stat().st_size > 0
