"""Read tensors from weights files, executing nothing that they hold, and write them whole."""

from __future__ import annotations

import json
import os
import pickle
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from hiar.errors import UsageError
from hiar.runtime.files import atomic_path

GLOBAL_IN_PICKLE = re.compile(r"GLOBAL ([\w.]+)")
ERROR_NUMBER = re.compile(r"\(os error (\d+)\)")
PICKLE_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")


def read_tensors(path: Path) -> dict[str, Any]:
    """Read a file or a folder of shards; nothing in it is executed."""
    if not path.exists():
        raise UsageError(f"no weights at {path}: give a .safetensors or .pt file, or their folder")
    if path.is_dir():
        index = next(iter(sorted(path.glob("*.safetensors.index.json"))), None)
        if index is not None:
            names = shard_names(index)
            shards = [path / name for name in names]
        else:
            shards = sorted(path.glob("*.safetensors"))
        if not shards:
            raise UsageError(f"the folder {path} holds no .safetensors file")
        missing = [shard.name for shard in shards if not shard.exists()]
        if missing:
            raise UsageError(f"{path} lacks {', '.join(missing)}, which its index names")
        return join_shards(shards)
    return read_file(path)


def join_shards(shards: Sequence[Path]) -> dict[str, Any]:
    """The tensors of all shards; a tensor in two of them is an error."""
    joined: dict[str, Any] = {}
    for shard in shards:
        found = read_file(shard)
        twice = joined.keys() & found.keys()
        if twice:
            raise UsageError(
                f"{shard.parent} holds {min(twice)} in two files: keep one model's files there"
            )
        joined |= found
    return joined


def shard_names(index: Path) -> list[str]:
    """The shards that an index names."""
    try:
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{index} is no index of shards: fetch it again") from None
    outside = [name for name in names if Path(name).name != name]
    if outside:
        raise UsageError(f"{index} names {outside[0]!r}, which is not beside it: refused")
    return names


def read_file(path: Path) -> dict[str, Any]:
    """Read one weights file.

    Raises:
        UsageError: If its suffix is unknown, it is damaged, its pickle asks to run code, or it
            holds no state dict.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        if path.suffix in PICKLE_SUFFIXES:
            # Files older than torch 1.6 are no zip and cannot be mapped into memory.
            mapped = zipfile.is_zipfile(path)
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        else:
            suffix = path.suffix
            raise UsageError(f"{path} has suffix {suffix!r}: weights are .safetensors or .pt files")
    except (SafetensorError, OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        code = GLOBAL_IN_PICKLE.search(str(error))
        if code is not None:
            raise UsageError(
                f"{path} wants to run {code[1]} while it is read: refused, as it could do anything;"
                " ask for a file of plain tensors (.safetensors)"
            ) from error
        reason = str(error).splitlines()[0] if str(error) else "empty"
        if reason.startswith("Weights only"):  # goes on to advise how to run whatever is in it
            reason = "its pickle is none of plain tensors"
        raise UsageError(
            f"{path} is damaged or no weights file ({reason}): fetch it again"
        ) from error
    if not isinstance(loaded, Mapping):
        raise UsageError(f"{path} holds a {type(loaded).__name__}, not a state dict")
    return dict(loaded)


def write_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write a .safetensors file in one piece.

    Args:
        path: File to write; its folder is made if need be.
        tensors: Tensors by name.
        metadata: Texts by name that the file carries along.

    Raises:
        OSError: If the disk does not take it; safetensors hides that in an error of its own.
    """
    with atomic_path(path) as temporary:
        try:
            whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
            save_file(whole, temporary, metadata=metadata)
        except SafetensorError as error:
            number = ERROR_NUMBER.search(str(error))
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error
