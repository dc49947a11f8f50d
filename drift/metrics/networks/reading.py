"""Reads checkpoint files as name -> tensor, without running any code that a file may hold."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from drift.errors import UsageError
from drift.metrics.weights.local import require, weights_folder

SIZES_IN_OPENAI_FILE = ("input_resolution", "context_length", "vocab_size")


def read_weights(name: str, folder: Path | None) -> dict[str, Tensor]:
    """Reads one file of `drift.metrics.weights.local.WEIGHTS`.

    Args:
        name: Name of the file in that table.
        folder: Weights folder; None for the default one.

    Returns:
        Name -> tensor, as stored.

    Raises:
        UsageError: the file is missing, damaged or no checkpoint.
    """
    return read_checkpoint(require((name,), weights_folder(folder))[name])


def read_openai(name: str, folder: Path | None) -> dict[str, Tensor]:
    """Reads a file of OpenAI's CLIP: half-precision weights, beside three sizes left out here.

    Args:
        name: Name of the file in `WEIGHTS`.
        folder: Weights folder; None for the default one.

    Returns:
        Name -> tensor, float32.
    """
    state = read_weights(name, folder)
    return {k: v.float() for k, v in state.items() if k not in SIZES_IN_OPENAI_FILE}


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Reads a safetensors file, a PyTorch checkpoint or a TorchScript archive.

    Raises:
        UsageError: the file is none of these.
    """
    try:
        state: Any = load_file(path) if path.suffix == ".safetensors" else _read_pytorch(path)
    except (RuntimeError, SafetensorError, pickle.UnpicklingError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"{path} is no checkpoint that can be read ({reason})") from None
    if isinstance(state.get("params"), Mapping):
        state = state["params"]  # the layout of pyiqa's files
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def _read_pytorch(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    if is_zip and _is_torchscript(path):
        # Loading defines the functions of the archive but runs none; only its tensors are used.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # deprecated, yet the published format
            return dict(torch.jit.load(str(path), map_location="cpu").state_dict())
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _is_torchscript(path: Path) -> bool:
    reader = torch._C.PyTorchFileReader(str(path))
    return "constants.pkl" in reader.get_all_records()
