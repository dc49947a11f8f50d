"""`--cuda-graphs`: passes over a block that sees a full window, each replayed as one CUDA graph.

Once the window is full, every pass has the same shapes. What still changes from block to block goes
into buffers that the graph reads: the latents, the timestep, the rotary table, and the places of
the ring where keys and values are written. A pass is recorded once, at its first full window, and
then launched as a whole, for every later block and video, until the shapes change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from hiar.errors import UsageError
from hiar.model.kv_cache import CacheSlot, KVCache, RingWriter

if TYPE_CHECKING:
    from hiar.model.transformer import CausalWan, TextContext

Run = Callable[[], torch.Tensor]
WARMUP = 2
"""Runs before a pass is recorded: libraries choose kernels and reserve memory in the first ones."""


def record_on_gpu(run: Run) -> Run:
    """Record a function's GPU work; what is returned launches it again and gives its result."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARMUP):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        # Another thread may be decoding meanwhile; its work is no business of the recording.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            result = run()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(
            f"--cuda-graphs: a pass cannot be recorded here ({reason}): leave --cuda-graphs out, "
            "or take another --attention"
        ) from error

    def replay() -> torch.Tensor:
        graph.replay()
        return result

    return replay


@dataclass(frozen=True, kw_only=True)
class RecordedPass:
    """A recorded pass and the buffers that it reads.

    Attributes:
        latents, timesteps, rotary: Inputs of the pass.
        writer: Where in the ring it writes.
        replay: Function that runs it.
    """

    latents: torch.Tensor
    timesteps: torch.Tensor
    rotary: torch.Tensor
    writer: RingWriter
    replay: Run


class SteadyGraphs:
    """The recorded passes of one model; one video at a time uses them.

    Args:
        model: The transformer.
        record: Function that records a pass.
    """

    def __init__(self, model: CausalWan, record: Callable[[Run], Run] = record_on_gpu) -> None:
        self._model, self._record = model, record
        self._caches: list[KVCache] = []
        self._num_borrowed = 0
        self._text: TextContext | None = None
        self._layout: tuple[object, ...] = ()
        self._passes: dict[tuple[object, ...], RecordedPass] = {}

    @property
    def num_passes(self) -> int:
        """Passes that have been recorded."""
        return len(self._passes)

    def begin_video(self, text: TextContext, layout: tuple[object, ...]) -> TextContext:
        """Take a video's text into the buffers that passes read, and call all caches back.

        Args:
            text: Keys and values of the prompts.
            layout: Sizes of latents and caches. With others than those of the video before,
                everything is recorded anew.

        Returns:
            The text in those buffers.
        """
        self._num_borrowed = 0
        layout = (*layout, text.keys[0].shape)
        if self._text is None or layout != self._layout:
            self._passes.clear()
            self._caches.clear()
            self._text, self._layout = text, layout
            return text
        held = self._text
        for into, new in zip((*held.keys, *held.values), (*text.keys, *text.values), strict=True):
            into.copy_(new)
        return held

    def borrow_cache(self, new_cache: Callable[[], KVCache]) -> KVCache:
        """An empty cache for the present video, one of an earlier video if there is one."""
        if self._num_borrowed == len(self._caches):
            self._caches.append(new_cache())
        cache = self._caches[self._num_borrowed]
        self._num_borrowed += 1
        cache.advance(0)
        return cache

    def run(
        self,
        latents: torch.Tensor,
        timesteps: torch.Tensor,
        text: TextContext,
        slots: Sequence[CacheSlot],
        num_context: int,
    ) -> torch.Tensor | None:
        """Run a pass over one block as a graph; None if it is not one that is recorded.

        Args:
            latents, timesteps, text, slots, num_context: See `CausalWan.forward_cached`.
        """
        if len(slots) != 1 or text is not self._text:
            return None
        (slot,) = slots
        cache, end = slot.cache, slot.first_frame + latents.shape[1]
        is_borrowed = any(cache is each for each in self._caches)
        if not isinstance(cache, KVCache) or not is_borrowed or end < cache.capacity:
            return None
        rotary = self._model.rotary_of_slots(slots, latents)
        key = (id(cache), num_context, tuple(latents.shape))
        recorded = self._passes.get(key)
        if recorded is None:
            recorded = self._record_pass(latents, timesteps, rotary, slot, num_context)
            self._passes[key] = recorded
        recorded.latents.copy_(latents)
        recorded.timesteps.copy_(timesteps)
        recorded.rotary.copy_(rotary)
        recorded.writer.aim(slot.first_frame)
        flow = recorded.replay().clone()  # the next replay overwrites it
        cache.advance(end)
        return flow

    def _record_pass(
        self,
        latents: torch.Tensor,
        timesteps: torch.Tensor,
        rotary: torch.Tensor,
        slot: CacheSlot,
        num_context: int,
    ) -> RecordedPass:
        assert isinstance(slot.cache, KVCache)
        writer = RingWriter(slot.cache, latents.shape[1])
        writer.aim(slot.first_frame)
        inputs = latents.clone(), timesteps.clone(), rotary.clone()
        text = self._text
        assert text is not None

        def run() -> torch.Tensor:
            return self._model.forward_cached(
                inputs[0], inputs[1], text, [CacheSlot(writer, 0)], num_context=num_context,
                rotary=inputs[2],
            )  # fmt: skip

        return RecordedPass(
            latents=inputs[0],
            timesteps=inputs[1],
            rotary=inputs[2],
            writer=writer,
            replay=self._record(run),
        )
