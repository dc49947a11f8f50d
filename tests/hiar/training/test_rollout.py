import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hiar.errors import UsageError
from hiar.model.kv_cache import CacheSlot, KVCache
from hiar.model.transformer import CausalWan
from hiar.sampling.config import SamplerConfig
from hiar.sampling.sampler import sample_latents
from hiar.sampling.sigmas import add_noise, denoising_steps, sigma_at, x0_from_flow
from hiar.training.gradient_cache import CacheGradient, GradientCache
from hiar.training.rollout import predict_from_data, rollout_with_exit

pytestmark = pytest.mark.numerics

Draw = Callable[..., torch.Tensor]
Measure = Callable[[torch.Tensor, torch.Tensor], float]
SIZE, LATENT = 2, (4, 4, 6)
STEP_FIRST = SamplerConfig(frames_per_block=SIZE)
BLOCK_FIRST = replace(STEP_FIRST, order="block_first", context="clean")
LAST = len(STEP_FIRST.steps) - 1
TOLERANCE = 3e-6
"""The ring and the list of blocks hold keys in another order: sums are rounded differently."""


@pytest.fixture
def model(make_model: Callable[..., CausalWan]) -> Iterator[CausalWan]:
    yield make_model().requires_grad_(True)


@pytest.fixture
def text(draw: Draw) -> torch.Tensor:
    return draw(1, 4, 8, seed=1)


def gradients(model: CausalWan, loss: torch.Tensor) -> torch.Tensor:
    parts = torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)
    return torch.cat([part.flatten() for part in parts])


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"context": "input"},
        {"context": "clean"},
        {"context": "clean", "context_noise": 625.0},
        {"order": "block_first", "context": "clean"},
        {"order": "diagonal"},
        {"order": "hybrid", "block_first_steps": 2},
        {"stochastic": False},
        {"stochastic": False, "order": "block_first", "context": "clean"},
        {"window": 4},
        {"window": 5, "sink": 1},
        {"window": 6, "sink": 3},
        {"window": 3, "context": "input"},
    ],
    ids=str,
)
def test_to_the_last_step_it_is_the_sampler(
    model: CausalWan, text: torch.Tensor, draw: Draw, relative_l2: Measure, change: dict[str, Any]
) -> None:
    config, noise = replace(STEP_FIRST, **change), draw(1, 5 * SIZE, *LATENT)
    expected = sample_latents(model, text, noise, config, seed=3, prompt_index=7)
    found = rollout_with_exit(model, text, noise, config, LAST, seed=3, prompt_index=7)
    assert found.requires_grad
    assert relative_l2(found.detach(), expected) <= TOLERANCE


@pytest.mark.parametrize("exit_step", range(LAST + 1))
@pytest.mark.parametrize("context", ["output", "clean"])
def test_an_exit_is_one_teacher_forcing_pass(
    model: CausalWan,
    text: torch.Tensor,
    draw: Draw,
    relative_l2: Measure,
    exit_step: int,
    context: Any,
) -> None:
    """All blocks at the exit step at once, beside the context that the rollout must have shown."""
    config, steps = replace(STEP_FIRST, context=context), denoising_steps(STEP_FIRST)
    noise, bank = draw(1, 4 * SIZE, *LATENT), draw(4, 4 * SIZE, *LATENT, seed=2)
    inputs: dict[int, torch.Tensor] = {}
    asked: list[tuple[int, int]] = []

    def renoise(step: int, block: int) -> torch.Tensor:
        asked.append((step, block))
        return bank[step, block * SIZE : (block + 1) * SIZE][None]

    def level(step: int) -> torch.Tensor:
        """Latents of all blocks at the input of a step."""
        if step == 0:
            return noise
        if step not in inputs:
            with torch.no_grad():
                before = rollout_with_exit(model, text, noise, config, step - 1, renoise=renoise)
            inputs[step] = add_noise(before, bank[step - 1][None], steps[step].sigma)
        return inputs[step]

    x, step = level(exit_step), steps[exit_step]
    found = rollout_with_exit(model, text, noise, config, exit_step, renoise=renoise)
    is_clean = context == "clean" or exit_step == LAST
    shown = found.detach() if is_clean else level(exit_step + 1)
    shown_at = 0.0 if is_clean else steps[exit_step + 1].timestep
    flow = model(
        x, torch.tensor([step.timestep]), text, "teacher_forcing", frames_per_block=SIZE,
        clean_latents=shown, clean_timesteps=torch.tensor([shown_at]),
    )  # fmt: skip
    expected = x0_from_flow(x, flow, step.sigma).detach()
    assert relative_l2(found.detach(), expected) <= TOLERANCE


