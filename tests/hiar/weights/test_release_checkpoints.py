"""Each release's checkpoint layout, written small, loaded by that release's rules."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hiar.errors import UsageError
from hiar.model.config import WanConfig
from hiar.model.transformer import CausalWan
from hiar.weights.checkpoint import load_release, load_tensors
from hiar.weights.checkpoint_fit import check_fit
from hiar.weights.local import target_path
from hiar.weights.releases import PARTS, RELEASES, find_part, find_release, parts_of

Tensors = dict[str, torch.Tensor]
LAYERS = ("self_attn.q", "self_attn.o", "cross_attn.k", "ffn.0", "ffn.2")


@pytest.fixture
def weights(small_model: CausalWan, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Weights of a small model, which stands for the 1.3B one."""
    monkeypatch.setattr(WanConfig, "wan_1_3b", classmethod(lambda _: small_model.config))
    return {name: value.clone() for name, value in small_model.state_dict().items()}


def as_trained(tensors: Tensors, shift: float = 0.0) -> Tensors:
    """The names that the release's trainers save: the wrapper's, perhaps through FSDP."""
    return {f"model.{name}": value + shift for name, value in tensors.items()}


def as_sharded_run(tensors: Tensors, shift: float = 0.0) -> Tensors:
    return {
        "model._fsdp_wrapped_module."
        + name.replace("blocks.0.", "blocks.0._fsdp_wrapped_module._checkpoint_wrapped_module."): (
            value + shift
        )
        for name, value in tensors.items()
    }


def put(content: object, part: str, folder: Path) -> None:
    path = target_path(find_part(part).file, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)


def assert_release(key: str, folder: Path, expected: Tensors) -> None:
    found = load_release(key, folder).state_dict()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0, msg=name)


def test_hiar_prefers_the_average(tmp_path: Path, weights: Tensors) -> None:
    raw, critic = as_sharded_run(weights, 1), as_trained(weights, 2)
    average = as_trained(weights)
    put({"generator": raw, "critic": critic, "generator_ema": average, "step": 7}, "hiar", tmp_path)
    assert_release("hiar", tmp_path, weights)
    put({"generator": as_sharded_run(weights), "critic": critic}, "hiar", tmp_path)
    assert_release("hiar", tmp_path, weights)


def test_self_forcing_is_the_average_only(tmp_path: Path, weights: Tensors) -> None:
    put({"generator_ema": as_trained(weights)}, "self-forcing", tmp_path)
    assert_release("self-forcing", tmp_path, weights)
    put({"generator": as_trained(weights), "critic": {}}, "self-forcing", tmp_path)
    with pytest.raises(UsageError, match=r"no entry 'generator_ema': it has critic, generator$"):
        load_release("self-forcing", tmp_path)


@pytest.mark.parametrize("key", ["causal-forcing", "causvid"])
def test_the_raw_weights_where_the_release_uses_them(
    tmp_path: Path, weights: Tensors, key: str
) -> None:
    content = {"generator_ema": as_trained(weights, 1), "generator": as_sharded_run(weights)}
    put(content, key, tmp_path)
    assert_release(key, tmp_path, weights)


@pytest.mark.parametrize("wrapped", [True, False])
def test_longlive_is_its_base_with_the_lora_merged(
    tmp_path: Path,
    weights: Tensors,
    wrapped: bool,
    small_model: CausalWan,
    draw: Callable[..., torch.Tensor],
    relative_l2: Callable[[torch.Tensor, torch.Tensor], float],
) -> None:
    base = as_trained(weights)
    put({"generator": base} if wrapped else base, "longlive-base", tmp_path)
    rank, lora = 6, {}
    for index in range(small_model.config.num_layers):
        for layer in LAYERS:
            rows, columns = weights[f"blocks.{index}.{layer}.weight"].shape
            name = f"base_model.model.blocks.{index}.{layer}"
            lora[f"{name}.lora_A.weight"] = 0.1 * draw(rank, columns, seed=index)
            lora[f"{name}.lora_B.weight"] = 0.1 * draw(rows, rank, seed=index + 9)
    put({"generator_lora": lora, "critic_lora": {}}, "longlive-lora", tmp_path)
    merged = load_release("longlive", tmp_path)

    # The LoRA as it was trained: a branch beside each layer, scaled by alpha 256 over the rank.
    def branch(name: str) -> Callable[..., torch.Tensor]:
        down, up = lora[f"{name}.lora_A.weight"], lora[f"{name}.lora_B.weight"]

        def add(_: object, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
            return output + 256 / rank * (inputs[0] @ down.T @ up.T)

        return add

    handles = [
        small_model.get_submodule(f"blocks.{index}.{layer}").register_forward_hook(
            branch(f"base_model.model.blocks.{index}.{layer}")
        )
        for index in range(small_model.config.num_layers)
        for layer in LAYERS
    ]
    inputs = (draw(1, 2, 4, 4, 4), torch.tensor([500.0]), draw(1, 4, 8, seed=1))
    before = merged(*inputs)
    try:
        expected = small_model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    assert relative_l2(before, expected) <= 1e-5
    assert relative_l2(small_model(*inputs), expected) > 1e-2


def test_what_is_missing_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"hiar \(.*hiar\.pt\).*hiar weights fetch hiar") as error:
        load_release("hiar", tmp_path)
    assert "\n" not in str(error.value)
    with pytest.raises(UsageError, match="release 'hair' is unknown: choose one of hiar, self-"):
        load_release("hair", tmp_path)


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.key)
def test_names_and_sizes_at_full_size(release: object) -> None:
    """825 tensors, 1.419 billion parameters, under the names that a sharded run gives them."""
    config = find_release(release.key).config  # type: ignore[attr-defined]
    with torch.device("meta"):
        state = CausalWan(config).state_dict()
    assert len(state) == 825
    assert sum(value.numel() for value in state.values()) == 1_418_996_800
    keys = release.state_dict_keys  # type: ignore[attr-defined]
    saved = {keys[0]: {f"model._fsdp_wrapped_module.{n}": v for n, v in state.items()}}
    _, tensors = load_tensors(saved, keys)
    check_fit(state, tensors, "the file", config)


def test_every_release_names_parts_that_exist() -> None:
    assert len({part.key for part in PARTS}) == len(PARTS)
    for release in RELEASES:
        parts = [part.key for part in parts_of(release.key)]
        assert release.part in parts
        assert {"text-encoder", "tokenizer", "vae"} <= set(parts)
        assert (release.lora_part is None) == (release.lora_alpha is None)
