"""Wan's decoder shared by several processes: each holds consecutive parts of it.

A latent frame goes through the parts one after the other, as in one process: what each process
remembers of earlier frames is that of its own parts, and the pictures are equal in every bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

import torch

from hiar.codecs.wan_decoder.layers import History
from hiar.errors import UsageError
from hiar.sampling.pipelined.links import TensorLinks

if TYPE_CHECKING:
    from hiar.codecs.vae import VideoAutoencoder
    from hiar.sampling.pipelined.group import PipelineGroup


def split_parts(costs: Sequence[float], num_stages: int) -> list[slice]:
    """Consecutive shares of parts whose largest is as small as can be.

    Args:
        costs: Work of each part.
        num_stages: Number of shares.

    Raises:
        UsageError: If a share would be empty.
    """
    if num_stages > len(costs):
        raise UsageError(f"{num_stages} decoder ranks: the decoder has {len(costs)} parts to share")
    inner = combinations(range(1, len(costs)), num_stages - 1)
    cuts = ([0, *chosen, len(costs)] for chosen in inner)
    best = min(cuts, key=lambda ends: max(sum(costs[a:b]) for a, b in pairwise(ends)))
    return [slice(a, b) for a, b in pairwise(best)]


class StagedDecoder:
    """This process's share of the decoder; it decodes videos that arrive from the process before.

    Args:
        autoencoder: The VAE, whole in every process.
        group: The processes, of which this one decodes.
    """

    def __init__(self, autoencoder: VideoAutoencoder, group: PipelineGroup) -> None:
        assert group.decoder_stage is not None
        self._autoencoder = autoencoder
        costs = autoencoder.decoder.decoder.costs()
        self._share = split_parts(costs, group.decoder_ranks)[group.decoder_stage]
        self._is_first, self._is_last = group.decoder_stage == 0, group.ranks.is_last
        self._links = TensorLinks(group, autoencoder.device)
        self._histories: list[History] = []
        self._block = 0

    def stream(self) -> StagedDecoder:
        """This decoder, at the beginning of a video."""
        self.reset()
        return self

    def reset(self) -> None:
        """Forget the videos: the next block begins others."""
        self._histories, self._block = [], 0

    def blocks(self) -> Iterator[torch.Tensor]:
        """The latents of each block as it arrives; they go on to the processes after."""
        while (latents := self._links.receive(self._block)) is not None:
            if not self._is_last:
                self._links.send(latents, self._block)
            yield latents
        if not self._is_last:
            self._links.finish(self._block)

    def run(self) -> None:
        """Take part in one video; for a process that is not the last."""
        self.reset()
        for latents in self.blocks():
            self.decode_block(latents)

    @torch.no_grad()
    def decode_block(self, latents: torch.Tensor) -> torch.Tensor:
        """Run this process's parts on the next latent frames [B, f, C, h, w].

        Returns:
            In the last process frames [B, 3, T, 8 h, 8 w] in [-1, 1]; elsewhere nothing, [B, 0].
        """
        self._histories = self._histories or [History() for _ in latents]
        raw = self._autoencoder.denormalise(latents)
        videos = zip(raw, self._histories, strict=True)
        found = torch.stack([self._decode_video(z, history) for z, history in videos])
        self._block += 1
        return found

    def _decode_video(self, latents: torch.Tensor, history: History) -> torch.Tensor:
        decoder = self._autoencoder.decoder
        frames = []
        for frame in latents.unbind(dim=1):
            x = decoder.begin(frame) if self._is_first else self._links.receive(self._block)
            assert x is not None, "the process before ended its stream within a block"
            x = decoder.run(x.to(decoder.dtype), history, self._share)
            if self._is_last:
                frames.append(decoder.end(x))
            else:
                self._links.send(x, self._block)
        return torch.cat(frames, dim=1) if frames else latents.new_empty(0)


def send_blocks(blocks: Iterable[torch.Tensor], group: PipelineGroup, device: torch.device) -> None:
    """Hand clean latents on to the first process that decodes."""
    links, block = TensorLinks(group, device), 0
    for block, latents in enumerate(blocks):
        links.send(latents, block)
    links.finish(block)
