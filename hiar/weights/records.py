"""What is known of the content of weights: hashes, where a file came from, whether it is whole.

Beside each file that `hiar weights fetch` put into a weights folder lies a hidden record of its
address, size and hash. A large file in the Hugging Face cache needs none: its sha256 is its name.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from hiar.runtime.files import atomic_write_text
from hiar.runtime.provenance import file_sha256
from hiar.weights.download import hash_file, named_hash

RECORD_SCHEMA = "weights/1"
Verdict = Literal["ok", "changed", "damaged", "unverified", "missing"]
_SHARD = re.compile(r"(.+)-\d{5}-of-(\d{5})\.safetensors")


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """What is known of one file on disk.

    Attributes:
        address: Where it was fetched from; None if it was put there by hand.
        num_bytes, mtime_ns: Size and time of the file when it was hashed; others mean another file.
        sha256: SHA-256 of the file's content.
        checked_against: The publisher's hash that it was compared with, "sha256" or "git blob";
            None if the publisher states none.
    """

    address: str | None
    num_bytes: int
    mtime_ns: int
    sha256: str
    checked_against: str | None


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


def noted_sha256(path: Path) -> str | None:
    """SHA-256 of a file as far as it is known without reading the file: by record or by name."""
    record, stat = read_record(path), path.stat()
    if record and (record.num_bytes, record.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
        return record.sha256
    kind, named = named_hash(path) or ("", "")
    return named if kind == "sha256" and is_whole(path) else None


def known_sha256(path: Path) -> str:
    """SHA-256 of a file, read from its content only if it is not known otherwise."""
    return noted_sha256(path) or file_sha256(path)


def weights_sha256(path: Path) -> str:
    """SHA-256 of weights: of a file, or over the names and hashes of a folder's files.

    A folder counts by its safetensors files, so that a README more is no other model; a folder
    without any, such as a tokenizer's, counts by all its files.
    """
    if path.is_file():
        return known_sha256(path)
    files = filled_files(path)
    tensors = [file for file in files if file.suffix == ".safetensors"]
    digest = hashlib.sha256()
    for file in tensors or files:
        digest.update(f"{file.relative_to(path).as_posix()} {known_sha256(file)}\n".encode())
    return digest.hexdigest()


def filled_files(folder: Path, pattern: str = "**/*") -> list[Path]:
    """Files of a folder that are neither empty nor hidden nor in a hidden folder, sorted."""
    found = (path for path in folder.glob(pattern) if is_filled(path))
    return sorted(path for path in found if not _is_hidden(path.relative_to(folder)))


def is_filled(path: Path) -> bool:
    """Whether a path is a file with content, and not the part of a download."""
    return path.is_file() and path.suffix != ".part" and path.stat().st_size > 0


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def lacks_shards(files: Iterable[Path]) -> bool:
    """Whether a safetensors file says that it is one of several, of which some are not there."""
    shards: dict[tuple[Path, str, str], int] = {}
    for path in files:
        if found := _SHARD.fullmatch(path.name):
            key = (path.parent, found[1], found[2])
            shards[key] = shards.get(key, 0) + 1
    return any(num_files < int(total) for (_, _, total), num_files in shards.items())


def verify_file(path: Path, stated: tuple[str, str] | None = None) -> tuple[Verdict, str]:
    """Read a whole file and compare it with what is known of it.

    Args:
        path: The file.
        stated: Kind ("sha256" or "git blob") and hex of the publisher's hash, if it is known.

    Returns:
        The verdict and the file's sha256: ok, changed (other content than was fetched or is
        published), damaged (cut short), or unverified (whole as far as its format shows, but no
        hash of it is known).
    """
    sha256, blob = hash_file(path)
    record = read_record(path)
    stated = stated or (("sha256", record.sha256) if record else named_hash(path))
    if stated is None:
        return ("unverified" if is_whole(path) else "damaged"), sha256
    kind, expected = stated
    return ("ok" if expected == (sha256 if kind == "sha256" else blob) else "changed"), sha256


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
