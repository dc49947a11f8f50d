"""Run an iterator in a thread of its own, a few items ahead of whoever takes them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from queue import Full, Queue
from typing import Any, TypeVar

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
