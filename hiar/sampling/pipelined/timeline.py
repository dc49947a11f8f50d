"""What each rank of a pipeline did when: spans, their shares, a Chrome trace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from hiar.runtime.device import Mark, Stopwatch

Kind = Literal["denoise", "context", "fused", "send", "wait"]
KINDS: tuple[Kind, ...] = get_args(Kind)
PASSES: tuple[Kind, ...] = ("denoise", "context", "fused")


@dataclass(frozen=True, kw_only=True)
class Span:
    """One thing a rank did.

    Attributes:
        kind: A pass of the model (`fused` is a block's context with the next block's denoising),
            sending a block on, or waiting for one (or for a neighbour that is too far behind).
        rank: Rank that did it.
        block: Index of the block; in a fused pass, of the block that is denoised.
        step: Index of the denoising step; None for transfers.
        start_s, end_s: Seconds since the run's common start.
        processor_s: Processor time of this process between start and end; None on a GPU.
    """

    kind: Kind
    rank: int
    block: int
    step: int | None
    start_s: float
    end_s: float
    processor_s: float | None = None

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end_s - self.start_s


class Timeline:
    """Records the spans of one rank.

    Args:
        rank: Rank whose spans are recorded.
        watch: Stopwatch of that rank's device.
    """

    def __init__(self, rank: int, watch: Stopwatch) -> None:
        self.bytes_sent = 0
        """Bytes of the blocks that were sent to the next rank."""
        self._rank, self._watch = rank, watch
        self._spans: list[tuple[Kind, int, int | None, Mark, Mark]] = []
        self._start = watch.mark()

    def start(self) -> None:
        """Begin a run: forget earlier spans, and count time from now."""
        self._spans.clear()
        self.bytes_sent = 0
        self._start = self._watch.mark()

    @contextmanager
    def span(self, kind: Kind, block: int, step: int | None = None) -> Iterator[None]:
        """Record what the body of a `with` statement does; nothing is recorded if it fails."""
        start = self._watch.mark()
        yield
        self._spans.append((kind, block, step, start, self._watch.mark()))

    def spans(self) -> list[Span]:
        """All spans so far, in sequence; on a GPU, this waits until its work is done."""
        return [
            Span(
                kind=kind,
                rank=self._rank,
                block=block,
                step=step,
                start_s=self._watch.seconds(self._start, start),
                end_s=self._watch.seconds(self._start, end),
                processor_s=self._watch.processor_seconds(start, end),
            )
            for kind, block, step, start, end in self._spans
        ]


def wait_share(spans: Iterable[Span], blocks: Sequence[int]) -> float:
    """Share of one rank's time on some consecutive blocks that it spent waiting, 0 to 1."""
    chosen = [span for span in spans if span.block in blocks]
    if not chosen:
        return 0.0
    whole = max(span.end_s for span in chosen) - min(span.start_s for span in chosen)
    waited = sum(span.seconds for span in chosen if span.kind == "wait")
    return waited / whole if whole > 0 else 0.0


def chrome_trace(spans: Iterable[Span]) -> dict[str, Any]:
    """The spans as a trace for chrome://tracing and Perfetto, with one row for each rank."""
    spans = list(spans)
    ranks = sorted({span.rank for span in spans})
    names: list[dict[str, Any]] = [
        {"ph": "M", "name": "thread_name", "pid": 0, "tid": rank, "args": {"name": f"rank {rank}"}}
        for rank in ranks
    ]
    events = [
        {
            "ph": "X",
            "name": f"{span.kind} {span.block}",
            "cat": span.kind,
            "pid": 0,
            "tid": span.rank,
            "ts": span.start_s * 1e6,
            "dur": span.seconds * 1e6,
            "args": {"block": span.block, "step": span.step},
        }
        for span in spans
    ]
    return {"displayTimeUnit": "ms", "traceEvents": [*names, *events]}
