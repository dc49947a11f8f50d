"""Measured before a pipeline is timed: its links, its fused pass, how ranks slow one another."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from hiar.model.geometry import token_grid
from hiar.model.kv_cache import KVCache
from hiar.runtime.device import Stopwatch

if TYPE_CHECKING:
    from hiar.model.transformer import CausalWan
    from hiar.sampling.config import SamplerConfig
    from hiar.sampling.pipelined.chain import Chain

ROUNDS = 5
SMALL_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class Link:
    """A transfer of n bytes takes `latency_s + n / bytes_per_s`."""

    latency_s: float
    bytes_per_s: float

    def seconds(self, num_bytes: float) -> float:
        """How long a transfer takes."""
        return self.latency_s + num_bytes / self.bytes_per_s


def measure_link(chain: Chain, num_bytes: int, device: torch.device) -> Link | None:
    """Time messages to and fro between the first two ranks; None for one rank.

    Args:
        chain: The ranks.
        num_bytes: Of a block.
        device: Of this rank.
    """
    if chain.num_ranks == 1:
        return None
    small = _one_way_s(chain, SMALL_BYTES, device)
    large = _one_way_s(chain, 8 * max(num_bytes, SMALL_BYTES), device)
    rate = (8 * max(num_bytes, SMALL_BYTES) - SMALL_BYTES) / max(large - small, 1e-9)
    link: Link = chain.from_first(Link(latency_s=small, bytes_per_s=rate))
    return link


def _one_way_s(chain: Chain, num_bytes: int, device: torch.device) -> float:
    """Half of the quickest round trip of a message; 0 on ranks that take no part."""
    from torch import distributed  # noqa: PLC0415

    message = torch.zeros(num_bytes // 4, device=device)
    watch, seconds = Stopwatch(device), [float("inf")]
    chain.wait()
    for _ in range(ROUNDS if chain.rank < 2 else 0):
        start = watch.mark()
        if chain.is_first:
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
        sampler: Its settings.
        latent_size: Rows and columns of a latent frame.
        latent_frames: Of the video, which the window may exceed.
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
        self._model.forward_block(
            self._blocks[1], self._times[1:], self._text, self._cache, self._first
        )

    @torch.no_grad()
    def apart(self) -> None:
        """A context pass, then the denoising pass of the next block."""
        self._cache.advance(self._next)
        for index, first_frame in enumerate((self._first, self._next)):
            self._model.forward_block(
                self._blocks[index], self._times[index : index + 1], self._text, self._cache,
                first_frame, need_flow=index == 1,
            )  # fmt: skip

    @torch.no_grad()
    def fused(self) -> None:
        """Both in one pass."""
        self._cache.advance(self._next)
        self._model.forward_after(
            self._blocks[0],
            self._blocks[1],
            self._times[None],
            self._text,
            self._cache,
            self._first,
        )

    def seconds(
        self,
        *actions: Callable[[], None],
        repeats: int = 3,
        of: Callable[[list[float]], float] = statistics.median,
    ) -> list[float]:
        """Seconds of each action, the `of` its repeats; they take turns: one machine for all."""
        found: list[list[float]] = [[] for _ in actions]
        for action in actions:
            action()
        for _ in range(repeats):
            for action, seconds in zip(actions, found, strict=True):
                start = self._watch.mark()
                action()
                seconds.append(self._watch.seconds(start, self._watch.mark()))
        return [of(seconds) for seconds in found]


def choose_fused(probe: PassProbe, mode: str, chain: Chain) -> dict[str, Any]:
    """Whether to fuse, the same on every rank: as told, or what the first rank measured.

    Args:
        probe: Of this rank.
        mode: off, on or auto.
        chain: The ranks.

    Returns:
        `mode`, `chosen`, and with `auto` the seconds of both ways.
    """
    if mode != "auto":
        return {"mode": mode, "chosen": mode == "on"}
    apart, fused = probe.seconds(probe.apart, probe.fused) if chain.is_first else (0.0, 0.0)
    found = {"mode": mode, "chosen": fused < apart, "apart_s": apart, "fused_s": fused}
    return chain.from_first(found)


@dataclass(frozen=True, kw_only=True)
class Contention:
    """A steady denoising pass of each rank while the others rest, and of all at once.

    Attributes:
        alone_s, together_s: By rank.
    """

    alone_s: Sequence[float]
    together_s: Sequence[float]

    @property
    def factor(self) -> float:
        """How many times as long a pass takes when all ranks run: 1 where nothing is shared.

        Each rank against itself, since the cores of a machine may differ; the mean of them, since
        a rank that is slow for a while is waited for and catches up.
        """
        pairs = zip(self.together_s, self.alone_s, strict=True)
        return statistics.fmean(together / alone for together, alone in pairs)


def measure_contention(probe: PassProbe, chain: Chain) -> dict[str, Any] | None:
    """What ranks lose to one another through shared cores, caches and memory; None for one."""
    if chain.num_ranks == 1:
        return None
    alone = 0.0
    for rank in range(chain.num_ranks):
        if rank == chain.rank:
            # The least: what ranks lose to one another is in every pass, a busy machine is not.
            (alone,) = probe.seconds(probe.denoise, of=min)
        chain.wait()
    (together,) = probe.seconds(probe.denoise, of=min)
    found = Contention(alone_s=chain.gather(alone), together_s=chain.gather(together))
    return asdict(found) | {"factor": found.factor}
