"""Any settings against the definition: no cache, no orders, dense attention under a mask."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hiar.model.transformer import CausalWan
from hiar.sampling.config import SamplerConfig
from hiar.sampling.noise import initial_noise, keyed_noise
from hiar.sampling.sampler import sample_latents, stream_latents

pytestmark = pytest.mark.numerics

Draw = Callable[..., torch.Tensor]
Measure = Callable[[torch.Tensor, torch.Tensor], float]
LATENT = (4, 2, 4)
FRAME_TOKENS = 2
SEED = 11
TOLERANCE = 1e-5
any_settings = settings(max_examples=25)


@st.composite
def configs(draw: st.DrawFn, orders: tuple[str, ...]) -> SamplerConfig:
    """Settings of any kind; unwarped steps, so that sigma is the nearest of the table."""
    num_steps = draw(st.integers(1, 3))
    steps = (1000.0, 900.0, 600.0)[:num_steps]
    size, sink = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    window = draw(st.one_of(st.none(), st.integers(sink + size, sink + 3 * size)))
    order = draw(st.sampled_from(orders))
    own: dict[str, Any] = {"context": draw(st.sampled_from(["output", "input", "clean"]))}
    if order == "block_first":
        own["context"] = "clean"
    if order == "hybrid":
        own["block_first_steps"] = draw(st.integers(0, num_steps))
        first = 0 if own["block_first_steps"] else 1
        own["block_first_blocks"] = draw(st.integers(first, 3))
    return SamplerConfig(
        steps=steps, warp=draw(st.booleans()), order=order, frames_per_block=size,
        stochastic=draw(st.booleans()), window=window, sink=sink if window else 0, **own,
    )  # fmt: skip


@pytest.fixture(scope="module")
def models(make_model: Callable[..., CausalWan]) -> dict[tuple[int, int], CausalWan]:
    """By (heads, width of a head): rotary splits that are even, uneven, and without rows."""
    sizes = [(1, 12), (2, 16), (3, 4), (5, 6)]
    return {
        (heads, width): make_model(dim=heads * width, ffn_dim=16, num_heads=heads, num_layers=2)
        for heads, width in sizes
    }


heads = st.sampled_from([(1, 12), (2, 16), (3, 4), (5, 6)])
blocks = st.integers(1, 5)


def dense_flow(
    model: CausalWan,
    text: torch.Tensor,
    chunks: list[tuple[torch.Tensor, float]],
    config: SamplerConfig,
) -> torch.Tensor:
    """Flow of the last chunk when all run at once, each at its own timestep, under a mask."""
    latents = torch.cat([x for x, _ in chunks], dim=1)
    frames = [x.shape[1] for x, _ in chunks]
    timesteps = torch.cat([torch.full((x.shape[0], x.shape[1]), t) for x, t in chunks], dim=1)
    total = latents.shape[1]
    seen = torch.zeros(total, total, dtype=torch.bool)
    end = 0
    for size in frames:
        start, end = end, end + size
        oldest = 0 if config.window is None else end - (config.window - config.sink)
        for frame in range(end):
            seen[start:end, frame] = frame < config.sink or frame >= oldest
    mask = seen.repeat_interleave(FRAME_TOKENS, 0).repeat_interleave(FRAME_TOKENS, 1)

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        scores = torch.einsum("blnk,bmnk->bnlm", q, k) / q.shape[-1] ** 0.5
        weights = scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)
        return torch.einsum("bnlm,bmnk->blnk", weights, v)

    with patch("hiar.model.self_attention.attend", attend):
        flow = model(latents, timesteps, text)
    return flow[:, -frames[-1] :]


def sigma_and_timestep(config: SamplerConfig, step: float) -> tuple[float, float]:
    """From the formula: entry i of the table is s u / (1 + (s - 1) u) at u = 1 - i / 1000."""
    table = [5 * u / (1 + 4 * u) for u in (1 - i / 1000 for i in range(1000))]
    if config.warp:
        sigma = table[1000 - int(step)]
        return sigma, 1000 * sigma
    return min(table, key=lambda sigma: abs(1000 * sigma - step)), step


def by_definition(
    model: CausalWan,
    text: torch.Tensor,
    noise: torch.Tensor,
    config: SamplerConfig,
    initial: torch.Tensor | None,
) -> torch.Tensor:
    """Sample with plain loops: what each block sees is a list of (latents, timestep)."""
    size, num_steps = config.frames_per_block, len(config.steps)
    levels = [sigma_and_timestep(config, step) for step in config.steps] + [(0.0, 0.0)]
    x = list(noise.split(size, dim=1))

    def advance(block: int, step: int, shown: list[tuple[torch.Tensor, float]]) -> torch.Tensor:
        """Move a block one step on; returns x0."""
        sigma, timestep = levels[step]
        flow = dense_flow(model, text, [*shown, (x[block], timestep)], config)
        x0 = x[block] - sigma * flow
        if step + 1 == num_steps:
            x[block] = x0
        elif config.stochastic:
            fresh = torch.stack([
                keyed_noise((size, *LATENT), seed=SEED, prompt_index=i, block=block, step=step + 1)
                for i in range(noise.shape[0])
            ])  # fmt: skip
            x[block] = (1 - levels[step + 1][0]) * x0 + levels[step + 1][0] * fresh
        else:
            x[block] = x[block] + flow * (levels[step + 1][0] - sigma)
        return x0

    clean: list[tuple[torch.Tensor, float]] = []
    if initial is not None:
        rest = initial.shape[1] % size
        sizes = ([rest] if rest else []) + [size] * (initial.shape[1] // size)
        clean = [(chunk, 0.0) for chunk in initial.split(sizes, dim=1)]
    lead = min(config.block_first_blocks, len(x))
    for block in range(lead):
        for step in range(num_steps):
            advance(block, step, clean)
        clean.append((x[block], 0.0))
    together = {"block_first": num_steps, "hybrid": config.block_first_steps}.get(config.order, 1)
    first = max(together, 1)
    for stage in [list(range(first)), *([step] for step in range(first, num_steps))]:
        shown = list(clean)
        for block in range(lead, len(x)):
            for step in stage:
                before = (x[block], levels[step][1])
                x0 = advance(block, step, shown)
            if config.context == "input":
                shown.append(before)
            elif config.context == "clean":
                shown.append((x0, 0.0))
            else:
                shown.append((x[block], levels[stage[-1] + 1][1]))
    return torch.cat(x if initial is None else [initial, *x], dim=1)


@any_settings
@given(
    config=configs(("block_first", "step_first", "diagonal", "hybrid")), sizes=heads,
    num_blocks=blocks, initial_frames=st.integers(0, 5),
)  # fmt: skip
@torch.no_grad()
def test_cached_equals_uncached(
    models: dict[tuple[int, int], CausalWan], draw: Draw, relative_l2: Measure,
    config: SamplerConfig, sizes: tuple[int, int], num_blocks: int, initial_frames: int,
) -> None:  # fmt: skip
    model, text = models[sizes], draw(2, 3, 8)
    initial = draw(2, initial_frames, *LATENT, seed=5) if initial_frames else None
    noise = initial_noise(2, num_blocks, (config.frames_per_block, *LATENT), seed=SEED)
    found = sample_latents(model, text, noise, config, seed=SEED, initial_latents=initial)
    expected = by_definition(model, text, noise, config, initial)
    assert relative_l2(found, expected) <= TOLERANCE


@any_settings
@given(config=configs(("step_first",)), num_blocks=blocks, initial_frames=st.integers(0, 4))
def test_diagonal_equals_step_first_bitwise(
    models: dict[tuple[int, int], CausalWan], draw: Draw, relative_l2: Measure,
    config: SamplerConfig, num_blocks: int, initial_frames: int,
) -> None:  # fmt: skip
    model, text = models[2, 16], draw(1, 3, 8)
    initial = draw(1, initial_frames, *LATENT, seed=5) if initial_frames else None
    noise = initial_noise(1, num_blocks, (config.frames_per_block, *LATENT), seed=SEED)

    def sample(**changes: Any) -> torch.Tensor:
        changed = replace(config, **changes)
        return sample_latents(model, text, noise, changed, seed=SEED, initial_latents=initial)

    sweep = sample()
    assert torch.equal(sample(order="diagonal"), sweep)
    assert relative_l2(sample(order="diagonal", wave_batch=True), sweep) <= TOLERANCE


@any_settings
@given(
    config=configs(("block_first", "diagonal", "hybrid")), num_blocks=blocks,
    initial_frames=st.integers(0, 4),
)  # fmt: skip
def test_a_stream_equals_the_video_bitwise(
    models: dict[tuple[int, int], CausalWan], draw: Draw,
    config: SamplerConfig, num_blocks: int, initial_frames: int,
) -> None:  # fmt: skip
    model, text = models[3, 4], draw(2, 3, 8)
    initial = draw(1, initial_frames, *LATENT, seed=5) if initial_frames else None
    noise = initial_noise(
        2, num_blocks, (config.frames_per_block, *LATENT), seed=SEED, prompt_indices=[4, 1]
    )
    keys: dict[str, Any] = {"seed": SEED, "prompt_index": [4, 1], "initial_latents": initial}
    whole = sample_latents(model, text, noise, config, **keys)
    stream = stream_latents(
        model, text, config, latent_shape=LATENT, num_blocks=num_blocks, **keys
    )  # fmt: skip
    made = torch.cat([latents for _, latents in stream], dim=1)
    assert torch.equal(made, whole[:, initial_frames:])
    if initial is not None:
        assert torch.equal(whole[:, :initial_frames], initial.expand(2, -1, -1, -1, -1))


def test_hybrids_of_all_steps_or_all_blocks_are_block_first(
    models: dict[tuple[int, int], CausalWan], draw: Draw
) -> None:
    model, text = models[1, 12], draw(1, 3, 8)
    noise = initial_noise(1, 4, (3, *LATENT), seed=SEED)
    block_first = SamplerConfig(order="block_first", context="clean")
    expected = sample_latents(model, text, noise, block_first)
    for counts in ({"block_first_steps": 4}, {"block_first_blocks": 4}, {"block_first_blocks": 9}):
        config = SamplerConfig(order="hybrid", **counts)
        assert torch.equal(sample_latents(model, text, noise, config), expected)


def test_hybrids_differ_from_the_orders_they_mix(
    models: dict[tuple[int, int], CausalWan], draw: Draw, relative_l2: Measure
) -> None:
    model, text = models[1, 12], draw(1, 3, 8)
    noise = initial_noise(1, 4, (3, *LATENT), seed=SEED)
    configs = [
        SamplerConfig(),
        SamplerConfig(order="block_first", context="clean"),
        SamplerConfig(order="hybrid", block_first_steps=2),
        SamplerConfig(order="hybrid", block_first_blocks=1),
    ]
    videos = [sample_latents(model, text, noise, config) for config in configs]
    for i, video in enumerate(videos):
        for other in videos[:i]:
            assert relative_l2(video, other) > 10 * TOLERANCE
