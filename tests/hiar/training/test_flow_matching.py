import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from hiar.errors import UsageError
from hiar.model.transformer import CausalWan
from hiar.training.flow_matching import (
    Batch,
    FlowMatchingConfig,
    flow_matching_loss,
    noise_levels,
)
from hiar.training.keyed import data_indices
from hiar.training.optimise import warmup_cosine
from hiar.training.stages.pretrain import PretrainStage

pytestmark = pytest.mark.numerics

Draw = Callable[..., torch.Tensor]
CAUSAL = FlowMatchingConfig(attention="block_causal", steps=1)


@pytest.fixture
def batch(draw: Draw) -> Batch:
    return Batch(latents=draw(2, 9, 4, 4, 6), text=draw(2, 4, 8, seed=1))


def noise_for(batch: Batch) -> torch.Tensor:
    return torch.randn(batch.latents.shape, generator=torch.Generator().manual_seed(0))


def loss_of(
    model: CausalWan, batch: Batch, sigmas: torch.Tensor, config: FlowMatchingConfig = CAUSAL
) -> torch.Tensor:
    return flow_matching_loss(model, batch, noise_for(batch), sigmas, config)


class Repeated:
    """One batch as a data set that never ends."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return len(self.batch.text)

    def read(self, indices: Sequence[int]) -> Batch:
        rows = list(indices)
        return Batch(latents=self.batch.latents[rows], text=self.batch.text[rows])


@pytest.mark.parametrize("attention", ["block_causal", "bidirectional"])
def test_loss_by_hand(small_model: CausalWan, batch: Batch, attention: Any) -> None:
    """Mean over the frames of counted blocks of |predicted flow - (noise - x0)|^2."""
    sigmas = torch.tensor([[0.5, 0.0, 0.9], [0.25, 0.75, 0.0]])
    config = replace(CAUSAL, attention=attention)
    found = loss_of(small_model, batch, sigmas, config)
    noise = noise_for(batch)
    level = sigmas.repeat_interleave(3, dim=1)
    x = batch.latents + level[:, :, None, None, None] * (noise - batch.latents)
    flow = small_model(x, 1000 * level, batch.text, attention=attention)
    errors = []
    for video, block in ((0, 0), (0, 2), (1, 0), (1, 1)):
        own = slice(3 * block, 3 * block + 3)
        target = noise[video, own] - batch.latents[video, own]
        errors.append((flow[video, own] - target).square().mean())
    torch.testing.assert_close(found, torch.stack(errors).mean(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["clean", "counted"])
def test_a_last_block_that_is_not_counted_has_no_say(
    make_model: Callable[..., CausalWan], batch: Batch, kind: str
) -> None:
    """In block-causal attention nothing sees the last block, so only the loss could."""
    model = make_model().requires_grad_(True)
    sigmas = torch.full((2, 3), 0.5)
    if kind == "clean":
        sigmas[:, 2] = 0
    changed = replace(batch, latents=batch.latents.clone())
    changed.latents[:, 6:] += 1
    results = []
    for each in (batch, changed):
        model.zero_grad()
        loss = loss_of(model, each, sigmas)
        loss.backward()
        gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        results.append((loss.detach(), gradient))
    (loss, gradient), (loss_changed, gradient_changed) = results
    same = kind != "counted"
    assert torch.equal(loss, loss_changed) == same
    assert torch.allclose(gradient, gradient_changed, rtol=1e-4, atol=1e-6) == same


def test_nothing_counted_is_0_not_nan(small_model: CausalWan, batch: Batch) -> None:
    assert loss_of(small_model, batch, torch.zeros(2, 3)) == 0


def test_a_few_steps_lower_the_loss(make_model: Callable[..., CausalWan], batch: Batch) -> None:
    model = make_model().requires_grad_(True)
    config = FlowMatchingConfig(
        attention="block_causal", steps=40, batch_size=2, warmup_steps=5, learning_rate=3e-3
    )
    sigmas = torch.tensor([[0.3, 0.6, 0.9], [0.8, 0.5, 0.2]])
    before = loss_of(model, batch, sigmas).item()
    stage = PretrainStage(model, Repeated(batch), config, seed=1)
    losses = [stage.run_step(step)["loss"] for step in range(config.steps)]
    assert all(math.isfinite(loss) for loss in losses)
    assert loss_of(model, batch, sigmas).item() < 0.8 * before


def test_a_step_depends_on_its_seed_and_number_alone(
    make_model: Callable[..., CausalWan], batch: Batch
) -> None:
    config = FlowMatchingConfig(attention="bidirectional", steps=3, batch_size=2)

    def loss(step: int, seed: int) -> float:
        torch.rand(step + seed + 1)  # the global generator has no say
        stage = PretrainStage(make_model(), Repeated(batch), config, seed=seed)
        return stage.run_step(step)["loss"]

    assert loss(1, 5) == loss(1, 5)
    assert loss(1, 5) != loss(2, 5) != loss(2, 6)


@pytest.mark.parametrize("text_dropout", [0.0, 0.5, 1 - 1e-7])
def test_text_dropout_zeroes_whole_prompts(
    make_model: Callable[..., CausalWan], draw: Draw, text_dropout: float
) -> None:
    model = make_model().requires_grad_(True)
    seen: list[torch.Tensor] = []
    model.register_forward_pre_hook(lambda _, args: seen.append(args[2]))
    many = Batch(latents=draw(32, 3, 4, 2, 2), text=draw(32, 4, 8, seed=1))
    config = FlowMatchingConfig(
        attention="block_causal", steps=1, batch_size=32, text_dropout=text_dropout
    )
    PretrainStage(model, Repeated(many), config, seed=0).run_step(0)
    many = Repeated(many).read(order_of(many, config))
    kept = (seen[0] == many.text).flatten(1).all(dim=1)
    dropped = (seen[0] == 0).flatten(1).all(dim=1)
    assert (kept ^ dropped).all()
    # Of 32 at a half, 16 +- 2.8; five deviations allowed.
    low, high = {0.0: (0, 0), 0.5: (3, 29)}.get(text_dropout, (32, 32))
    assert low <= int(dropped.sum()) <= high


def order_of(many: Batch, config: FlowMatchingConfig) -> list[int]:
    """Which clips the samples of step 0 are."""
    size = config.batch_size
    return data_indices(
        len(many.text), seed=0, step=0, batch_size=size, samples=range(size), purpose="clips"
    )


def test_noise_levels() -> None:
    generator = torch.Generator().manual_seed(0)
    uniform, clean = (torch.rand(4000, 5, generator=generator) for _ in range(2))
    teacher = noise_levels(uniform, clean, FlowMatchingConfig(attention="bidirectional", steps=1))
    assert teacher.shape == (4000, 5)
    assert (teacher == teacher[:, :1]).all()
    assert (teacher > 0).all()
    causal = noise_levels(uniform, clean, replace(CAUSAL, clean_share=0.2))
    # 20,000 blocks: standard error 0.0028
    assert float((causal == 0).float().mean()) == pytest.approx(0.2, abs=0.015)
    noised = causal[causal > 0]
    assert noised.max() <= 1
    # Median of 5 u / (1 + 4 u) for uniform u is its value at 1/2.
    assert float(noised.median()) == pytest.approx(5 / 6, abs=0.015)
    levels = causal.masked_fill(causal == 0, torch.nan)
    assert (levels[:, 0] != levels[:, 1]).all()
    forced = noise_levels(uniform, clean, replace(CAUSAL, attention="teacher_forcing"))
    assert (forced > 0).all()


def test_teacher_forcing_sees_clean_blocks_before(
    make_model: Callable[..., CausalWan], batch: Batch
) -> None:
    """By hand: block n is predicted from clean blocks before n and its own noised frames."""
    model = make_model()
    config = replace(CAUSAL, attention="teacher_forcing")
    sigmas = torch.tensor([[0.5, 0.7, 0.9], [0.25, 0.75, 0.3]])
    noise = noise_for(batch)
    errors = []
    for block in range(3):
        own, before = slice(3 * block, 3 * block + 3), slice(0, 3 * block)
        level = sigmas[:, block, None, None, None, None]
        noised = batch.latents[:, own] + level * (noise - batch.latents)[:, own]
        x = torch.cat((batch.latents[:, before], noised), dim=1)
        times = torch.cat(
            (torch.zeros(2, 3 * block), 1000 * sigmas[:, block, None].expand(2, 3)), dim=1
        )
        flow = model(x, times, batch.text, "block_causal")[:, own]
        errors.append((flow - (noise - batch.latents)[:, own]).square().mean())
    found = flow_matching_loss(model, batch, noise, sigmas, config)
    torch.testing.assert_close(found, torch.stack(errors).mean(), rtol=1e-5, atol=1e-6)


def test_warmup_and_cosine_by_hand() -> None:
    assert [warmup_cosine(step, 12, 4) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    # Half a cosine over the 8 steps that follow: 1 at the start, 1/2 in the middle.
    found = [warmup_cosine(step, 12, 4) for step in (4, 6, 8, 10)]
    assert found == pytest.approx([1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5])
    assert warmup_cosine(12, 12, 4) == pytest.approx(0)
    assert warmup_cosine(0, 10, 0) == 1


def test_the_learning_rate_follows_the_cycle(
    make_model: Callable[..., CausalWan], batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    inner = torch.optim.AdamW.step

    def step(optimiser: torch.optim.AdamW, *args: Any, **options: Any) -> Any:
        rates.extend(group["lr"] for group in optimiser.param_groups)
        return inner(optimiser, *args, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    config = FlowMatchingConfig(
        attention="block_causal", steps=6, batch_size=2, warmup_steps=2, learning_rate=0.01
    )
    stage = PretrainStage(make_model(), Repeated(batch), config, seed=0)
    for index in range(config.steps):
        stage.run_step(index)
    assert rates == pytest.approx([0.01 * warmup_cosine(i, 6, 2) for i in range(6)])


def test_a_part_of_a_block_is_refused(make_model: Callable[..., CausalWan], batch: Batch) -> None:
    short = replace(batch, latents=batch.latents[:, :8])
    with pytest.raises(UsageError, match="8 latent frames"):
        PretrainStage(
            make_model(), Repeated(short), replace(CAUSAL, batch_size=2), seed=0
        ).run_step(0)


@pytest.mark.parametrize("change", [{"clean_share": 1.0}, {"text_dropout": -0.1}])
def test_shares_are_below_1(change: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="shares"):
        replace(CAUSAL, **change)
