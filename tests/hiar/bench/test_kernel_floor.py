"""The bare kernels of a call, counted against the call itself by PyTorch's own counter."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hiar.bench.kernel_floor import KernelFloor
from hiar.bench.video_timing import groups_by_first_cell, time_video
from hiar.model.kv_cache import CacheSlot, KVCache
from hiar.model.transformer import CausalWan
from hiar.sampling.config import SamplerConfig
from hiar.sampling.schedule import Cell

FRAME_TOKENS, BLOCK_TOKENS = 6, 18


@contextmanager
def counting() -> Iterator[FlopCounterMode]:
    # The counter knows matrix products; the maths backend writes attention as two of them.
    with torch.no_grad(), FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        yield counter


@pytest.fixture
def floor(small_model: CausalWan) -> KernelFloor:
    return KernelFloor(small_model, block_tokens=BLOCK_TOKENS, capacity_tokens=72, max_groups=2)


@pytest.mark.parametrize("need_flow", [True, False])
@pytest.mark.parametrize("earlier_blocks", [0, 3])
def test_the_kernels_are_those_of_a_call(
    small_model: CausalWan, floor: KernelFloor, need_flow: bool, earlier_blocks: int
) -> None:
    cache = KVCache(small_model.config, batch_size=1, frame_tokens=FRAME_TOKENS, capacity=12)
    cache.num_frames = 3 * earlier_blocks
    text = small_model.encode_text(torch.zeros(1, 1, 8))
    with counting() as call:
        small_model.forward_cached(
            torch.zeros(1, 3, 4, 4, 6), torch.tensor([500.0]), text,
            [CacheSlot(cache, cache.num_frames)], num_context=0 if need_flow else 1,
        )  # fmt: skip
    with counting() as kernels:
        floor.run_call([(earlier_blocks + 1) * BLOCK_TOKENS], need_flow=need_flow)
    assert kernels.get_total_flops() == call.get_total_flops() > 0


def test_a_call_on_two_blocks_has_the_kernels_of_both(floor: KernelFloor) -> None:
    def count(visible_tokens: list[int]) -> int:
        with counting() as kernels:
            floor.run_call(visible_tokens)
        return int(kernels.get_total_flops())

    assert count([18, 54]) == count([18]) + count([54])


def test_the_text_is_counted_once(small_model: CausalWan, floor: KernelFloor) -> None:
    with counting() as call:
        small_model.encode_text(torch.zeros(1, 1, 8))
    with counting() as kernels:
        floor.run_text()
    assert kernels.get_total_flops() == call.get_total_flops() > 0


@pytest.mark.parametrize(
    "mode",
    [
        {"order": "block_first", "context": "clean"},
        {"order": "step_first", "window": 6},
        {"order": "diagonal", "wave_batch": True},
    ],
)
def test_a_video_and_its_floor_have_the_same_kernels(
    small_model: CausalWan, mode: dict[str, object]
) -> None:
    config = SamplerConfig(**mode, steps=(1000, 500))  # type: ignore[arg-type]
    size = {"latent_frames": 9, "latent_size": (4, 6)}
    with counting() as alone:
        time_video(small_model, config, **size)
    with counting() as both:
        timing = time_video(small_model, config, **size, kernel_floor=True)
    assert both.get_total_flops() == 2 * alone.get_total_flops()
    assert timing.floor_s is not None
    assert timing.floor_s > 0


def test_the_floor_is_not_counted_in_the_video(
    small_model: CausalWan, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(100_000))
    monkeypatch.setattr("hiar.runtime.device.time.perf_counter", lambda: float(next(clock)))
    config = SamplerConfig(order="block_first", context="clean", window=9)
    size = {"latent_frames": 15, "latent_size": (4, 6)}
    timing = time_video(small_model, config, **size, kernel_floor=True)
    # The clock ticks once a mark. 20 cells end with a mark, and so does each cell's floor; the
    # text's floor comes before the first cell and the end of the video after the last.
    assert timing.seconds == 20 + 1
    assert timing.floor_s == 20 + 1
    assert timing.steady_block_s == 4
    assert timing.first_block_s == 4


def test_cells_of_a_wave_are_one_group(make_model: Callable[..., CausalWan]) -> None:
    batched = SamplerConfig(order="diagonal", wave_batch=True, steps=(1000, 500))
    found = groups_by_first_cell(batched, 2)
    assert found == {
        Cell(0, 0): (Cell(0, 0),),
        Cell(1, 0): (Cell(1, 0), Cell(0, 1)),
        Cell(1, 1): (Cell(1, 1),),
    }
    apart = groups_by_first_cell(SamplerConfig(order="diagonal", steps=(1000, 500)), 2)
    assert [len(group) for group in apart.values()] == [1] * 4
