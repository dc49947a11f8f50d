"""Run an iterator in a thread of its own, a few items ahead of whoever takes them.

On a GPU the thread has a stream of its own: what makes the items and what uses them then run at the
same time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from queue import Full, Queue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
AHEAD = 2
POLL_S = 0.1


def in_background(items: Iterable[T], *, ahead: int = AHEAD) -> Iterator[T]:
    """The same items; the next ones are made while one is used.

    An error of the iterator is raised where its item would have come. When the taker stops early,
    the thread ends after the item it is at.

    Args:
        items: Made in the thread.
        ahead: Items that wait at most.
    """
    made: Queue[tuple[bool, Any]] = Queue(maxsize=ahead)
    wanted = threading.Event()
    wanted.set()

    def hand_over(is_item: bool, value: Any) -> None:
        while wanted.is_set():
            with suppress(Full):
                made.put((is_item, value), timeout=POLL_S)
                return

    def work() -> None:
        try:
            for item in items:
                if not wanted.is_set():
                    return
                hand_over(True, item)
            hand_over(False, None)
        except BaseException as error:  # raised again in the other thread
            hand_over(False, error)

    thread = threading.Thread(target=work, name="in_background", daemon=True)
    thread.start()
    try:
        while True:
            is_item, value = made.get()
            if is_item:
                yield value
            elif value is None:
                return
            else:
                raise value
    finally:
        wanted.clear()


def sampled_ahead(
    blocks: Iterable[torch.Tensor], device: torch.device, *, on_cpu: bool = False
) -> Iterator[torch.Tensor]:
    """The same tensors; on a GPU the next ones are computed while one is used.

    A block is usable on the taker's stream once the stream that computes it has got there. On one
    CPU both would want the same cores, so nothing runs ahead unless asked for.

    Args:
        blocks: Computed in the thread.
        device: Device that computes them.
        on_cpu: Run ahead on a CPU too, where other processes do the computing.
    """
    if device.type != "cuda":
        yield from in_background(blocks) if on_cpu else blocks
        return
    import torch  # noqa: PLC0415  (seconds to import)

    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))  # weights, text and noise are made there

    def computed() -> Iterator[tuple[torch.Tensor, torch.cuda.Event]]:
        with torch.cuda.stream(stream):  # the thread's own; it runs no other code
            for block in blocks:
                yield block, stream.record_event()

    for block, is_there in in_background(computed()):
        taker = torch.cuda.current_stream(device)
        taker.wait_event(is_there)
        block.record_stream(taker)  # its memory is not used again before the taker is done
        yield block
