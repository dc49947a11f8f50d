"""Measurements before a pipeline is timed: links, fused passes, how ranks slow one another."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from hiar.bench.rows import Contention, FusedChoice, Link
from hiar.model.geometry import token_grid
from hiar.model.kv_cache import CacheSlot, KVCache
from hiar.runtime.device import Stopwatch
from hiar.sampling.noise import initial_noise
from hiar.sampling.sampler import sample_latents

if TYPE_CHECKING:
    from hiar.model.transformer import CausalWan
    from hiar.runtime.ranks import Ranks
    from hiar.sampling.config import SamplerConfig

ROUNDS = 5
"""Round trips of a message; the quickest counts."""
SMALL_BYTES = 4096
"""Size of a message whose time is all latency."""
LARGE_FACTOR = 8
"""The large message is this many blocks, so that latency hardly counts in its time."""


def measure_link(ranks: Ranks, num_bytes: int, device: torch.device) -> Link | None:
    """Time messages to and fro between the first two ranks; None for one rank.

    Args:
        ranks: This process among its peers.
        num_bytes: Bytes of a block.
        device: Where messages lie while they pass from rank to rank.
    """
    if ranks.num_ranks == 1:
        return None
    large_bytes = LARGE_FACTOR * max(num_bytes, SMALL_BYTES)
    small_s = _one_way_s(ranks, SMALL_BYTES, device)
    large_s = _one_way_s(ranks, large_bytes, device)
    rate = (large_bytes - SMALL_BYTES) / max(large_s - small_s, 1e-9)
    link: Link = ranks.from_first(Link(latency_s=small_s, bytes_per_s=rate))
    return link


def _one_way_s(ranks: Ranks, num_bytes: int, device: torch.device) -> float:
    """Half of the quickest round trip of a message; 0 on ranks that take no part."""
    from torch import distributed  # noqa: PLC0415

    message = torch.zeros(num_bytes // 4, device=device)
    watch, seconds = Stopwatch(device), [float("inf")]
    ranks.wait()
    for _ in range(ROUNDS if ranks.rank < 2 else 0):
        start = watch.mark()
        if ranks.is_first:
            distributed.send(message, 1)
            distributed.recv(message, 1)
        else:
            distributed.recv(message, 0)
            distributed.send(message, 0)
        seconds.append(watch.seconds(start, watch.mark()))
    return min(seconds) / 2


class PassProbe:
    """Runs single passes of a steady block, with the window full, on this rank's device.

    Args:
        model: The transformer.
        sampler: Settings of the video.
        latent_size: Rows and columns of a latent frame.
        latent_frames: Latent frames of the video; the window may exceed them.
    """

    def __init__(
        self,
        model: CausalWan,
        sampler: SamplerConfig,
        *,
        latent_size: tuple[int, int],
        latent_frames: int,
    ) -> None:
        config, device, size = model.config, model.device, sampler.frames_per_block
        rows, columns = token_grid(*latent_size, config.patch_size)
        capacity = min(sampler.window or latent_frames, latent_frames)
        self._model, self._watch = model, Stopwatch(device)
        self._text = model.encode_text(torch.zeros(1, 1, config.text_dim, device=device))
        self._blocks = torch.randn(2, 1, size, config.in_channels, *latent_size, device=device)
        self._times = torch.tensor([500.0, 900.0], device=device)
        self._cache = KVCache(
            config, batch_size=1, frame_tokens=rows * columns, capacity=capacity, device=device,
            dtype=model.dtype,
        )  # fmt: skip
        # As if earlier blocks had filled the window; what they hold does not change the time.
        shape = (1, capacity * rows * columns, config.num_heads, config.head_dim)
        zeros = torch.zeros(shape, device=device, dtype=model.dtype)
        for layer in range(config.num_layers):
            self._cache.write(layer, 0, zeros, zeros)
        self._first, self._next = capacity - size, capacity

    @torch.no_grad()
    def denoise(self) -> None:
        """The denoising pass of a block."""
        self._cache.advance(self._next)
        self._model.forward_cached(
            self._blocks[1], self._times[1:], self._text, [CacheSlot(self._cache, self._first)]
        )

    @torch.no_grad()
    def apart(self) -> None:
        """A context pass, then the denoising pass of the next block."""
        self._cache.advance(self._next)
        for index, first_frame in enumerate((self._first, self._next)):
            self._model.forward_cached(
                self._blocks[index], self._times[index : index + 1], self._text,
                [CacheSlot(self._cache, first_frame)], num_context=1 - index,
            )  # fmt: skip

    @torch.no_grad()
    def fused(self) -> None:
        """The same two in one fused pass."""
        self._cache.advance(self._next)
        self._model.forward_cached(
            self._blocks.flatten(0, 1), self._times, self._text.repeat(2),
            [CacheSlot(self._cache, self._first), CacheSlot(self._cache, self._next)],
            num_context=1,
        )  # fmt: skip

    def seconds(
        self,
        *actions: Callable[[], None],
        repeats: int = 3,
        of: Callable[[list[float]], float] = statistics.median,
    ) -> list[float]:
        """Seconds of each action. Actions take turns, so that other load slows them alike.

        Args:
            actions: Functions to time.
            repeats: Times that each is run, after a first one that is not counted.
            of: What to make of the seconds of an action's repeats.
        """
        found: list[list[float]] = [[] for _ in actions]
        for action in actions:
            action()
        for _ in range(repeats):
            for action, seconds in zip(actions, found, strict=True):
                start = self._watch.mark()
                action()
                seconds.append(self._watch.seconds(start, self._watch.mark()))
        return [of(seconds) for seconds in found]


SAMPLE_BLOCKS = 3
"""Blocks of the video by which kernels are compared: enough for errors to be passed on."""


@torch.no_grad()
def short_sample(
    model: CausalWan, sampler: SamplerConfig, latent_size: tuple[int, int]
) -> dict[str, torch.Tensor]:
    """What a model makes of fixed noise: the flow of a call, and the latents of a short video."""
    config, device = model.config, model.device
    shape = (sampler.frames_per_block, config.in_channels, *latent_size)
    noise = initial_noise(1, SAMPLE_BLOCKS, shape, seed=0).to(device)
    generator = torch.Generator().manual_seed(0)
    text = torch.randn(1, config.text_len, config.text_dim, generator=generator).to(device)
    text = text.to(model.dtype)
    rows, columns = token_grid(*latent_size, config.patch_size)
    # The whole video as a single block: attention runs as it does while sampling.
    cache = KVCache(
        config, batch_size=1, frame_tokens=rows * columns, capacity=noise.shape[1], device=device,
        dtype=model.dtype,
    )  # fmt: skip
    times = torch.full((1,), 500.0, device=device)
    flow = model.forward_cached(noise, times, model.encode_text(text), [CacheSlot(cache, 0)])
    return {"flow": flow, "latents": sample_latents(model, text, noise, sampler)}


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The rel-L2 distance |found - expected| / |expected|."""
    difference = (found.double() - expected.double()).norm()
    return float(difference / expected.double().norm())


