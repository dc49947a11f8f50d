"""Frames shared out over the cores: same numbers, same order, no trace left."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from drift.metrics.networks.parts import in_parts, release_freed_memory
from drift.metrics.networks.settings import MetricSettings

pytestmark = pytest.mark.numerics

CPU = MetricSettings()


@pytest.fixture
def threads():
    """Sets the number of torch's threads, and puts it back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_each_frame_goes_alone_and_in_order(threads, count):
    threads(count)
    pictures = torch.rand(7, 3, 4, 5)
    parts = in_parts(lambda part: part * 2, pictures, CPU, torch.float32)
    assert [part.shape for part in parts] == 7 * [(1, 3, 4, 5)]
    assert torch.equal(torch.cat(parts), pictures * 2)
    assert torch.get_num_threads() == count


def test_a_network_runs_on_one_core_without_gradients(threads):
    threads(3)
    weight = torch.ones(3, requires_grad=True)

    def network(part):
        return torch.get_num_threads(), (part * weight[:, None, None]).requires_grad

    parts = in_parts(network, torch.rand(4, 3, 2, 2), CPU, torch.float32)
    assert parts == 4 * [(1, False)]


def test_precision_reaches_every_part():
    layer = torch.nn.Linear(4, 4)
    for dtype in (torch.float32, torch.bfloat16):
        parts = in_parts(lambda part: layer(part).dtype, torch.rand(3, 3, 2, 4), CPU, dtype)
        assert parts == 3 * [dtype]


def test_an_error_leaves_the_threads_as_they_were(threads):
    threads(2)

    def network(part):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        in_parts(network, torch.rand(3, 3, 2, 2), CPU, torch.float32)
    assert torch.get_num_threads() == 2


def test_another_device_takes_the_batch_whole():
    pictures = torch.rand(4, 3, 2, 2, device="meta")
    parts = in_parts(lambda part: part.shape, pictures, CPU, torch.float32)
    assert parts == [(4, 3, 2, 2)]


@pytest.mark.parametrize(("side", "calls"), [(999, 0), (1000, 1)])
def test_large_pictures_give_their_memory_back(monkeypatch, side, calls):
    seen = []
    monkeypatch.setattr("drift.metrics.networks.parts.release_freed_memory", lambda: seen.append(1))
    in_parts(lambda part: part.mean(), torch.zeros(1, 3, side, 1000), CPU, torch.float32)
    assert len(seen) == calls


def test_freed_memory_of_other_threads_is_given_back():
    """Small pieces of a thread that has ended: glibc would keep them for the next thread."""

    def resident_bytes():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    with ThreadPoolExecutor(1) as thread:
        kept = thread.submit(lambda: [bytearray(60_000) for _ in range(2000)]).result()
        last = thread.submit(lambda: bytearray(60_000)).result()  # holds the top of its heap
    del kept
    before = resident_bytes()
    release_freed_memory()
    assert before - resident_bytes() > 60e6  # of 120 MB
    assert len(last) == 60_000