@pytest.mark.parametrize(
    ("config", "per_block"), [(STEP_FIRST, [0, 1, 2]), (replace(STEP_FIRST, context="clean"), [0])]
)
def test_draws_of_a_rollout(
    model: CausalWan, text: torch.Tensor, draw: Draw, config: SamplerConfig, per_block: list[int]
) -> None:
    """As recorded in the release: every step before the exit, and the exit's own re-noising."""
    asked: list[tuple[int, int]] = []

    def renoise(step: int, block: int) -> torch.Tensor:
        asked.append((step, block))
        return torch.zeros(1, SIZE, *LATENT)

    exit_step = 2 if config.context == "output" else 1
    rollout_with_exit(model, text, draw(1, 6, *LATENT), config, exit_step, renoise=renoise)
    due = [(step, block) for step in per_block for block in range(3)]
    # Nothing comes after the last block of the exit step, so it is not shown.
    assert asked == (due[:-1] if config.context == "output" else due)


def test_self_forcing_by_hand(
    model: CausalWan, text: torch.Tensor, draw: Draw, relative_l2: Measure
) -> None:
    """Block after block with an in-place cache; context with the least noise, labelled 0."""
    noise, bank = draw(1, 3 * SIZE, *LATENT), draw(4, 3 * SIZE, *LATENT, seed=2)
    steps, exit_step = denoising_steps(BLOCK_FIRST), 1

    def renoise(step: int, block: int) -> torch.Tensor:
        return bank[step, block * SIZE : (block + 1) * SIZE][None]

    found = rollout_with_exit(
        model, text, noise, BLOCK_FIRST, exit_step, renoise=renoise, noised_clean_context=True
    )
    cache = KVCache(model.config, batch_size=1, frame_tokens=6, capacity=3 * SIZE)
    least = sigma_at(torch.tensor(0.0), 5.0)
    assert least.item() == pytest.approx(0.004975, abs=1e-5)
    expected = []
    with torch.no_grad():
        prompt = model.encode_text(text)
        for block in range(3):
            x = noise[:, block * SIZE : (block + 1) * SIZE]
            for step in range(exit_step + 1):
                at = torch.tensor([steps[step].timestep])
                flow = model.forward_cached(x, at, prompt, [CacheSlot(cache, block * SIZE)])
                x0 = x0_from_flow(x, flow, steps[step].sigma)
                x = add_noise(x0, renoise(step, block), steps[step + 1].sigma)
            expected.append(x0)
            shown = add_noise(x0, renoise(exit_step, block), least)
            model.forward_cached(shown, torch.zeros(1), prompt, [CacheSlot(cache, block * SIZE)])
    assert relative_l2(found.detach(), torch.cat(expected, dim=1)) <= TOLERANCE
    plain = rollout_with_exit(model, text, noise, BLOCK_FIRST, exit_step, renoise=renoise)
    assert torch.equal(plain[:, :SIZE], found[:, :SIZE])
    assert relative_l2(plain.detach(), found.detach()) > 1e-4


@pytest.mark.parametrize("config", [STEP_FIRST, BLOCK_FIRST, replace(STEP_FIRST, context="input")])
def test_gradient_on_the_last_frames_alone(
    model: CausalWan, text: torch.Tensor, draw: Draw, config: SamplerConfig
) -> None:
    """With one block in the window, the path through the cache ends at blocks without gradient."""
    noise, weight = draw(1, 4 * SIZE, *LATENT), draw(1, SIZE, *LATENT, seed=4)

    def gradient(mode: CacheGradient, frames: int | None) -> tuple[torch.Tensor, torch.Tensor]:
        x0 = rollout_with_exit(
            model, text, noise, config, 1, cache_gradient=mode, gradient_frames=frames
        )
        return x0.detach(), gradients(model, (x0[:, -SIZE:] * weight).sum())

    values, detached = gradient("detached", None)
    for mode, frames, is_same in [
        ("detached", SIZE, True),
        ("straight_through", SIZE, True),
        ("straight_through", 2 * SIZE, False),
        ("straight_through", None, False),
    ]:
        other_values, other = gradient(mode, frames)  # type: ignore[arg-type]
        assert torch.allclose(other_values, values, atol=1e-5)
        distance = ((other - detached).norm() / detached.norm()).item()
        assert (distance < 1e-5) is is_same, (mode, frames, distance)


