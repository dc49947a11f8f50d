"""Where weights lie on this machine: in a weights folder, or in the caches of other tools.

A weights folder is laid out as `hf download --local-dir` writes it, `<repository>/<path in it>`.
It is looked into first, then the Hugging Face cache, then torch's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hiar.errors import UsageError
from hiar.weights.download import snapshots, torch_cache
from hiar.weights.records import filled_files, is_filled, lacks_shards, noted_sha256
from hiar.weights.releases import (
    TEXT_ENCODER,
    TOKENIZER,
    VAE,
    WeightFile,
    find_part,
    find_release,
)

ENVIRONMENT_VARIABLE = "HIAR_WEIGHTS"
DEFAULT_FOLDER = "~/.cache/hiar/weights"


@dataclass(frozen=True, kw_only=True)
class WeightStatus:
    """Where one file or folder of a repository is on this machine.

    Attributes:
        file: The file or folder.
        target: Where it belongs in the weights folder.
        repository: The folder that holds it at its path in the repository; None if it is missing
            or not whole.
    """

    file: WeightFile
    target: Path
    repository: Path | None

    @property
    def path(self) -> Path | None:
        """Where it is, None if it is missing."""
        return None if self.repository is None else self.repository / self.file.path

    @property
    def cached_revision(self) -> str | None:
        """Commit of a copy in the Hugging Face cache, None elsewhere."""
        if self.repository is None or self.repository.parent.name != "snapshots":
            return None
        return self.repository.name

    @property
    def present(self) -> bool:
        """Whether it is there."""
        return self.repository is not None

    @property
    def files(self) -> list[Path]:
        """Its files, sorted; none if it is missing."""
        if self.path is None:
            return []
        return filled_files(self.path) if self.file.is_folder else [self.path]

    @property
    def num_bytes(self) -> int:
        """Size of its files together."""
        return sum(path.stat().st_size for path in self.files)

    @property
    def sha256(self) -> dict[str, str]:
        """Hashes that are known without reading the files, by path below the part."""
        if self.path is None:
            return {}
        base = self.path if self.file.is_folder else self.path.parent
        known = {path.relative_to(base).as_posix(): noted_sha256(path) for path in self.files}
        return {name: sha256 for name, sha256 in known.items() if sha256}


@dataclass(frozen=True, kw_only=True)
class ReleaseFiles:
    """Paths of everything a release needs."""

    transformer: Path
    lora: Path | None
    text_encoder: Path
    tokenizer: Path
    vae: Path


def weights_folder(
    override: Path | None = None, environment: Mapping[str, str] = os.environ
) -> Path:
    """The folder that holds `<repository>/<path>`.

    Args:
        override: From the command line; wins over the environment.
        environment: Its `HIAR_WEIGHTS` wins over the default, ~/.cache/hiar/weights.

    Raises:
        UsageError: If the path exists and is no folder.
    """
    named = override or environment.get(ENVIRONMENT_VARIABLE) or DEFAULT_FOLDER
    folder = Path(named).expanduser()
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            f"{folder} is not a folder: set {ENVIRONMENT_VARIABLE} or --weights-dir to the folder "
            "of the weights"
        )
    return folder


def is_default(folder: Path) -> bool:
    """Whether nobody named a folder: files from the hub then go to the Hugging Face cache."""
    return folder == Path(DEFAULT_FOLDER).expanduser()


def places(file: WeightFile, folder: Path) -> list[Path]:
    """Folders that may be the repository of a file, the first choice first."""
    if file.host == "github":
        return [folder / file.repo, torch_cache() / "checkpoints"]
    return [folder / file.repo, *snapshots(file.repo, file.revision)]


def target_path(file: WeightFile, folder: Path) -> Path:
    """Where a file or folder of a repository belongs in a weights folder."""
    return folder / file.repo / file.path


def is_there(file: WeightFile, repository: Path) -> bool:
    """Whether a folder holds a file of its repository, or a folder with all its shards."""
    path = repository / file.path
    if not file.is_folder:
        return is_filled(path)
    found = filled_files(path, file.present)
    return bool(found) and not lacks_shards(found)


def find(file: WeightFile, folder: Path) -> WeightStatus:
    """Look for one file or folder of a repository."""
    return find_together((file,), folder)[0]


def find_together(files: Sequence[WeightFile], folder: Path) -> tuple[WeightStatus, ...]:
    """Look for files of one repository that must lie in one folder, as its authors' code reads it.

    Args:
        files: Files and folders of one repository.
        folder: The weights folder.

    Returns:
        A status for each, all in the folder that has most of them.
    """
    repository = best_place(files, folder)
    return tuple(
        WeightStatus(
            file=file,
            target=target_path(file, folder),
            repository=repository if is_there(file, repository) else None,
        )
        for file in files
    )


def best_place(files: Sequence[WeightFile], folder: Path) -> Path:
    """The folder of a repository that has most of some files."""
    return max(places(files[0], folder), key=lambda place: sum(is_there(f, place) for f in files))


def require(key: str, folder: Path | None = None) -> Path:
    """Path of a part that must be there.

    Args:
        key: Name of the part, such as "hiar", "text-encoder" or "vae".
        folder: Weights folder; None is that of the environment.

    Raises:
        UsageError: If it is not there; the message says how to fetch it.
    """
    return _require_all((key,), folder)[0]


def require_release(key: str, folder: Path | None = None) -> ReleaseFiles:
    """Paths of everything that a release needs.

    Args:
        key: Name of the release, such as "hiar".
        folder: Weights folder; None is that of the environment.

    Raises:
        UsageError: If anything is missing, all of it named at once.
    """
    release = find_release(key)
    optional = [] if release.lora_part is None else [release.lora_part]
    keys = (release.part, TEXT_ENCODER, TOKENIZER, VAE, *optional)
    found = dict(zip(keys, _require_all(keys, folder, fetch=key), strict=True))
    return ReleaseFiles(
        transformer=found[release.part],
        lora=None if release.lora_part is None else found[release.lora_part],
        text_encoder=found[TEXT_ENCODER],
        tokenizer=found[TOKENIZER],
        vae=found[VAE],
    )


def _require_all(
    keys: tuple[str, ...], folder: Path | None, *, fetch: str | None = None
) -> list[Path]:
    root = weights_folder(folder)
    statuses = {key: find(find_part(key).file, root) for key in keys}
    missing = [f"{key} ({describe_missing(s)})" for key, s in statuses.items() if not s.present]
    if missing:
        raise UsageError(
            f"weights are missing: {', '.join(missing)}; fetch them with: hiar weights fetch "
            f"{fetch or ' '.join(keys)} (or set {ENVIRONMENT_VARIABLE} to where they are)"
        )
    return [status.path for status in statuses.values() if status.path]


def describe_missing(status: WeightStatus) -> str:
    """Address, hash as far as it is known, and place of a missing file."""
    known = f", {' '.join(status.file.stated)}" if status.file.stated else ""
    return f"{status.file.address}{known} -> {status.target}"
