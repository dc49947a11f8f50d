"""The teacher's ODE against closed forms, and its files against damage and process counts."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from hiar.errors import UsageError
from hiar.model.transformer import CausalWan
from hiar.runtime.progress import Progress
from hiar.runtime.ranks import Ranks
from hiar.training.stages.trajectory_files import (
    TrajectoryFolder,
    TrajectoryPlan,
    prompts_of,
    write_trajectories,
)
from hiar.training.trajectories import (
    ODE_PRESETS,
    OdeConfig,
    guided_flow,
    ode_sigmas,
    sample_trajectory,
)

pytestmark = pytest.mark.numerics

Draw = Callable[..., torch.Tensor]
QUIET = Progress("test", None)
ODE = OdeConfig(steps=4, shift=5.0, guidance=3.0, saved=(0, 1, 2, 3, -1))


class LinearFlow(torch.nn.Module):
    """flow = a x + b mean(text): the ODE in sigma is linear, Euler's product is known."""

    def __init__(self, a: float) -> None:
        super().__init__()
        self.a, self.seen = a, []

    def forward(self, x: torch.Tensor, timesteps: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        self.seen.append(timesteps)
        return self.a * x + text.mean(dim=(1, 2))[:, None, None, None, None]


class Texts:
    def __init__(self, embeddings: torch.Tensor) -> None:
        self.embeddings = embeddings

    def __len__(self) -> int:
        return len(self.embeddings)

    def read(self, indices: Any) -> torch.Tensor:
        return self.embeddings[list(indices)]

    def empty(self) -> torch.Tensor:
        return torch.zeros_like(self.embeddings[:1])


def test_levels_of_the_release_and_of_the_paper() -> None:
    """Shift 8 at 1, 3/4, 1/2, 1/4, 0: 8 u / (1 + 7 u); shift 5 gives the student's own levels."""
    release = ODE_PRESETS["release"]
    assert release == OdeConfig(steps=48, shift=8.0, guidance=6.0, saved=(0, 12, 24, 36, -1))
    assert release.saved_sigmas.tolist() == pytest.approx([1, 0.96, 8 / 9, 8 / 11, 0], abs=1e-6)
    paper = ODE_PRESETS["paper"].saved_sigmas.tolist()
    assert paper == pytest.approx([1, 0.9375, 5 / 6, 0.625, 0], abs=1e-6)


def test_path_of_a_linear_flow(draw: Draw) -> None:
    """X_{i+1} = x_i (1 + a d_i), so a saved point is noise times a product."""
    noise, config = draw(2, 3, 2, 2, 2), OdeConfig(steps=6, guidance=1.0, saved=(0, 2, 5, -1))
    model = LinearFlow(0.7)
    found = sample_trajectory(model, noise, torch.zeros(2, 1, 1), torch.zeros(1, 1, 1), config)  # type: ignore[arg-type]
    sigmas = ode_sigmas(6, 8.0).double()
    factors = torch.cat((torch.ones(1), (1 + 0.7 * sigmas.diff()).cumprod(0))).float()
    for place, index in enumerate((0, 2, 5, 6)):
        torch.testing.assert_close(found[:, place], noise * factors[index])
    assert [float(t[0]) for t in model.seen] == pytest.approx((1000 * sigmas[:-1]).tolist())


def test_guidance_by_hand(draw: Draw) -> None:
    """a x + u + 3 (c - u), u = 0 for the empty text."""
    x, text = draw(2, 3, 2, 2, 2), torch.tensor([[[2.0]], [[-1.0]]])
    model: Any = LinearFlow(0.5)
    found = guided_flow(model, x, torch.ones(2), text, torch.zeros(1, 1, 1), 3.0)
    torch.testing.assert_close(found, 0.5 * x + 3 * text[..., None, None])
    assert len(model.seen) == 2
    guided_flow(model, x, torch.ones(2), text, torch.zeros(1, 1, 1), 1.0)
    assert len(model.seen) == 3  # guidance 1 needs one pass


@pytest.mark.parametrize("saved", [(0, 3, 2, -1), (0, 2), (-1,), (0, 9), (1, 1, -1)])
def test_points_must_rise_to_the_clean_end(saved: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="must rise within"):
        OdeConfig(steps=4, saved=saved)


def test_a_path_that_diverges_is_an_error(draw: Draw) -> None:
    model: Any = LinearFlow(-1e38)
    with pytest.raises(UsageError, match="not finite"):
        sample_trajectory(
            model, draw(1, 3, 2, 2, 2), torch.zeros(1, 1, 1), torch.zeros(1, 1, 1), ODE
        )


@pytest.fixture
def plan() -> TrajectoryPlan:
    return TrajectoryPlan(
        ode=ODE, prompts=("a", "b", "c"), samples=3, latent_shape=(3, 4, 2, 2),
        model={"weights": "random"}, shard_size=4, batch_size=2,
    )  # fmt: skip


@pytest.fixture
def texts(draw: Draw) -> Texts:
    return Texts(draw(3, 4, 8, seed=7))


def test_files_do_not_depend_on_the_number_of_processes(
    plan: TrajectoryPlan, texts: Texts, small_model: CausalWan, tmp_path: Path
) -> None:
    """Shards are made by whichever process; here one after the other, as rank 1 and rank 0 of 2."""
    write_trajectories(plan, tmp_path / "one", small_model, texts, QUIET)

    class Alone(Ranks):
        def from_first(self, value: Any) -> Any:
            return [0, 1, 2]  # what the first process found missing before either began

        def wait(self) -> None:
            pass

    (tmp_path / "two").mkdir()
    for rank in (1, 0):
        write_trajectories(
            plan, tmp_path / "two", small_model, texts, QUIET, Alone(rank=rank, num_ranks=2)
        )
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == [
        "index.json", "settings.json",
        *(f"shard-0000{i}.safetensors" for i in range(3)),
    ]  # fmt: skip
    for name in names[2:]:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_reading_what_was_written(
    plan: TrajectoryPlan, texts: Texts, small_model: CausalWan, tmp_path: Path
) -> None:
    index = write_trajectories(plan, tmp_path, small_model, texts, QUIET)
    assert (index["made"], index["already_there"]) == (3, 0)
    assert write_trajectories(plan, tmp_path, small_model, texts, QUIET)["made"] == 0
    folder = TrajectoryFolder(tmp_path, texts)
    assert len(folder) == 9
    assert prompts_of(tmp_path) == ["a", "b", "c"]
    batch = folder.read([8, 0, 5])
    assert batch.latents.shape == (3, 5, 3, 4, 2, 2)
    assert torch.equal(batch.text, texts.embeddings[[2, 0, 1]])  # trajectory i is of prompt i // 3
    torch.testing.assert_close(batch.sigmas, ODE.saved_sigmas)
    whole = torch.cat([
        load_file(tmp_path / f"shard-0000{i}.safetensors")["latents"] for i in range(3)
    ])  # fmt: skip
    assert torch.equal(batch.latents, whole[[8, 0, 5]])
    points = sample_trajectory(
        small_model, whole[8:, 0], texts.embeddings[2:], texts.empty(), plan.ode
    )
    torch.testing.assert_close(points[0], whole[8], rtol=1e-4, atol=1e-5)
    assert len({float(x[0].sum()) for x in whole[:, 0]}) == 9  # each has noise of its own


def test_only_missing_shards_are_made_again(
    plan: TrajectoryPlan, texts: Texts, small_model: CausalWan, tmp_path: Path
) -> None:
    write_trajectories(plan, tmp_path, small_model, texts, QUIET)
    shard = tmp_path / "shard-00001.safetensors"
    before = shard.read_bytes()
    shard.write_bytes(before[:-10])
    assert write_trajectories(plan, tmp_path, small_model, texts, QUIET)["made"] == 1
    assert shard.read_bytes() == before


def test_other_settings_are_refused(
    plan: TrajectoryPlan, texts: Texts, small_model: CausalWan, tmp_path: Path
) -> None:
    write_trajectories(plan, tmp_path, small_model, texts, QUIET)
    other = replace(plan, seed=4, ode=replace(ODE, guidance=2.0))
    with pytest.raises(UsageError, match=r"ode\.guidance 3\.0, now 2\.0; seed 0, now 4"):
        write_trajectories(other, tmp_path, small_model, texts, QUIET)


def damage_cut(folder: Path) -> None:
    path = folder / "shard-00001.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


def damage_shape(folder: Path) -> None:
    path = folder / "shard-00001.safetensors"
    save_file({"latents": load_file(path)["latents"][:2]}, path)


def damage_key(folder: Path) -> None:
    path = folder / "shard-00001.safetensors"
    save_file(load_file(path), path, metadata={"key": "another"})


def damage_missing(folder: Path) -> None:
    (folder / "shard-00001.safetensors").unlink()


def damage_index(folder: Path) -> None:
    (folder / "index.json").unlink()


def damage_schema(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(index | {"schema": "hiar-trajectories/0"}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_cut, r"shard-00001\.safetensors is short or damaged"),
        (damage_shape, r"has shape \[2, 5, 3, 4, 2, 2\], its index says \[4, 5, 3, 4, 2, 2\]"),
        (damage_key, "is of another run than its index"),
        (damage_missing, r"shard-00001\.safetensors is missing"),
        (damage_index, "is unfinished: run the same"),
        (damage_schema, "has schema 'hiar-trajectories/0'"),
    ],
)
def test_damage_is_one_clear_line(
    plan: TrajectoryPlan,
    texts: Texts,
    small_model: CausalWan,
    tmp_path: Path,
    damage: Callable[[Path], None],
    message: str,
) -> None:
    write_trajectories(plan, tmp_path, small_model, texts, QUIET)
    damage(tmp_path)
    with pytest.raises(UsageError, match=message) as error:
        TrajectoryFolder(tmp_path, texts)
    assert "\n" not in str(error.value)
