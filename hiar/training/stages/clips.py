"""Encoded clips on disk, with their prompts' embeddings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from hiar.codecs.vae import from_uint8
from hiar.errors import UsageError
from hiar.runtime.files import atomic_write_text
from hiar.tiny.world import render
from hiar.training.flow_matching import Batch
from hiar.weights.tensor_files import write_tensors

if TYPE_CHECKING:
    from hiar.codecs.text import PromptEncoder
    from hiar.codecs.vae import VideoAutoencoder
    from hiar.runtime.progress import Progress
    from hiar.tiny.world import Scene


class ClipFile:
    """Clips of one length: NAME.safetensors with `latents`, NAME.json with their prompts.

    Args:
        path: The safetensors file.
        encoder: Text encoder of the prompts.

    Raises:
        UsageError: If the files are missing or damaged, or do not fit each other.
    """

    def __init__(self, path: Path, encoder: PromptEncoder) -> None:
        try:
            self._latents = load_file(path)["latents"]
            prompts: list[str] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise UsageError(
                f"no clips at {error.filename or path}: `hiar train --stage pretrain` of the tiny "
                "world encodes them itself; else give NAME.safetensors and NAME.json"
            ) from None
        except (SafetensorError, KeyError, ValueError) as error:
            raise UsageError(
                f"the clips at {path} are damaged ({error}): encode them again"
            ) from None
        if len(prompts) != len(self._latents) or self._latents.ndim != 5:
            raise UsageError(
                f"{path} holds latents of shape {list(self._latents.shape)} and its JSON "
                f"{len(prompts)} prompts: they must be [N, F, C, H, W] and N"
            )
        self._text = torch.cat([
            encoder.encode(prompts[start : start + 64]) for start in range(0, len(prompts), 64)
        ])  # fmt: skip

    def __len__(self) -> int:
        """Number of clips."""
        return len(self._latents)

    def read(self, indices: Sequence[int]) -> Batch:
        """The clips with these indices, in this order."""
        rows = list(indices)
        return Batch(latents=self._latents[rows].float(), text=self._text[rows].float())


def encode_scenes(
    autoencoder: VideoAutoencoder,
    scenes: Sequence[Scene],
    num_frames: int,
    progress: Progress,
    *,
    batch_size: int = 4,
) -> torch.Tensor:
    """Latents [N, F, C, H, W] of the first frames of scenes of the tiny world."""
    starts = range(0, len(scenes), batch_size)
    progress.start(len(starts))
    latents = []
    for start in starts:
        clips = [render(scene, num_frames) for scene in scenes[start : start + batch_size]]
        latents.append(autoencoder.encode(torch.cat([from_uint8(clip) for clip in clips])))
        progress.advance()
    progress.finish()
    return torch.cat(latents)


def write_clips(path: Path, latents: torch.Tensor, prompts: Sequence[str]) -> None:
    """Write clips [N, F, C, H, W] for `ClipFile`, the prompts first and the latents last."""
    atomic_write_text(path.with_suffix(".json"), json.dumps(list(prompts), ensure_ascii=False))
    write_tensors(path, {"latents": latents})