def test_input_context_keeps_its_own_gradient(
    model: CausalWan, text: torch.Tensor, draw: Draw
) -> None:
    """Nothing is shown twice: straight-through is plain backpropagation of a block-causal pass."""
    config, noise = replace(STEP_FIRST, context="input"), draw(1, 3 * SIZE, *LATENT)
    weight = draw(1, 3 * SIZE, *LATENT, seed=4)
    x0 = rollout_with_exit(model, text, noise, config, 0)
    timesteps = torch.tensor([1000.0])
    flow = model(noise, timesteps, text, "block_causal", frames_per_block=SIZE)
    expected = gradients(model, (x0_from_flow(noise, flow, 1.0) * weight).sum())
    found = gradients(model, (x0 * weight).sum())
    assert ((found - expected).norm() / expected.norm()).item() < 1e-5


@pytest.mark.parametrize("config", [STEP_FIRST, BLOCK_FIRST, replace(STEP_FIRST, window=4)])
def test_checkpointed_activations_change_nothing(
    model: CausalWan, text: torch.Tensor, draw: Draw, config: SamplerConfig
) -> None:
    noise, weight = draw(1, 4 * SIZE, *LATENT), draw(1, 4 * SIZE, *LATENT, seed=4)
    found = []
    for model.checkpoint_activations in (False, True):
        x0 = rollout_with_exit(model, text, noise, config, 1)
        found.append((x0.detach(), gradients(model, (x0 * weight).sum())))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


class LivingMemory(TorchDispatchMode):
    """Bytes of all storages that operations make, now and at the most."""

    def __init__(self) -> None:
        super().__init__()
        self.living: dict[int, int] = {}
        self.peak = 0

    @property
    def total(self) -> int:
        return sum(self.living.values())

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self.living:
                    self.living[storage._cdata] = storage.nbytes()
                    weakref.finalize(storage, self.living.pop, storage._cdata, None)
        self.peak = max(self.peak, self.total)
        return result


def memory_of(run: Callable[[], torch.Tensor]) -> tuple[int, int]:
    """Bytes that a rollout leaves for its backward pass, and the most it needs on the way."""
    with LivingMemory() as memory:
        result = run()
        assert result.requires_grad
        return memory.total, memory.peak


@pytest.mark.parametrize("config", [STEP_FIRST, replace(STEP_FIRST, context="input"), BLOCK_FIRST])
@pytest.mark.parametrize("checkpointed", [False, True])
def test_memory_is_flat_in_the_steps_before_the_exit(
    model: CausalWan, text: torch.Tensor, draw: Draw, config: SamplerConfig, checkpointed: bool
) -> None:
    """Exit 0 has no steps before it, so at most one pass's working memory is added by the first."""
    noise = draw(1, 4 * SIZE, *LATENT)
    model.checkpoint_activations = checkpointed
    rollout_with_exit(model, text, noise, config, 0)  # tables that the first call of all keeps
    left, peak = zip(*(
        memory_of(lambda e=exit_step: rollout_with_exit(model, text, noise, config, e))  # type: ignore[misc]
        for exit_step in range(LAST + 1)
    ), strict=True)  # fmt: skip
    assert max(left) <= 1.001 * min(left)
    assert max(peak[1:]) <= 1.001 * min(peak[1:])
    assert max(peak) <= 1.1 * peak[0]


def test_checkpointing_saves_memory(model: CausalWan, text: torch.Tensor, draw: Draw) -> None:
    noise = draw(1, 4 * SIZE, *LATENT)

    def run() -> torch.Tensor:
        return rollout_with_exit(model, text, noise, STEP_FIRST, 1)

    plain, _ = memory_of(run)
    model.checkpoint_activations = True
    assert memory_of(run)[0] < 0.5 * plain


def test_videos_of_a_batch_do_not_mix(model: CausalWan, draw: Draw, relative_l2: Measure) -> None:
    text, noise = draw(2, 4, 8, seed=1), draw(2, 3 * SIZE, *LATENT)
    both = rollout_with_exit(model, text, noise, STEP_FIRST, 2, prompt_index=(4, 9))
    for index, prompt in enumerate((4, 9)):
        alone = rollout_with_exit(
            model, text[[index]], noise[[index]], STEP_FIRST, 2, prompt_index=prompt
        )
        assert relative_l2(both[[index]].detach(), alone.detach()) <= TOLERANCE


