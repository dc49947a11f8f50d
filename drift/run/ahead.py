"""Items made in a thread of their own, a few ahead of whoever takes them."""

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
COUNT = 2


def made_ahead(items: Iterable[T], count: int = COUNT) -> Generator[T]:
    """The same items in the same order; the next ones are made while one is used.

    Args:
        items: Made one after the other in one thread. An error is raised where its item would come.
        count: Items that wait at most.
    """
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as thread:
        waiting = deque(thread.submit(next, iterator, end) for _ in range(count))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(thread.submit(next, iterator, end))
            yield item  # type: ignore[misc]  # it is no `end`
