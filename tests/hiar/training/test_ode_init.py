"""ODE regression: which points, which labels, which target; and that it learns."""

from collections.abc import Callable, Sequence

import pytest
import torch

from hiar.errors import UsageError
from hiar.model.transformer import CausalWan
from hiar.runtime.ranks import Ranks
from hiar.training.data import TrajectoryBatch
from hiar.training.stages.ode_init import OdeInitConfig, OdeInitStage, mix_levels, regression_loss

pytestmark = pytest.mark.numerics

Draw = Callable[..., torch.Tensor]
SIGMAS = torch.tensor([1.0, 0.9375, 0.8333, 0.625, 0.0])


class Paths:
    def __init__(self, points: torch.Tensor, text: torch.Tensor) -> None:
        self.points, self.text, self.sigmas = points, text, SIGMAS

    def __len__(self) -> int:
        return len(self.points)

    def read(self, indices: Sequence[int]) -> TrajectoryBatch:
        rows = list(indices)
        return TrajectoryBatch(latents=self.points[rows], sigmas=SIGMAS, text=self.text[rows])


@pytest.fixture
def paths(draw: Draw) -> Paths:
    return Paths(draw(4, 5, 6, 4, 2, 4), draw(4, 4, 8, seed=1))


def test_each_block_comes_from_its_own_point(draw: Draw) -> None:
    points = draw(2, 5, 6, 4, 2, 4)
    mixed = mix_levels(points, torch.tensor([[0, 3], [2, 1]]), 3)
    for video, block, point in ((0, 0, 0), (0, 1, 3), (1, 0, 2), (1, 1, 1)):
        own = slice(3 * block, 3 * block + 3)
        assert torch.equal(mixed[video, own], points[video, point, own])


def test_loss_by_hand(small_model: CausalWan, paths: Paths) -> None:
    """x0 = x - sigma flow against the path's end, block-causal, labelled by the point's sigma."""
    choice = torch.tensor([[0, 3], [2, 1]])
    points, text = paths.points[:2], paths.text[:2]
    found = regression_loss(small_model, points, SIGMAS, text, choice, 3)
    x = torch.stack([
        torch.cat([points[v, choice[v, b], 3 * b : 3 * b + 3] for b in range(2)]) for v in range(2)
    ])  # fmt: skip
    levels = torch.tensor([[1.0] * 3 + [0.625] * 3, [0.8333] * 3 + [0.9375] * 3])
    flow = small_model(x, 1000 * levels, text, "block_causal")
    x0 = x - levels[..., None, None, None] * flow
    expected = (x0 - points[:, 4]).square().mean()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_it_lowers_its_loss(make_model: Callable[..., CausalWan], paths: Paths) -> None:
    config = OdeInitConfig(
        steps=40, batch_size=4, learning_rate=3e-3, schedule="one_cycle", warmup_steps=4,
        beta1=0.9, clip_norm=1.0,
    )  # fmt: skip
    model = make_model()
    choice = torch.tensor([[0, 1], [2, 3], [3, 0], [1, 2]])

    def loss() -> float:
        return float(regression_loss(model, paths.points, SIGMAS, paths.text, choice, 3).detach())

    before = loss()
    stage = OdeInitStage(model, paths, config, seed=0)
    for step in range(config.steps):
        stage.run_step(step)
    assert loss() < 0.8 * before


def gradient(stage: OdeInitStage, samples: Sequence[int]) -> torch.Tensor:
    model = stage.models["student"]
    model.zero_grad()
    stage.loss(0, samples).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_micro_batches_and_shares_add_up(
    make_model: Callable[..., CausalWan], paths: Paths
) -> None:
    """The gradient over a batch is the mean of its samples', however they are cut."""
    stage = OdeInitStage(make_model(), paths, OdeInitConfig(steps=1, batch_size=4), seed=0)
    whole = gradient(stage, range(4))
    single = torch.stack([gradient(stage, [sample]) for sample in range(4)]).mean(dim=0)
    torch.testing.assert_close(single, whole, rtol=1e-4, atol=1e-6)
    shares = torch.stack([
        gradient(stage, Ranks(rank=rank, num_ranks=2).share(range(4))) for rank in range(2)
    ])  # fmt: skip
    torch.testing.assert_close(shares.mean(dim=0), whole, rtol=1e-4, atol=1e-6)


def test_every_level_but_the_clean_one_is_drawn(
    make_model: Callable[..., CausalWan], paths: Paths
) -> None:
    model = make_model()
    stage = OdeInitStage(model, paths, OdeInitConfig(steps=1, batch_size=64), seed=0)
    seen: list[torch.Tensor] = []
    model.register_forward_pre_hook(lambda _, args: seen.append(args[1]))
    stage.loss(0, range(64))
    levels = seen[0].unique().flip(0) / 1000
    torch.testing.assert_close(levels, SIGMAS[:-1])
    assert (seen[0][:, 0] != seen[0][:, 3]).any()  # blocks differ
    assert (seen[0][:, :3] == seen[0][:, :1]).all()  # frames of a block do not


def test_an_unknown_schedule() -> None:
    with pytest.raises(UsageError, match="schedule 'cosine' is unknown"):
        OdeInitConfig(steps=1, schedule="cosine")