def test_without_gradients_there_is_no_graph(
    model: CausalWan, text: torch.Tensor, draw: Draw
) -> None:
    noise = draw(1, 3 * SIZE, *LATENT)
    with torch.no_grad():
        found = rollout_with_exit(model, text, noise, STEP_FIRST, 2)
    assert not found.requires_grad
    expected = rollout_with_exit(model, text, noise, STEP_FIRST, 2)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("window", "sink"), [(3, 0), (3, 1), (4, 0), (4, 1), (4, 2), (5, 2), (7, 2)]
)
def test_window_and_sink_are_those_of_the_ring(
    make_model: Callable[..., CausalWan], draw: Draw, window: int, sink: int
) -> None:
    """Block after block, a pass may see the frames that the inference cache holds, and no other."""
    sizes = make_model(num_layers=1).config
    ring = KVCache(sizes, batch_size=1, frame_tokens=1, capacity=window, sink=sink)
    cache = GradientCache(1, 1, window=window, sink=sink)
    for block in range(6):
        frames = range(block * SIZE, (block + 1) * SIZE)
        k = torch.tensor(frames).float()[None, :, None, None].expand(1, SIZE, 2, 12)
        in_ring, _ = ring.write(0, frames.start, k, k)
        ring.advance(frames.stop)
        block_pass = cache.begin(frames.start, SIZE)
        seen, _ = block_pass.write(0, frames.start, k, k)
        cache.write_context(frames.start, SIZE, block_pass, None)
        assert sorted(seen[0, :, 0, 0].tolist()) == sorted(in_ring[0, :, 0, 0].tolist())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exit_step": 4}, r"exit_step 4 must lie in \[0, 4\)"),
        ({"exit_step": -1}, "exit_step -1"),
        ({"gradient_frames": 3}, "gradient_frames 3 must be whole blocks of 2"),
        ({"gradient_frames": 8}, "at most the video's 6"),
        ({"gradient_frames": 0}, "gradient_frames 0"),
        ({"cache_gradient": "leaky"}, "cache_gradient 'leaky' is unknown"),
        ({"noise": torch.zeros(1, 5, *LATENT)}, "5 latent frames"),
        ({"noise": torch.zeros(2, 6, *LATENT)}, "B = 1"),
        (
            {"config": replace(STEP_FIRST, order="hybrid", block_first_blocks=1)},
            "block_first_blocks 1",
        ),
        (
            {"config": replace(STEP_FIRST, window=6, sink=3, cache="aligned-sink")},
            "train with cache 'sink'",
        ),
    ],
)
def test_bad_input(
    model: CausalWan, text: torch.Tensor, change: dict[str, Any], message: str
) -> None:
    arguments = {"noise": torch.zeros(1, 6, *LATENT), "config": STEP_FIRST, "exit_step": 1} | change
    with pytest.raises(UsageError, match=message):
        rollout_with_exit(model, text, **arguments)


def test_data_is_predicted_block_by_block_from_noised_earlier_blocks(
    model: CausalWan, text: torch.Tensor, draw: Draw
) -> None:
    """Against one pass a block over what it may see, each block at a level of its own."""
    config = replace(BLOCK_FIRST, window=3 * SIZE)
    steps, levels = torch.tensor([[2, 0, 3, 1]]), denoising_steps(config)
    clean, noise = draw(1, 4 * SIZE, *LATENT, seed=5), draw(1, 4 * SIZE, *LATENT, seed=6)
    found = predict_from_data(model, text, clean, noise, steps, config)
    rows = [levels[step] for step in steps[0].repeat_interleave(SIZE)]
    sigmas, times = torch.tensor([[(row.sigma, row.timestep) for row in rows]]).unbind(-1)
    noised = add_noise(clean, noise, sigmas[:, :, None, None, None])
    for block in range(4):
        end = (block + 1) * SIZE
        flow = model(
            noised[:, :end], times[:, :end], text, "block_causal",
            frames_per_block=SIZE, window=3 * SIZE,
        )  # fmt: skip
        own = slice(end - SIZE, end)
        x0 = x0_from_flow(noised[:, own], flow[:, own], levels[steps[0, block]].sigma)
        torch.testing.assert_close(found[:, own], x0, rtol=1e-5, atol=1e-5)
    assert gradients(model, found.square().mean()).abs().max() > 0
