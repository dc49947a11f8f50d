"""The dry run's bytes: by hand where they are counted, against real tensors where they can be."""

from collections.abc import Callable

import pytest
import torch

from hiar.errors import UsageError
from hiar.model.config import WanConfig
from hiar.training.run.memory_plan import (
    GIB,
    available_bytes,
    check_memory,
    count_parameters,
    format_plan,
    memory_plan,
)
from hiar.training.run.settings import load_train_config

Main = Callable[..., tuple[int, str, str]]


def test_parameters_of_the_published_sizes() -> None:
    """Wan2.1's own counts: 1.42 and 14.3 billion with text embedding and head."""
    small, layer, root = count_parameters(WanConfig.wan_1_3b())
    assert small == layer * 30 + root
    assert small == pytest.approx(1.42e9, rel=0.005)
    assert count_parameters(WanConfig.wan_14b())[0] == pytest.approx(14.29e9, rel=0.005)


@pytest.mark.parametrize("world_size", [1, 8, 64])
def test_states_of_the_full_size_by_hand(world_size: int) -> None:
    """Float32 masters, gradients and two moments are cut; a frozen teacher is 2 bytes a weight."""
    config = load_train_config("wan-distill")
    rows = {row["role"]: row for row in memory_plan(config, world_size)["networks"]}
    assert set(rows) == {"student", "critic", "teacher"}
    small, large = 1.419e9 / world_size, 14.288e9 / world_size
    for role in ("student", "critic"):
        assert rows[role]["weights"] == pytest.approx(4 * small, rel=1e-3)
        assert rows[role]["gradients"] == pytest.approx(4 * small, rel=1e-3)
        assert rows[role]["optimiser"] == pytest.approx(8 * small, rel=1e-3)
    assert rows["student"]["average"] == pytest.approx(4 * small, rel=1e-3)
    assert rows["critic"]["average"] == 0
    assert rows["teacher"]["weights"] == pytest.approx(2 * large, rel=1e-3)
    assert rows["teacher"]["gradients"] == rows["teacher"]["optimiser"] == 0
    # 21 latent frames of 30 x 52 tokens, 30 layers of width 1536, keys and values, three caches.
    assert rows["student"]["caches"] == 3 * 2 * 2 * 32760 * 1536 * 30


def test_kept_activations_are_of_the_size_that_autograd_keeps() -> None:
    """Bytes that autograd saves in a real forward pass, within a fifth of the estimate."""
    from hiar.training.run.networks import random_network

    config = load_train_config(
        "tiny-ode-init", ["latent_frames=6", "ode_init.batch_size=2", "size=tiny"]
    )
    sizes = WanConfig.tiny()
    model = random_network(sizes, 0).requires_grad_(True)
    saved: dict[int, int] = {}
    own = {parameter.data_ptr() for parameter in model.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    latents, text = torch.zeros(2, 6, 16, 6, 6), torch.zeros(2, 96, 64)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        flow = model(latents, torch.ones(2, 6), text, "block_causal")
    row = memory_plan(config, 1)["networks"][0]
    estimate = row["activations"] + row["text"]
    assert flow.requires_grad
    assert sum(saved.values()) == pytest.approx(estimate, rel=0.2)


def test_checkpoints_and_processes_save_memory() -> None:
    changes = ["checkpoint_activations=true"]
    plain = memory_plan(load_train_config("tiny-ode-init"), 1)
    kept_small = memory_plan(load_train_config("tiny-ode-init", changes), 1)
    cut = memory_plan(load_train_config("tiny-ode-init"), 4)
    assert kept_small["total_bytes"] < plain["total_bytes"]
    assert cut["total_bytes"] < plain["total_bytes"]
    assert cut["micro_batch"] == 2


def test_too_little_memory_is_said_before_the_first_step() -> None:
    config = load_train_config("wan-distill", ["checkpoint_activations=false"])
    needed = memory_plan(config, 1)["total_bytes"]
    assert needed > available_bytes(torch.device("cpu"))
    with pytest.raises(UsageError, match=r"too little memory: this run needs about \d+") as error:
        check_memory(config, 1, torch.device("cpu"))
    assert "checkpoint_activations=true" in str(error.value)
    check_memory(load_train_config("tiny-ode-init"), 1, torch.device("cpu"))


def test_the_command_prints_a_line_a_network(hiar_main: Main) -> None:
    code, out, _ = hiar_main("train", "--config", "wan-distill", "--dry-run", "--world-size", 8)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[2:5]] == ["student", "critic", "teacher"]
    plan = memory_plan(load_train_config("wan-distill"), 8)
    assert f"total {plan['total_bytes'] / GIB:.1f} GiB" in out
    assert out == format_plan(plan)
    code, _, err = hiar_main("train", "--config", "wan-distill", "--dry-run", "--world-size", 0)
    assert code == 2
    assert "--world-size 0 must be at least 1" in err
