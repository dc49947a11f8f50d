"""Recorded passes: replayed for any block and video they give the video of plain passes.

A recorded function stands in for a CUDA graph. As a graph does, a replay sees new content in the
buffers that it was recorded with, and nothing else that has changed since.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from hiar.errors import UsageError
from hiar.model.transformer import CausalWan
from hiar.sampling import graphs
from hiar.sampling.config import SamplerConfig
from hiar.sampling.graphs import Run, SteadyGraphs
from hiar.sampling.sampler import sample_latents, stream_latents

pytestmark = pytest.mark.numerics

Draw = Callable[..., torch.Tensor]


class Recorder:
    """Counts recordings and replays."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(self, run: Run) -> Run:
        self.recorded += 1
        result = run()

        def replay() -> torch.Tensor:
            self.replayed += 1
            return result.copy_(run())  # a graph writes its result to the same memory

        return replay


@pytest.mark.parametrize(
    ("settings", "num_passes"),
    [
        # A denoising and a context pass for each cache that is used once the window is full.
        ({"order": "block_first", "context": "clean"}, 2),
        ({"order": "diagonal"}, 4),
        ({"order": "block_first", "context": "clean", "sink": 2}, 2),
    ],
)
def test_replayed_passes_give_the_same_video(
    small_model: CausalWan, draw: Draw, settings: dict[str, Any], num_passes: int
) -> None:
    config = SamplerConfig(
        window=7, steps=(1000, 500), **settings
    )  # blocks straddle the ring's end
    noise, text = draw(1, 18, 4, 4, 6), draw(1, 3, 8)
    expected = sample_latents(small_model, text, noise, config)
    record = Recorder()
    small_model.replayer = SteadyGraphs(small_model, record)
    try:
        found = sample_latents(small_model, text, noise, config)
        assert record.recorded == num_passes
        assert record.replayed > num_passes
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
        # Another prompt and other noise: nothing is recorded again.
        noise, text = draw(1, 18, 4, 4, 6, seed=5), draw(1, 2, 8, seed=6)
        found = sample_latents(small_model, text, noise, config)
        assert record.recorded == num_passes
        small_model.replayer = None
        expected = sample_latents(small_model, text, noise, config)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    finally:
        small_model.replayer = None


def test_other_sizes_are_recorded_anew(make_model: Callable[..., CausalWan], draw: Draw) -> None:
    model, record = make_model(), Recorder()
    model.replayer = replayer = SteadyGraphs(model, record)
    for size, batch in (((4, 6), 1), ((4, 4), 1), ((4, 4), 2)):
        config = SamplerConfig(window=6, steps=(1000, 500), order="block_first", context="clean")
        noise, text = draw(batch, 12, 4, *size), draw(batch, 3, 8)
        found = sample_latents(model, text, noise, config)
        model.replayer = None
        torch.testing.assert_close(
            found, sample_latents(model, text, noise, config), rtol=1e-5, atol=1e-6
        )
        model.replayer = replayer
        assert replayer.num_passes == 2
    assert record.recorded == 6


def test_a_stream_without_end_is_replayed(make_model: Callable[..., CausalWan], draw: Draw) -> None:
    model, record = make_model(), Recorder()
    config = SamplerConfig(window=6, steps=(1000, 500), order="block_first", context="clean")
    arguments = (model, draw(1, 3, 8), config)
    plain = stream_latents(*arguments, latent_shape=(4, 4, 6))
    expected = [next(plain)[1] for _ in range(8)]
    model.replayer = SteadyGraphs(model, record)
    replayed = stream_latents(*arguments, latent_shape=(4, 4, 6))
    for block in expected:
        torch.testing.assert_close(next(replayed)[1], block, rtol=1e-5, atol=1e-6)
    assert record.recorded == 2


def test_a_pass_that_cannot_be_recorded_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoGraph:
        def __init__(self, *_: object, **__: object) -> None: ...

        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")

    class Stream:
        def wait_stream(self, _: object) -> None: ...

    cuda = {
        "Stream": Stream, "current_stream": Stream, "CUDAGraph": object, "graph": NoGraph,
        "stream": lambda _: torch.no_grad(),
    }  # fmt: skip
    for name, fake in cuda.items():
        monkeypatch.setattr(graphs.torch.cuda, name, fake)
    with pytest.raises(UsageError, match="operation not permitted") as failure:
        graphs.record_on_gpu(lambda: torch.zeros(1))
    assert "\n" not in str(failure.value)
