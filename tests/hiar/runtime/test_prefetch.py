"""Sampling ahead on a GPU: the order of streams and events, with stand-ins for CUDA's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from hiar.codecs.vae import named_memory_error
from hiar.errors import UsageError
from hiar.runtime.prefetch import sampled_ahead


class Stream:
    """Notes what it is asked to do."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name, self.notes = name, notes

    def wait_stream(self, other: "Stream") -> None:
        self.notes.append(f"{self.name} waits for {other.name}")

    def record_event(self) -> str:
        return f"event of {self.name}"

    def wait_event(self, event: str) -> None:
        self.notes.append(f"{self.name} waits for {event}")


class Block:
    """Stands in for latents on a GPU."""

    def __init__(self, notes: list[str]) -> None:
        self.notes = notes

    def record_stream(self, stream: Stream) -> None:
        self.notes.append(f"held for {stream.name}")

    def use(self) -> None:
        self.notes.append("used")


def test_a_block_is_used_once_its_stream_got_there(monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    usual = Stream("usual", notes)
    current: list[Stream] = []

    @contextmanager
    def on(stream: Stream) -> Iterator[None]:
        current.append(stream)
        yield
        current.pop()

    fakes: dict[str, Any] = {
        "Stream": lambda device: Stream("own", notes),
        "current_stream": lambda device: usual,
        "stream": on,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)

    def blocks() -> Iterator[Any]:
        for _ in range(2):
            assert [stream.name for stream in current] == ["own"]
            yield Block(notes)

    taken: Iterator[Any] = sampled_ahead(blocks(), torch.device("cuda"))
    for block in taken:
        block.use()
    assert notes[0] == "own waits for usual"  # weights and noise are made there
    assert notes[1:] == ["usual waits for event of own", "held for usual", "used"] * 2


def test_nothing_runs_ahead_on_one_cpu() -> None:
    made: list[int] = []

    def blocks() -> Iterator[torch.Tensor]:
        for index in range(3):
            made.append(index)
            yield torch.zeros(1)

    taken = sampled_ahead(blocks(), torch.device("cpu"))
    next(taken)
    assert made == [0]
    ahead = sampled_ahead(blocks(), torch.device("cpu"), on_cpu=True)
    assert len(list(ahead)) == 3


def test_memory_that_decoding_fills_is_one_line_with_a_remedy() -> None:
    with pytest.raises(UsageError, match="--decoder tiny-decoder") as failure, named_memory_error():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")
    assert "\n" not in str(failure.value)
