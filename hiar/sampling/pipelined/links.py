"""Passing blocks from each process of a pipeline to the next one.

Transfers are asynchronous and point to point, over NCCL between GPUs and over gloo between CPUs.
Processes that share a GPU pass blocks on through the CPU's memory, over gloo.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import torch

from hiar.errors import RankLostError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch.distributed import Work

    from hiar.sampling.pipelined.group import PipelineGroup

SLOTS = 2
"""Most blocks on their way to a neighbour: one arrives while the rank works on another."""
POLL_S = 2e-4
"""Pause between two looks at a GPU's transfer."""


class Links:
    """Waiting for transfers between neighbours; a lost neighbour is named.

    Args:
        group: The processes of the pipeline.
        device: Device of what is passed on.
    """

    def __init__(self, group: PipelineGroup, device: torch.device) -> None:
        self._rank, self._timeout_s = group.ranks.rank, group.timeout_s
        self._before, self._after = self._rank - 1, self._rank + 1
        self._device, self._transport = device, group.transport(device)

    def _wait(self, work: Work, peer: int, block: int) -> None:
        """Wait for a transfer, no longer than the group's timeout."""
        if self._transport.type == "cuda":  # there, work.wait() does not block the CPU
            give_up = time.monotonic() + self._timeout_s
            while not work.is_completed():
                if time.monotonic() > give_up:
                    raise RankLostError(self._silence_of(peer, block))
                time.sleep(POLL_S)
        with self._naming_a_lost_rank(peer, block):
            work.wait(timedelta(seconds=self._timeout_s))

    @contextmanager
    def _naming_a_lost_rank(self, peer: int, block: int) -> Iterator[None]:
        """Turn an error of the transport into one that names the rank that is lost."""
        try:
            yield
        except RuntimeError as error:
            if "imed out" in str(error) or "timeout" in str(error):
                raise RankLostError(self._silence_of(peer, block)) from error
            raise RankLostError(
                f"rank {self._rank} lost rank {peer} at block {block}: it ended or was "
                "killed; what was finished before is kept; run the same command again"
            ) from error

    def _silence_of(self, peer: int, block: int) -> str:
        return (
            f"rank {self._rank} heard nothing of rank {peer} for {self._timeout_s:g} s at "
            f"block {block}: it hangs, or a block takes longer (then raise --rank-timeout); what "
            "was finished before is kept"
        )


class TensorLinks(Links):
    """Tensors of any shape in float32, each with its shape before it, to and from the neighbours.

    Args:
        group, device: See `Links`.
    """

    AXES = 6
    """Numbers that go before a tensor: how many axes it has, and their lengths."""

    def __init__(self, group: PipelineGroup, device: torch.device) -> None:
        super().__init__(group, device)
        self._leaving: deque[tuple[torch.Tensor, Work]] = deque()

    def send(self, x: torch.Tensor | None, block: int) -> None:
        """Send a tensor on once the one before it has gone; None ends the stream."""
        while self._leaving:
            self._wait(self._leaving[0][1], self._after, block)
            self._leaving.popleft()
        shape = [] if x is None else [x.ndim, *x.shape]
        head = torch.tensor(shape + [0] * (self.AXES - len(shape)), device=self._transport)
        self._begin_to_send(head, block)
        if x is not None:
            self._begin_to_send(x.to(self._transport, torch.float32).contiguous(), block)

    def receive(self, block: int) -> torch.Tensor | None:
        """Wait for the next tensor of the rank before; None if its stream has ended."""
        head = self._received(torch.zeros(self.AXES, dtype=torch.int64), block).tolist()
        if not head[0]:
            return None
        return self._received(torch.empty(head[1 : head[0] + 1]), block).to(self._device)

    def finish(self, block: int) -> None:
        """Say that nothing more comes, and return when all has gone."""
        self.send(None, block)
        while self._leaving:
            self._wait(self._leaving.popleft()[1], self._after, block)

    def _begin_to_send(self, x: torch.Tensor, block: int) -> None:
        from torch import distributed  # noqa: PLC0415

        with self._naming_a_lost_rank(self._after, block):
            work = distributed.isend(x, self._after)
        assert work is not None
        self._leaving.append((x, work))  # the tensor must live until it has gone

    def _received(self, buffer: torch.Tensor, block: int) -> torch.Tensor:
        from torch import distributed  # noqa: PLC0415

        buffer = buffer.to(self._transport)
        with self._naming_a_lost_rank(self._before, block):
            work = distributed.irecv(buffer, self._before)
        assert work is not None
        self._wait(work, self._before, block)
        return buffer


class BlockLinks(Links):
    """Double-buffered transfers of blocks, from the rank before and to the rank after.

    Args:
        group: The processes of the pipeline.
        block_shape: Shape of a block, [B, F, C, H, W]; blocks are float32.
        num_blocks: Number of blocks that this rank will receive; None for a stream without end.
        device: Device of the blocks.
    """

    def __init__(
        self,
        group: PipelineGroup,
        block_shape: Sequence[int],
        *,
        num_blocks: int | None,
        device: torch.device,
    ) -> None:
        super().__init__(group, device)
        self._ranks, self._num_blocks = group.denoising, num_blocks
        self._buffers: list[torch.Tensor] = []
        self._arriving: deque[Work] = deque()
        self._leaving: deque[tuple[torch.Tensor, Work]] = deque()
        if not self.is_first:
            shape = tuple(block_shape)
            self._buffers = [torch.empty(shape, device=self._transport) for _ in range(SLOTS)]
            self._expect(0)

    @property
    def is_first(self) -> bool:
        """Whether blocks begin here, as noise."""
        return self._ranks.is_first

    @property
    def is_last(self) -> bool:
        """Whether blocks end here, clean."""
        return self._ranks.is_last

    def receive(self, block: int) -> torch.Tensor:
        """Wait for the latents of a block; the next block begins to arrive in the other buffer."""
        self._expect(block + 1)
        self._wait(self._arriving.popleft(), self._before, block)
        return self._buffers[block % SLOTS].to(self._device)

    def await_slot(self, block: int) -> None:
        """Return when another block may be sent."""
        while len(self._leaving) >= SLOTS:
            self._finish_oldest(block)

    def send(self, block: int, latents: torch.Tensor) -> None:
        """Send a block on, without waiting for its arrival."""
        from torch import distributed  # noqa: PLC0415

        latents = latents.to(self._transport).contiguous()
        with self._naming_a_lost_rank(self._after, block):
            work = distributed.isend(latents, self._after)
        assert work is not None
        self._leaving.append((latents, work))  # the tensor must live until it has gone

    def finish(self, block: int) -> None:
        """Return when every block that was sent has gone; `block` was the last."""
        while self._leaving:
            self._finish_oldest(block)

    def _finish_oldest(self, block: int) -> None:
        self._wait(self._leaving[0][1], self._after, block)
        self._leaving.popleft()

    def _expect(self, block: int) -> None:
        """Begin to receive a block, if there is such a block."""
        if self._num_blocks is not None and block >= self._num_blocks:
            return
        from torch import distributed  # noqa: PLC0415

        with self._naming_a_lost_rank(self._before, block):
            work = distributed.irecv(self._buffers[block % SLOTS], self._before)
        assert work is not None
        self._arriving.append(work)
