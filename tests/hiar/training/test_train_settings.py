"""Config files, keyed draws, averages and the motion proxy: the parts around a training run."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hiar.errors import UsageError
from hiar.runtime.folder_settings import differing
from hiar.tiny.dynamics import dynamic_degree
from hiar.training.ema import WeightEma
from hiar.training.keyed import data_indices, keyed_integer, keyed_normal, keyed_uniform
from hiar.training.recipes import ABLATIONS, ablation, recipe
from hiar.training.run.config_files import preset_names, read_config
from hiar.training.run.settings import load_train_config

pytestmark = pytest.mark.numerics

Draw = Callable[..., torch.Tensor]


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_valid(name: str) -> None:
    config = load_train_config(name)
    assert config.stage in name or (name, config.stage) == ("tiny-study", "distill")
    assert config.facts()["steps"] == config.steps


def test_a_file_changes_its_base_and_the_command_line_changes_both(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('base = "tiny-ode-init"\nsteps = 7\n[ode_init]\nbatch_size = 4\n')
    config = load_train_config(str(path), ["ode_init.batch_size=6", "run.log_every=3"])
    base = load_train_config("tiny-ode-init")
    assert (config.steps, config.batch_size, config.run.log_every) == (7, 6, 3)
    assert config.stage_config.learning_rate == base.stage_config.learning_rate


def test_bases_in_a_circle(tmp_path: Path) -> None:
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text(f'base = "{two}"\n')
    two.write_text(f'base = "{one}"\n')
    with pytest.raises(UsageError, match="name each other as base"):
        read_config(str(one))


def test_a_broken_file(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("steps = \n")
    with pytest.raises(UsageError, match="cannot be read"):
        read_config(str(path))


@pytest.mark.parametrize("row", ABLATIONS)
def test_a_row_of_the_tables_is_one_change(row: str) -> None:
    found = load_train_config("wan-distill", [f"distill.row={row}"]).stage_config
    assert found == ablation(row, recipe("paper"))
    released = load_train_config("wan-distill-release").stage_config
    assert released == recipe("release")


def test_distill_changes_reach_nested_settings() -> None:
    config = load_train_config(
        "tiny-distill", ["distill.forward_kl.weight=0.5", "distill.sampler.window=9"]
    ).stage_config
    assert config.forward_kl.weight == 0.5
    assert config.sampler.window == 9
    none = load_train_config("tiny-distill", ["distill.forward_kl=none"]).stage_config
    assert none.forward_kl is None


def test_differing_fields_are_named() -> None:
    old = {"a": {"b": 1, "c": [1, 2]}, "d": "x"}
    new = {"a": {"b": 2, "c": [1, 2]}, "e": None}
    assert differing(old, new) == ["a.b 1, now 2", 'd "x", now absent', "e absent, now null"]
    assert differing(old, old) == []


def test_draws_belong_to_their_key() -> None:
    key = {"seed": 1, "step": 2, "purpose": "noise"}
    both = keyed_normal((3,), samples=[4, 7], **key)
    assert torch.equal(both[1:], keyed_normal((3,), samples=[7], **key))
    for change in ({"seed": 2}, {"step": 3}, {"purpose": "other"}):
        other = keyed_normal((3,), samples=[4, 7], **(key | change))
        assert not torch.isclose(both, other).any()
    uniform = keyed_uniform((2000,), samples=[0], **key)
    assert 0 <= float(uniform.min()) < float(uniform.max()) < 1
    draws = {keyed_integer(4, seed=0, step=step, purpose="exit") for step in range(50)}
    assert draws == {0, 1, 2, 3}


def test_every_item_is_used_once_an_epoch() -> None:
    """Seven items, batches of three: steps 0..6 are three epochs, whoever takes which sample."""
    seen = [
        index
        for step in range(7)
        for sample in range(3)
        for index in data_indices(
            7, seed=0, step=step, batch_size=3, samples=[sample], purpose="clips"
        )
    ]
    epochs = [seen[i : i + 7] for i in range(0, 21, 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_average_of_weights_by_hand() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    average = WeightEma(model, decay=0.75, start_step=1)
    values = []
    for step, value in enumerate((10.0, 2.0, 6.0, 6.0)):
        torch.nn.init.constant_(model.weight, value)
        average.update(step)
        values.append([float(v) for v in average.weights.values()])
    # Begins as the weights after step 1; then 3/4 old + 1/4 new.
    assert values == [[], [2.0], [3.0], [3.75]]
    twin = WeightEma(model, decay=0.75, start_step=1)
    twin.load(average.state())
    assert twin.weights["weight"].item() == 3.75
    twin.load({})
    assert not twin.weights


def moving(shift_px: int, frames: int = 6, size: int = 64) -> np.ndarray:
    """A smooth random texture that moves right by so many pixels a frame."""
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(size, size + shift_px * frames + 16))
    kernel = np.exp(-(np.linspace(-2, 2, 9) ** 2))
    for axis in (0, 1):
        wide = np.apply_along_axis(lambda line: np.convolve(line, kernel, "same"), axis, wide)
    grey = np.clip(128 + 30 * wide, 0, 255).astype(np.uint8)
    offset = shift_px * frames
    rows = [grey[:, offset - i * shift_px : offset - i * shift_px + size] for i in range(frames)]
    return np.stack(rows)[..., None].repeat(3, axis=-1)


def test_dynamic_degree_is_the_shift() -> None:
    """The pixels a frame, on a short side of 256; the top 5 % and the borders add a little."""
    assert dynamic_degree(moving(0)) < 0.3  # the method is not exact at borders
    for shift in (1, 2):
        assert dynamic_degree(moving(shift)) == pytest.approx(4 * shift, rel=0.3)
    with pytest.raises(UsageError, match="1 frames"):
        dynamic_degree(moving(0, frames=1))
