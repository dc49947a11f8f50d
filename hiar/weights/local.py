"""Where weights lie on this machine, which are there, and whether they are what was fetched.

Layout: `<weights folder>/<repository>/<path in it>`, as `hf download --local-dir` writes it. Beside
each file that `hiar weights fetch` wrote lies a hidden record of its address, size and hashes.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from hiar.errors import UsageError
from hiar.runtime.files import atomic_write_text
from hiar.runtime.provenance import file_sha256
from hiar.weights.releases import (
    TEXT_ENCODER,
    TOKENIZER,
    VAE,
    Part,
    WeightFile,
    find_part,
    find_release,
)

ENVIRONMENT_VARIABLE = "HIAR_WEIGHTS"
DEFAULT_FOLDER = "~/.cache/hiar/weights"
RECORD_SCHEMA = "weights/1"
CHUNK_BYTES = 1 << 20
Verdict = Literal["ok", "changed", "damaged", "unverified", "missing"]


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """What is known of one file on disk.

    Attributes:
        address: Where it was fetched from; None if it was put there by hand.
        num_bytes, mtime_ns: Of the file when it was hashed; others mean that it changed since.
        sha256: Of its content.
        checked_against: The publisher's hash that it was compared with, "sha256" or "git blob";
            None if the publisher states none.
    """

    address: str | None
    num_bytes: int
    mtime_ns: int
    sha256: str
    checked_against: str | None


@dataclass(frozen=True, kw_only=True)
class PartStatus:
    """One part in a weights folder; `num_bytes` is what lies there, 0 if it is missing."""

    part: Part
    folder: Path
    target: Path
    present: bool
    num_bytes: int


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


def target_path(file: WeightFile, folder: Path) -> Path:
    """Where a file or folder of a repository belongs."""
    return folder / file.repo / file.path


def is_present(file: WeightFile, folder: Path) -> bool:
    """Whether it is there; a folder if it has a file of the expected kind, not hidden or empty."""
    target = target_path(file, folder)
    return any(
        is_filled(path) for path in (target.glob(file.present) if file.is_folder else [target])
    )


def is_filled(path: Path) -> bool:
    """Whether a path is a whole file, not empty and not the part of a download."""
    hidden = path.name.startswith(".") or path.suffix == ".part"
    return not hidden and path.is_file() and path.stat().st_size > 0


def part_files(part: Part, folder: Path) -> list[Path]:
    """The files of a part that are there, in name order."""
    target = target_path(part.file, folder)
    if not part.file.is_folder:
        return [target] if is_filled(target) else []
    return sorted(path for path in target.rglob("*") if is_filled(path))


def check_part(part: Part, folder: Path) -> PartStatus:
    """Look for one part."""
    return PartStatus(
        part=part,
        folder=folder,
        target=target_path(part.file, folder),
        present=is_present(part.file, folder),
        num_bytes=sum(path.stat().st_size for path in part_files(part, folder)),
    )


def part_records(status: PartStatus) -> dict[str, FileRecord]:
    """Records of a part's files by their path below the part, for those that have one."""
    files = part_files(status.part, status.folder)
    base = status.target if status.part.file.is_folder else status.target.parent
    records = {path.relative_to(base).as_posix(): read_record(path) for path in files}
    return {name: record for name, record in records.items() if record is not None}


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
    statuses = [check_part(find_part(key), root) for key in keys]
    missing = [status for status in statuses if not status.present]
    if missing:
        named = ", ".join(f"{status.part.key} ({status.target})" for status in missing)
        raise UsageError(
            f"weights are missing: {named}; fetch them with: hiar weights fetch "
            f"{fetch or ' '.join(keys)} (or set {ENVIRONMENT_VARIABLE} to where they are)"
        )
    return [status.target for status in statuses]


def record_path(path: Path) -> Path:
    """Where the record of a file lies."""
    return path.with_name(f".{path.name}.json")


def read_record(path: Path) -> FileRecord | None:
    """The record of a file; None if there is none or it cannot be read."""
    try:
        found = json.loads(record_path(path).read_text(encoding="utf-8"))
        if found.pop("schema") != RECORD_SCHEMA:
            return None
        return FileRecord(**found)
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
        return None


def write_record(path: Path, record: FileRecord) -> None:
    """Write the record of a file beside it."""
    facts = {"schema": RECORD_SCHEMA} | asdict(record)
    atomic_write_text(record_path(path), json.dumps(facts, indent=1) + "\n")


def make_record(
    path: Path, *, sha256: str, address: str | None = None, checked_against: str | None = None
) -> FileRecord:
    """A record of a file as it is on disk now."""
    stat = path.stat()
    return FileRecord(
        address=address,
        num_bytes=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        sha256=sha256,
        checked_against=checked_against,
    )


def known_sha256(path: Path) -> str:
    """SHA-256 of a file: from its record while size and time agree, else from its content."""
    record, stat = read_record(path), path.stat()
    if record and (record.num_bytes, record.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
        return record.sha256
    return file_sha256(path)


def verify_file(path: Path, stated: tuple[str, str] | None = None) -> tuple[Verdict, str]:
    """Read a whole file and compare it with its record, or with its publisher's hash.

    Args:
        path: The file.
        stated: Kind ("sha256" or "git blob") and hex of the publisher's hash, if it was asked.

    Returns:
        The verdict and the file's sha256: ok, changed (other content than was fetched or is
        published), damaged (cut short), or unverified (whole as far as its format shows, but no
        hash of it is known).
    """
    sha256, blob = hash_file(path)
    if stated is not None:
        kind, expected = stated
        return ("ok" if expected == (sha256 if kind == "sha256" else blob) else "changed"), sha256
    record = read_record(path)
    if record is not None:
        return ("ok" if record.sha256 == sha256 else "changed"), sha256
    return ("unverified" if is_whole(path) else "damaged"), sha256


def hash_file(path: Path) -> tuple[str, str]:
    """SHA-256 of a file and its hash as a git blob, both as hex."""
    sha256 = hashlib.sha256()
    blob = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            sha256.update(chunk)
            blob.update(chunk)
    return sha256.hexdigest(), blob.hexdigest()


def is_whole(path: Path) -> bool:
    """False if the file's own format shows that its end is missing."""
    if path.suffix == ".safetensors":
        return safetensors_is_whole(path)
    if path.suffix == ".json":
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            return False
    with path.open("rb") as stream:  # torch.save writes a zip, whose directory is at its end
        return stream.read(2) != b"PK" or zipfile.is_zipfile(path)


def safetensors_is_whole(path: Path) -> bool:
    """Whether a safetensors file is as long as its header says."""
    with path.open("rb") as stream:
        try:
            (header_bytes,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(header_bytes))
            ends = [facts["data_offsets"][1] for name, facts in header.items() if name[:2] != "__"]
        except (struct.error, ValueError, OverflowError, MemoryError, KeyError, AttributeError):
            return False
    return bool(path.stat().st_size == 8 + header_bytes + max(ends, default=0))
