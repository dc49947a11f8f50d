"""Frames shared out over the cores: same numbers, same order, no trace left."""

import pytest
import torch

from drift.metrics.networks.parts import in_parts
from drift.settings import MeterSettings

CPU = MeterSettings()


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
