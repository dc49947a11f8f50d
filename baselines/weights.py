"""Which weights of a model exist on this machine, and their hashes."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from baselines.spec import ModelSpec
from hiar.errors import UsageError
from hiar.weights.local import is_filled, is_present, known_sha256, read_record, target_path
from hiar.weights.releases import WeightFile


@dataclass(frozen=True, kw_only=True)
class WeightStatus:
    """One needed file or folder: where it belongs, and whether it exists.

    A folder counts as present if it holds a file of the expected kind; contents are not verified.
    """

    file: WeightFile
    target: Path
    present: bool

    @property
    def sha256(self) -> dict[str, str]:
        """Hashes that `fetch` checked and noted, by path of the file."""
        files = [self.target] if self.target.is_file() else sorted(self.target.rglob("*"))
        records = {path: read_record(path) for path in files if is_filled(path)}
        return {str(path): record.sha256 for path, record in records.items() if record}


def check_weights(spec: ModelSpec, folder: Path) -> tuple[WeightStatus, ...]:
    """Looks for all weights that a model needs.

    Args:
        spec: The model.
        folder: The weights folder; see ``hiar.weights.local.weights_folder``.

    Returns:
        One status for each needed file or folder, in the spec's order.
    """
    return tuple(
        WeightStatus(file=file, target=target_path(file, folder), present=is_present(file, folder))
        for file in spec.weights
    )


def require_weights(spec: ModelSpec, folder: Path) -> None:
    """Checks that all weights of a model exist.

    Raises:
        UsageError: Weights are missing; the message names each with its address and its place.
    """
    missing = [status for status in check_weights(spec, folder) if not status.present]
    if missing:
        named = "; ".join(f"{status.file.address} -> {status.target}" for status in missing)
        raise UsageError(
            f"weights of {spec.key} are missing: {named}; get them with: hiar-baselines fetch "
            f"{spec.key} (it checks each file's published hash), or pass --weights FOLDER"
        )


def folder_sha256(folder: Path) -> str:
    """SHA-256 over the names and hashes of a folder's safetensors files, as hex."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        digest.update(f"{path.relative_to(folder).as_posix()} {known_sha256(path)}\n".encode())
    return digest.hexdigest()
