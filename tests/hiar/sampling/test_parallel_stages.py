"""Pipeline stages in threads of one process: the sampler's bits for any settings and split."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from queue import Queue
from typing import Any

import pytest
import torch

from hiar.errors import RankLostError, UsageError
from hiar.model.transformer import CausalWan
from hiar.runtime.device import Stopwatch
from hiar.runtime.prefetch import in_background
from hiar.runtime.ranks import check_address
from hiar.sampling.cells import CellRunner
from hiar.sampling.config import SamplerConfig
from hiar.sampling.noise import KeyedNoise, block_noise
from hiar.sampling.pipelined.group import PipelineGroup, free_gpu
from hiar.sampling.pipelined.stage import PipelineStage
from hiar.sampling.pipelined.stream import stream_pipelined
from hiar.sampling.pipelined.tasks import split_steps
from hiar.sampling.pipelined.timeline import Span, Timeline, chrome_trace, wait_share
from hiar.sampling.sampler import sample_latents
from hiar.sampling.schedule import Cell

pytestmark = pytest.mark.numerics

SHAPE = (3, 4, 4, 6)  # a block: frames, channels, rows, columns
KEYS = (7, 9)  # of two videos
DIAGONAL = SamplerConfig(order="diagonal", window=9)


class QueueLinks:
    """Neighbours in one process, a queue between each two."""

    def __init__(self, rank: int, queues: list["Queue[torch.Tensor]"]) -> None:
        self.is_first, self.is_last = rank == 0, rank == len(queues)
        self._before = None if self.is_first else queues[rank - 1]
        self._after = None if self.is_last else queues[rank]

    def receive(self, block: int) -> torch.Tensor:
        assert self._before is not None
        return self._before.get(timeout=60)

    def await_slot(self, block: int) -> None:
        """A queue has room."""

    def send(self, block: int, latents: torch.Tensor) -> None:
        assert self._after is not None
        self._after.put(latents.clone())

    def finish(self, block: int) -> None:
        """Nothing is under way."""


def run_stages(
    model: CausalWan,
    text: torch.Tensor,
    config: SamplerConfig,
    num_ranks: int,
    *,
    num_blocks: int = 5,
    fused: bool = False,
    initial: torch.Tensor | None = None,
) -> tuple[torch.Tensor, list[list[Span]], list[Cell]]:
    """Each stage in a thread: the last one's blocks, everyone's spans, all cells."""
    queues: list[Queue[torch.Tensor]] = [Queue() for _ in range(num_ranks - 1)]
    noise = KeyedNoise(block_shape=SHAPE, seed=3, prompt_indices=KEYS)
    finished: list[torch.Tensor] = []
    cells: list[Cell] = []
    timelines = [Timeline(rank, Stopwatch(torch.device("cpu"))) for rank in range(num_ranks)]

    @torch.no_grad()
    def work(rank: int, steps: range) -> None:
        runner = CellRunner(
            model, text, config, noise.renoise, latent_shape=SHAPE[1:], num_blocks=num_blocks,
            initial_latents=initial,
        )  # fmt: skip
        stage = PipelineStage(
            runner, steps, QueueLinks(rank, queues), timeline=timelines[rank], fused=fused,
            first_noise=noise.first, on_cell=lambda cell, _: cells.append(cell),
        )  # fmt: skip
        for block, latents in stage.blocks():
            assert 0 <= block < num_blocks
            if rank + 1 == num_ranks:
                finished.append(latents)

    shares = split_steps(len(config.steps), num_ranks)
    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(shares)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=100)
    return torch.cat(finished, dim=1), [line.spans() for line in timelines], cells


def sampled(
    model: CausalWan,
    text: torch.Tensor,
    config: SamplerConfig,
    num_blocks: int,
    initial: torch.Tensor | None = None,
) -> torch.Tensor:
    noise = torch.cat(
        [
            block_noise(SHAPE, seed=3, prompt_indices=KEYS, block=block, step=0)
            for block in range(num_blocks)
        ],
        dim=1,
    )
    whole = sample_latents(
        model, text, noise, replace(config, order="step_first"), seed=3, prompt_index=KEYS,
        initial_latents=initial,
    )  # fmt: skip
    return whole[:, whole.shape[1] - noise.shape[1] :]


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"context": "clean", "stochastic": False},
        {"context": "input", "window": None},
        {"window": 7, "sink": 2},
        {"steps": (1000, 800, 600, 400, 200), "window": 6},
    ],
)
def test_stages_give_the_samplers_bits(
    small_model: CausalWan,
    draw: Callable[..., torch.Tensor],
    num_ranks: int,
    change: dict[str, Any],
) -> None:
    config, text = replace(DIAGONAL, **change), draw(2, 3, 8)
    found, _, cells = run_stages(small_model, text, config, num_ranks)
    assert torch.equal(found, sampled(small_model, text, config, 5))
    grid = {Cell(step, block) for step in range(len(config.steps)) for block in range(5)}
    assert len(cells) == len(grid)
    assert set(cells) == grid


@pytest.mark.parametrize("num_ranks", [1, 3])
def test_stages_continue_a_given_beginning(
    small_model: CausalWan, draw: Callable[..., torch.Tensor], num_ranks: int
) -> None:
    text, initial = draw(2, 3, 8), draw(2, 4, *SHAPE[1:], seed=5)
    found, _, _ = run_stages(small_model, text, DIAGONAL, num_ranks, initial=initial)
    assert torch.equal(found, sampled(small_model, text, DIAGONAL, 5, initial))


@pytest.mark.parametrize("num_ranks", [1, 2, 4])
def test_fused_stages_give_the_same_video_in_fewer_passes(
    small_model: CausalWan,
    draw: Callable[..., torch.Tensor],
    relative_l2: Callable[[torch.Tensor, torch.Tensor], float],
    num_ranks: int,
) -> None:
    text = draw(2, 3, 8)
    found, spans, _ = run_stages(small_model, text, DIAGONAL, num_ranks, fused=True)
    assert relative_l2(found, sampled(small_model, text, DIAGONAL, 5)) < 1e-5
    kinds = [span.kind for rank in spans for span in rank]
    # N passes a step: the first block's denoising alone, and no context pass for the last block
    assert (kinds.count("denoise"), kinds.count("fused"), kinds.count("context")) == (4, 16, 0)


def test_a_block_is_handed_on_before_its_context_passes(
    small_model: CausalWan, draw: Callable[..., torch.Tensor]
) -> None:
    _, spans, _ = run_stages(small_model, draw(2, 3, 8), DIAGONAL, 2)
    first, last = ([(s.kind, s.block, s.step) for s in rank if s.kind != "wait"] for rank in spans)
    assert first[:7] == [
        ("denoise", 0, 0), ("denoise", 0, 1), ("send", 0, None), ("context", 0, 0),
        ("context", 0, 1), ("denoise", 1, 0), ("denoise", 1, 1),
    ]  # fmt: skip
    assert first[-3:] == [("denoise", 4, 0), ("denoise", 4, 1), ("send", 4, None)]
    assert [each for each in last if each[0] == "send"] == []
    for rank in spans:
        assert all(a.end_s <= b.start_s for a, b in pairwise(rank))


def test_one_rank_needs_no_process_group(
    small_model: CausalWan, draw: Callable[..., torch.Tensor]
) -> None:
    text = draw(2, 3, 8)
    stream = stream_pipelined(
        small_model, text, DIAGONAL, PipelineGroup(), latent_shape=SHAPE[1:], num_blocks=4, seed=3,
        prompt_index=KEYS,
    )  # fmt: skip
    blocks = dict(stream)
    assert torch.equal(torch.cat(list(blocks.values()), 1), sampled(small_model, text, DIAGONAL, 4))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (SamplerConfig(window=9), "order 'step_first' has no pipeline"),
        (replace(DIAGONAL, wave_batch=True), "with wave_batch has no pipeline"),
        (replace(DIAGONAL, window=None), "a stream without end needs a window"),
    ],
)
def test_settings_without_a_pipeline_are_named(
    small_model: CausalWan, draw: Callable[..., torch.Tensor], config: SamplerConfig, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        stream_pipelined(
            small_model, draw(1, 3, 8), config, PipelineGroup(), latent_shape=SHAPE[1:]
        )


@pytest.mark.parametrize(
    ("num_steps", "num_ranks", "sizes"),
    [(4, 1, [4]), (4, 2, [2, 2]), (4, 3, [1, 1, 2]), (4, 4, [1] * 4), (8, 3, [2, 3, 3])],
)
def test_steps_are_split_evenly(num_steps: int, num_ranks: int, sizes: list[int]) -> None:
    shares = split_steps(num_steps, num_ranks)
    assert [len(share) for share in shares] == sizes
    assert [step for share in shares for step in share] == list(range(num_steps))


WORLD = {"RANK": "0", "WORLD_SIZE": "4", "MASTER_ADDR": "node0", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"MASTER_ADDR": ""}, "WORLD_SIZE is 4 but MASTER_ADDR is not set"),
        ({"RANK": "", "MASTER_PORT": ""}, "RANK, MASTER_PORT is not set"),
        ({"LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}, "2 of 4 ranks run on this host"),
    ],
)
def test_ranks_without_an_address_are_told(change: dict[str, str], words: str) -> None:
    check_address(WORLD)
    check_address(WORLD | {"LOCAL_WORLD_SIZE": "2"})
    with pytest.raises(UsageError, match=words):
        check_address(WORLD | change)


def test_a_cpu_has_no_gpu_of_its_own_to_decode_on() -> None:
    assert free_gpu(torch.device("cpu"), {"LOCAL_WORLD_SIZE": "1"}) is None


def test_the_share_of_waiting() -> None:
    def span(kind: Any, block: int, start_s: float, end_s: float) -> Span:
        return Span(kind=kind, rank=1, block=block, step=None, start_s=start_s, end_s=end_s)

    spans = [
        span("wait", 0, 0, 5), span("denoise", 0, 5, 6), span("wait", 1, 6, 6.5),
        span("denoise", 1, 6.5, 8), span("context", 1, 8, 10), span("denoise", 2, 10, 11),
    ]  # fmt: skip
    assert wait_share(spans, range(1, 3)) == 0.5 / 5  # block 1 from 6 on, block 2 until 11
    assert wait_share(spans, range(7, 9)) == 0.0
    events = chrome_trace(spans)["traceEvents"]
    assert events[0]["args"] == {"name": "rank 1"}
    assert (events[1]["cat"], events[1]["ts"], events[1]["dur"]) == ("wait", 0, 5e6)
    assert len(events) == 1 + len(spans)


def test_a_background_iterator_runs_ahead_and_passes_errors_on() -> None:
    is_ahead = threading.Event()

    def items() -> Iterator[int]:
        for item in range(6):
            if item == 3:
                is_ahead.set()
            yield item
        raise RankLostError("rank 1 is gone")

    taken = in_background(items(), ahead=2)
    assert next(taken) == 0
    assert is_ahead.wait(10)  # items 1 and 2 wait to be taken
    assert [next(taken) for _ in range(5)] == [1, 2, 3, 4, 5]
    with pytest.raises(RankLostError, match="rank 1 is gone"):
        next(taken)


def test_a_background_iterator_that_is_dropped_ends_its_thread() -> None:
    def endless() -> Iterator[int]:
        while True:
            yield 1

    before = threading.active_count()
    taken = in_background(endless())
    assert next(taken) == 1
    taken.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if thread.name == "in_background":
            thread.join(timeout=10)
    assert threading.active_count() == before
