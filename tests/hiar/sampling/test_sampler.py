"""Orders against each other, and every mode against two samplers written here from the paper."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from hiar.errors import UsageError
from hiar.model.kv_cache import CacheSlot
from hiar.model.transformer import CausalWan
from hiar.sampling.config import SamplerConfig
from hiar.sampling.noise import KeyedNoise, initial_noise, keyed_noise
from hiar.sampling.sampler import sample_latents, stream_latents

pytestmark = pytest.mark.numerics

Draw = Callable[..., torch.Tensor]
Measure = Callable[[torch.Tensor, torch.Tensor], float]
SHAPE = (4, 4, 6)
"""Channels, height and width of a latent frame: 2 x 3 tokens."""
STEPS = (1000, 937.5, 2500 / 3, 625)
"""The default steps after warping: 1000 s u / (1 + (s - 1) u) at s = 5."""
MODES: list[dict[str, Any]] = [
    {},
    {"context": "input"},
    {"context": "clean"},
    {"stochastic": False},
    {"stochastic": False, "context": "clean"},
    {"context": "clean", "context_noise": 625.0},
    {"stochastic": False, "context": "clean", "context_noise": 937.5},
    {"window": 6},
    {"window": 7, "sink": 2, "context": "input"},
    {"window": 8, "sink": 3, "stochastic": False},
    {"frames_per_block": 1, "window": 4},
    {"steps": (1000, 625), "warp": False, "context": "clean"},
    {"steps": (900,)},
]
each_mode = pytest.mark.parametrize(
    "mode", MODES, ids=lambda mode: "-".join(f"{k}={v}" for k, v in mode.items()) or "default"
)


def noise_and_bank(
    config: SamplerConfig, num_frames: int = 15, seed: int = 3, prompts: tuple[int, ...] = (0,)
) -> tuple[torch.Tensor, Callable[[int, int], torch.Tensor]]:
    """The keyed noise, drawn here from its definition."""
    size = config.frames_per_block
    shape = (size, *SHAPE)

    def noise_at(block: int, step: int) -> torch.Tensor:
        return torch.stack([
            keyed_noise(shape, seed=seed, prompt_index=prompt, block=block, step=step)
            for prompt in prompts
        ])  # fmt: skip

    first = torch.cat([noise_at(block, 0) for block in range(num_frames // size)], dim=1)
    return first, lambda step, block: noise_at(block, step + 1)


@each_mode
def test_diagonal_equals_step_first_bitwise(
    small_model: CausalWan, draw: Draw, mode: dict[str, Any]
) -> None:
    config = replace(SamplerConfig(), **mode)
    noise, _ = noise_and_bank(config)
    sweep, diagonal = (
        sample_latents(small_model, draw(1, 4, 8), noise, replace(config, order=order), seed=3)
        for order in ("step_first", "diagonal")
    )
    assert torch.equal(sweep, diagonal)
    assert sweep.isfinite().all()


class ListCache:
    """Keys and values a frame, in a plain dictionary: what `KVCache` must amount to."""

    def __init__(self, window: int | None, sink: int, num_layers: int) -> None:
        self.window, self.sink = window, sink
        self.frames: list[dict[int, tuple[torch.Tensor, torch.Tensor]]] = [
            {} for _ in range(num_layers)
        ]

    def write(
        self, layer: int, first_frame: int, k: torch.Tensor, v: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        stored, num_new = self.frames[layer], k.shape[1] // 6
        end = first_frame + num_new
        for i, frame in enumerate(range(first_frame, end)):
            tokens = slice(6 * i, 6 * (i + 1))
            stored[frame] = (k[:, tokens], v[:, tokens])
        oldest = 0 if self.window is None else end - (self.window - self.sink)
        seen = [stored[f] for f in range(end) if f < self.sink or f >= oldest]
        return torch.cat([k for k, _ in seen], dim=1), torch.cat([v for _, v in seen], dim=1)

    def advance(self, num_frames: int) -> None:
        """Nothing to note."""


def sample_naively(
    model: CausalWan,
    text: torch.Tensor,
    noise: torch.Tensor,
    config: SamplerConfig,
    bank: Callable[[int, int], torch.Tensor],
    timesteps: tuple[float, ...],
) -> torch.Tensor:
    """Step by step, block by block, with a cache of lists; sigma is timestep / 1000."""
    size = config.frames_per_block
    blocks = list(noise.split(size, dim=1))
    context = model.encode_text(text)
    levels = [*timesteps, 0.0]
    for step, t in enumerate(timesteps):
        last = step + 1 == len(timesteps)
        cache: Any = ListCache(config.window, config.sink, model.config.num_layers)

        def run(x: torch.Tensor, timestep: float, first: int, cache: Any = cache) -> Any:
            slots = [CacheSlot(cache, first)]
            return model.forward_cached(x, torch.tensor([timestep]), context, slots)

        for index, x in enumerate(blocks):
            flow = run(x, t, size * index)
            x0 = x - t / 1000 * flow
            if config.stochastic and not last:
                sigma = levels[step + 1] / 1000
                blocks[index] = (1 - sigma) * x0 + sigma * bank(step, index)
            else:
                blocks[index] = x + flow * (levels[step + 1] - t) / 1000
            if config.context == "clean" or (last and config.context == "output"):
                sigma = config.context_noise / 1000
                seen = (1 - sigma) * x0 + sigma * bank(step, index)
                run(seen, config.context_noise, size * index)
            elif config.context == "output":
                run(blocks[index], levels[step + 1], size * index)
    return torch.cat(blocks, dim=1)


@each_mode
@torch.no_grad()
def test_every_mode_equals_a_naive_sampler(
    small_model: CausalWan, draw: Draw, relative_l2: Measure, mode: dict[str, Any]
) -> None:
    config = replace(SamplerConfig(), **mode)
    others = {(1000, 625): (1000, 625), (900,): (1000 * 5 * 0.9 / (1 + 4 * 0.9),)}
    timesteps = others.get(config.steps, STEPS)
    text = draw(1, 4, 8)
    noise, bank = noise_and_bank(config)
    found = sample_latents(small_model, text, noise, config, renoise=bank)
    expected = sample_naively(small_model, text, noise, config, bank, timesteps)
    assert relative_l2(found, expected) <= 1e-5


@pytest.mark.parametrize("context", ["output", "input", "clean"])
@torch.no_grad()
def test_euler_equals_a_sampler_without_any_cache(
    small_model: CausalWan, draw: Draw, relative_l2: Measure, context: Any
) -> None:
    """Algorithm 1: each block is denoised in one dense pass over [its context | itself]."""
    config = SamplerConfig(stochastic=False, context=context)
    text = draw(1, 4, 8)
    noise, _ = noise_and_bank(config)
    levels = [*STEPS, 0.0]
    x = list(noise.split(3, dim=1))
    for step in range(4):
        shown: list[torch.Tensor] = []
        shown_level = {"input": levels[step], "output": levels[step + 1], "clean": 0.0}[context]
        for index, block in enumerate(x):
            latents = torch.cat([*shown, block], dim=1)
            timesteps = torch.tensor([[shown_level] * 3 * index + [levels[step]] * 3])
            flow = small_model(latents, timesteps, text, attention="block_causal")[:, -3:]
            x[index] = block + flow * (levels[step + 1] - levels[step]) / 1000
            x0 = block - flow * levels[step] / 1000
            shown.append({"input": block, "output": x[index], "clean": x0}[context])
    found = sample_latents(small_model, text, noise, config)
    assert relative_l2(found, torch.cat(x, dim=1)) <= 1e-5


@pytest.mark.parametrize(("window", "context_noise"), [(None, 0.0), (6, 0.0), (6, 625.0)])
@torch.no_grad()
def test_block_first_equals_a_sampler_without_any_cache(
    small_model: CausalWan,
    draw: Draw,
    relative_l2: Measure,
    window: int | None,
    context_noise: float,
) -> None:
    config = SamplerConfig(
        order="block_first", context="clean", window=window, context_noise=context_noise
    )
    seen: list[torch.Tensor] = []
    text = draw(1, 4, 8)
    noise, bank = noise_and_bank(config)
    done: list[torch.Tensor] = []
    for index, block in enumerate(noise.split(3, dim=1)):
        x = block
        for step, t in enumerate(STEPS):
            latents = torch.cat([*seen, x], dim=1)
            timesteps = torch.tensor([[context_noise] * 3 * index + [t] * 3])
            flow = small_model(latents, timesteps, text, attention="block_causal", window=window)
            x = x - t / 1000 * flow[:, -3:]
            if step < 3:
                sigma = STEPS[step + 1] / 1000
                x = (1 - sigma) * x + sigma * bank(step, index)
        done.append(x)
        sigma = context_noise / 1000
        seen.append((1 - sigma) * x + sigma * bank(3, index))
    found = sample_latents(small_model, text, noise, config, renoise=bank)
    assert relative_l2(found, torch.cat(done, dim=1)) <= 1e-5


@pytest.mark.parametrize("order", ["step_first", "diagonal", "block_first"])
def test_a_window_larger_than_the_video_is_no_window(
    small_model: CausalWan, draw: Draw, order: Any
) -> None:
    context: Any = "clean" if order == "block_first" else "output"
    config = SamplerConfig(order=order, context=context)
    noise, _ = noise_and_bank(config)
    whole, wide, narrow = (
        sample_latents(small_model, draw(1, 4, 8), noise, replace(config, window=window))
        for window in (None, 21, 6)
    )
    assert torch.equal(whole, wide)
    assert not torch.equal(whole, narrow)


@pytest.mark.parametrize(
    "mode",
    [
        {"order": "diagonal"},
        {"order": "diagonal", "window": 6, "context": "input"},
        {"order": "diagonal", "window": 7, "sink": 1, "stochastic": False},
        {"order": "block_first", "context": "clean"},
        {"order": "block_first", "context": "clean", "window": 6},
    ],
)
def test_a_stream_equals_the_video(
    small_model: CausalWan, draw: Draw, mode: dict[str, Any]
) -> None:
    config = SamplerConfig(**mode)
    text = draw(2, 4, 8)
    noise, _ = noise_and_bank(config, prompts=(5, 6))
    whole = sample_latents(small_model, text, noise, config, seed=3, prompt_index=5)
    keys: dict[str, Any] = {"latent_shape": SHAPE, "seed": 3, "prompt_index": 5}
    stream = list(stream_latents(small_model, text, config, num_blocks=5, **keys))
    assert [index for index, _ in stream] == list(range(5))
    assert torch.equal(torch.cat([latents for _, latents in stream], dim=1), whole)
    if config.window is not None:
        endless = stream_latents(small_model, text, config, **keys)
        for (_, latents), (_, expected) in zip(endless, stream, strict=False):
            assert torch.equal(latents, expected)


def test_a_stream_takes_constant_memory(
    small_model: CausalWan, draw: Draw, live_bytes: Callable[[], int]
) -> None:
    config = SamplerConfig(order="diagonal", window=6)
    stream = stream_latents(small_model, draw(1, 4, 8), config, latent_shape=SHAPE)
    measured = {}
    for index, _ in itertools.islice(stream, 40):
        if index in (5, 39):
            measured[index] = live_bytes()
    assert measured[39] == measured[5]


def test_a_video_of_more_than_1024_latent_frames(
    make_model: Callable[..., CausalWan], draw: Draw, relative_l2: Measure
) -> None:
    """Turning all positions by one angle changes nothing, so late blocks are as good as early.

    With the same noise in every block, a block depends on its place only through rotary
    positions: once the window is full, all blocks are equal.
    """
    model = make_model(dim=12, ffn_dim=12, num_layers=1)
    config = SamplerConfig(steps=(1000, 500), window=6)
    noise = draw(1, 3, 4, 2, 2).repeat(1, 350, 1, 1, 1)
    again = draw(1, 3, 4, 2, 2, seed=1)
    latents = sample_latents(model, draw(1, 4, 8), noise, config, renoise=lambda *_: again)
    early, late = latents[:, 30:33], latents[:, 1047:1050]
    assert relative_l2(late, early) <= 1e-5
    assert relative_l2(latents[:, :3], early) > 1e-3


def test_a_batch_equals_its_videos_alone(
    small_model: CausalWan, draw: Draw, relative_l2: Measure
) -> None:
    config = SamplerConfig(window=9)
    text = draw(2, 4, 8)
    noise, _ = noise_and_bank(config, prompts=(4, 5))
    both = sample_latents(small_model, text, noise, config, seed=3, prompt_index=4)
    for i in range(2):
        own = slice(i, i + 1)
        alone = sample_latents(
            small_model, text[own], noise[own], config, seed=3, prompt_index=4 + i
        )
        assert relative_l2(both[own], alone) <= 1e-5
    assert relative_l2(both[:1], both[1:]) > 1e-2


def test_the_default_noise_is_keyed_by_step_and_block(small_model: CausalWan, draw: Draw) -> None:
    config = SamplerConfig()
    noise, bank = noise_and_bank(config)
    initial = initial_noise(1, 5, (3, *SHAPE), seed=3)
    assert torch.equal(noise, initial)
    keyed = KeyedNoise(block_shape=(3, *SHAPE), seed=3, prompt_indices=[0]).renoise
    text = draw(1, 4, 8)
    default = sample_latents(small_model, text, noise, config, seed=3)
    for renoise in (bank, keyed):
        given = sample_latents(small_model, text, noise, config, renoise=renoise)
        assert torch.equal(given, default)


def test_cells_are_reported_once_each(small_model: CausalWan, draw: Draw) -> None:
    seen = []
    config = SamplerConfig(order="diagonal")
    noise, _ = noise_and_bank(config)
    sample_latents(
        small_model, draw(1, 4, 8), noise, config, on_cell=lambda cell, _: seen.append(cell)
    )
    assert sorted((cell.step, cell.block) for cell in seen) == [
        (step, block) for step in range(4) for block in range(5)
    ]


def test_latents_keep_the_dtype_of_the_noise(
    make_model: Callable[..., CausalWan], draw: Draw
) -> None:
    model = make_model().to(torch.bfloat16)
    latents = sample_latents(model, draw(1, 4, 8), draw(1, 6, *SHAPE), SamplerConfig())
    assert latents.dtype == torch.float32
    assert latents.isfinite().all()


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 7, *SHAPE), "7 latent frames are not a whole number of blocks of 3: take 6 or 9"),
        ((1, 0, *SHAPE), "not a whole number of blocks"),
        ((2, 6, *SHAPE), "noise has shape"),
        ((6, *SHAPE), "noise has shape"),
        ((1, 6, 3, 4, 6), "latents have shape"),
        ((1, 6, 4, 5, 6), "does not divide into patches"),
    ],
)
def test_noise_of_a_wrong_shape_is_named(
    small_model: CausalWan, draw: Draw, shape: tuple[int, ...], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        sample_latents(small_model, draw(1, 4, 8), torch.zeros(shape), SamplerConfig())


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (SamplerConfig(), "use diagonal"),
        (SamplerConfig(order="diagonal"), "set a window"),
        (SamplerConfig(order="block_first", context="clean"), "set a window"),
    ],
)
def test_a_stream_that_cannot_be_is_named(
    small_model: CausalWan, draw: Draw, config: SamplerConfig, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        next(stream_latents(small_model, draw(1, 4, 8), config, latent_shape=SHAPE))