def choose_fused(probe: PassProbe, mode: str, ranks: Ranks) -> FusedChoice:
    """Whether to fuse, the same on every rank: as told, or what is faster on the first rank.

    Args:
        probe: Passes on this rank's device.
        mode: off, on or auto.
        ranks: This process among its peers.
    """
    if mode != "auto":
        return FusedChoice(mode=mode, chosen=mode == "on")
    apart_s, fused_s = probe.seconds(probe.apart, probe.fused) if ranks.is_first else (0.0, 0.0)
    found: FusedChoice = ranks.from_first(
        FusedChoice(mode=mode, chosen=fused_s < apart_s, apart_s=apart_s, fused_s=fused_s)
    )
    return found


def measure_contention(probe: PassProbe, ranks: Ranks) -> Contention | None:
    """What ranks lose to one another through shared cores, caches and memory; None for one."""
    if ranks.num_ranks == 1:
        return None
    alone = 0.0
    for rank in range(ranks.num_ranks):
        if rank == ranks.rank:
            # The minimum counts: contention between ranks slows every repeat, other load only some.
            (alone,) = probe.seconds(probe.denoise, of=min)
        ranks.wait()
    (together,) = probe.seconds(probe.denoise, of=min)
    return Contention.of(ranks.gather(alone), ranks.gather(together))
