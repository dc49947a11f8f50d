"""The JSON beside a video, which says how it was made and vouches that it is whole.

Two videos are the same when their sidecars name the same `frames_sha256`, of the frames before
they were encoded; `latents_sha256` says it of what was decoded to frames.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def read_sidecar(video: Path) -> dict[str, Any] | None:
    """What stands beside a video; None unless both are there and the video has the size it says."""
    try:
        size = video.stat().st_size
        found = json.loads(video.with_suffix(".json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("video_bytes") != size:
        return None
    return found


class LatentsDigest:
    """SHA-256 of the latents of each video of a batch, taken as they come, in constant memory.

    It is that of the bytes of float32 latents [F, C, h, w], such as `--save-latents` writes.
    """

    def __init__(self) -> None:
        self._hashes: list[Any] = []

    def update(self, latents: torch.Tensor) -> None:
        """Add the next latents [B, f, C, h, w] of all videos, float32 and on the CPU."""
        if not self._hashes:
            self._hashes = [hashlib.sha256() for _ in latents]
        for digest, video in zip(self._hashes, latents, strict=True):
            digest.update(video.contiguous().numpy().data)

    def watch(self, blocks: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        """The same latents [B, f, C, h, w], each added on its way."""
        for latents in blocks:
            self.update(latents.float().cpu())
            yield latents

    @property
    def hexdigests(self) -> list[str]:
        """64 hex digits a video."""
        return [digest.hexdigest() for digest in self._hashes]
