"""Every layout that weights are published in, written here and read back."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from hiar.errors import UsageError
from hiar.model.config import WanConfig
from hiar.model.transformer import CausalWan
from hiar.weights.checkpoint import load_transformer

Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def config(small_model: CausalWan) -> WanConfig:
    return small_model.config


@pytest.fixture
def tensors(small_model: CausalWan) -> Tensors:
    return {name: value.clone() for name, value in small_model.state_dict().items()}


def assert_loads(source: Any, config: WanConfig, expected: Tensors, **options: Any) -> None:
    model = load_transformer(source, config, **options)
    found = model.state_dict()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def add_prefixes(tensors: Tensors) -> Tensors:
    """What FSDP, activation checkpointing and torch.compile do to names, as in the release."""
    return {
        "model._fsdp_wrapped_module."
        + name.replace("blocks.0.", "blocks.0._fsdp_wrapped_module._checkpoint_wrapped_module.")
        .replace("blocks.1.", "blocks.1._orig_mod."): value
        for name, value in tensors.items()
    }  # fmt: skip


def test_a_mapping(config: WanConfig, tensors: Tensors) -> None:
    assert_loads(tensors, config, tensors)


def test_one_safetensors_file(tmp_path: Path, config: WanConfig, tensors: Tensors) -> None:
    save_file(tensors, tmp_path / "model.safetensors")
    assert_loads(tmp_path / "model.safetensors", config, tensors)
    assert_loads(str(tmp_path / "model.safetensors"), config, tensors)
    assert_loads(tmp_path, config, tensors)


def write_shards(folder: Path, tensors: Tensors, *, index: bool) -> None:
    names = sorted(tensors)
    weight_map = {}
    for part in range(3):
        file = f"model-{part + 1:05d}-of-00003.safetensors"
        own = names[part::3]
        save_file({name: tensors[name] for name in own}, folder / file)
        weight_map |= dict.fromkeys(own, file)
    if index:
        text = json.dumps({"metadata": {}, "weight_map": weight_map})
        (folder / "model.safetensors.index.json").write_text(text)


@pytest.mark.parametrize("index", [True, False])
def test_a_folder_of_shards(
    tmp_path: Path, config: WanConfig, tensors: Tensors, index: bool
) -> None:
    write_shards(tmp_path, tensors, index=index)
    assert_loads(tmp_path, config, tensors)


def test_the_index_decides_what_is_read(
    tmp_path: Path, config: WanConfig, tensors: Tensors
) -> None:
    write_shards(tmp_path, tensors, index=True)
    save_file({"of.another.model": torch.zeros(1)}, tmp_path / "other.safetensors")
    assert_loads(tmp_path, config, tensors)


@pytest.mark.parametrize("container", [None, "generator", "generator_ema", "model", "state_dict"])
def test_pt_files(
    tmp_path: Path, config: WanConfig, tensors: Tensors, container: str | None
) -> None:
    wrapped = add_prefixes(tensors)
    torch.save(wrapped if container is None else {container: wrapped}, tmp_path / "model.pt")
    assert_loads(tmp_path / "model.pt", config, tensors)


def test_ema_is_preferred_and_a_key_chooses(
    tmp_path: Path, config: WanConfig, tensors: Tensors
) -> None:
    path = tmp_path / "model.pt"
    raw = {name: value + 1 for name, value in tensors.items()}
    critic = {name: value + 2 for name, value in tensors.items()}
    torch.save({"generator": raw, "critic": critic, "generator_ema": tensors}, path)
    assert_loads(path, config, tensors)
    assert_loads(path, config, raw, key="generator")
    assert_loads(path, config, critic, key="critic")
    with pytest.raises(UsageError, match=r"'ema'.*critic, generator, generator_ema"):
        load_transformer(path, config, key="ema")


class Trap:
    """Pickles to a call of a function with an argument."""

    def __init__(self, function: Any, argument: str) -> None:
        self.call = (function, (argument,))

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("layout", ["zip", "legacy"])
def test_code_in_a_pt_file_is_refused(tmp_path: Path, config: WanConfig, layout: str) -> None:
    path, sprung = tmp_path / "model.pt", tmp_path / "sprung"
    content = {"generator": Trap(os.mkdir, str(sprung))}
    torch.save(content, path, _use_new_zipfile_serialization=layout == "zip")
    with pytest.raises(UsageError, match=r"model\.pt wants to run \w+\.mkdir.* refused") as error:
        load_transformer(path, config)
    assert "\n" not in str(error.value)
    assert not sprung.exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_code_in_a_plain_pickle_is_refused(tmp_path: Path, config: WanConfig) -> None:
    path, sprung = tmp_path / "model.pt", tmp_path / "sprung"
    path.write_bytes(pickle.dumps({"generator": Trap(os.mkdir, str(sprung))}))
    with pytest.raises(UsageError, match=r"its pickle is none of plain tensors") as error:
        load_transformer(path, config)
    assert "weights_only" not in str(error.value)  # torch advises to switch the safeguard off
    assert not sprung.exists()


def test_files_older_than_the_zip_format_load(
    tmp_path: Path, config: WanConfig, tensors: Tensors
) -> None:
    path = tmp_path / "model.pth"
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    assert_loads(path, config, tensors)


OUTSIDE = {
    "patch_embedding": "patch_embedding",
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
    "head.head": "proj_out",
}
INSIDE = {"norm3": "norm2", "ffn.0": "ffn.net.0.proj", "ffn.2": "ffn.net.2"} | {
    f"{wan}.{part}": f"{diffusers}.{to}"
    for wan, diffusers in (("self_attn", "attn1"), ("cross_attn", "attn2"))
    for part, to in (
        ("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("o", "to_out.0"),
        ("norm_q", "norm_q"), ("norm_k", "norm_k"),
    )
}  # fmt: skip


def to_diffusers(name: str) -> str:
    """Wan's name to diffusers', as tables written from diffusers' module tree."""
    if name == "head.modulation":
        return "scale_shift_table"
    if not name.startswith("blocks."):
        module, _, leaf = name.rpartition(".")
        return f"{OUTSIDE[module]}.{leaf}"
    blocks, layer, rest = name.split(".", 2)
    if rest == "modulation":
        return f"{blocks}.{layer}.scale_shift_table"
    module, _, leaf = rest.rpartition(".")
    return f"{blocks}.{layer}.{INSIDE[module]}.{leaf}"


def test_diffusers_names(tmp_path: Path, config: WanConfig, tensors: Tensors) -> None:
    renamed = {to_diffusers(name): value for name, value in tensors.items()}
    assert_loads(renamed, config, tensors)
    save_file(renamed, tmp_path / "diffusion_pytorch_model.safetensors")
    assert_loads(tmp_path, config, tensors)


def test_bf16_on_disk_becomes_float32(tmp_path: Path, config: WanConfig, tensors: Tensors) -> None:
    stored = {name: value.bfloat16() for name, value in tensors.items()}
    save_file(stored, tmp_path / "model.safetensors")
    expected = {name: value.float() for name, value in stored.items()}
    assert_loads(tmp_path, config, expected)
    assert load_transformer(tmp_path, config).dtype == torch.float32
    assert load_transformer(tmp_path, config, dtype=torch.bfloat16).dtype == torch.bfloat16


def test_a_missing_tensor_is_named(config: WanConfig, tensors: Tensors) -> None:
    del tensors["blocks.1.ffn.2.bias"]
    with pytest.raises(UsageError, match=r"missing blocks\.1\.ffn\.2\.bias$"):
        load_transformer(tensors, config)


def test_an_extra_tensor_is_named(config: WanConfig, tensors: Tensors) -> None:
    tensors["img_emb.proj.weight"] = torch.zeros(3)
    with pytest.raises(UsageError, match=r"unknown img_emb\.proj\.weight$"):
        load_transformer(tensors, config)


def test_a_misshapen_tensor_is_named(config: WanConfig, tensors: Tensors) -> None:
    tensors["head.head.bias"] = torch.zeros(3)
    with pytest.raises(UsageError, match=r"head\.head\.bias is \(3,\), not \(16,\)$"):
        load_transformer(tensors, config)


def test_many_problems_are_counted(tmp_path: Path, config: WanConfig, tensors: Tensors) -> None:
    torch.save({"step": torch.zeros(1)}, tmp_path / "optimiser.pt")
    with pytest.raises(UsageError, match=rf"and {len(tensors) + 1 - 5} more$") as caught:
        load_transformer(tmp_path / "optimiser.pt", config)
    assert "optimiser.pt" in str(caught.value)


@pytest.mark.parametrize("name", ["model.safetensors", "model.pt", "folder"])
def test_a_missing_file_is_named(tmp_path: Path, config: WanConfig, name: str) -> None:
    with pytest.raises(UsageError, match=f"no weights at .*{name}"):
        load_transformer(tmp_path / name, config)


def test_a_missing_shard_is_named(tmp_path: Path, config: WanConfig, tensors: Tensors) -> None:
    write_shards(tmp_path, tensors, index=True)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(UsageError, match=r"lacks model-00002-of-00003\.safetensors"):
        load_transformer(tmp_path, config)


def test_an_empty_folder_is_named(tmp_path: Path, config: WanConfig) -> None:
    with pytest.raises(UsageError, match=r"holds no \.safetensors file"):
        load_transformer(tmp_path, config)


def test_another_kind_of_file_is_named(tmp_path: Path, config: WanConfig) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(UsageError, match=r"suffix '\.gguf'"):
        load_transformer(tmp_path / "model.gguf", config)


def test_wan_1_3b_has_the_size_of_the_release() -> None:
    with torch.device("meta"):
        state = CausalWan(WanConfig.wan_1_3b()).state_dict()
    assert len(state) == 825
    assert sum(tensor.numel() for tensor in state.values()) == 1_418_996_800


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_a_truncated_file_is_named(
    tmp_path: Path, config: WanConfig, tensors: Tensors, suffix: str, share: float
) -> None:
    path = tmp_path / f"model.{suffix}"
    save_file(tensors, path) if suffix == "safetensors" else torch.save(tensors, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UsageError, match=rf"model\.{suffix} is damaged.*fetch it again") as error:
        load_transformer(path, config)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.safetensors", b"\x40\x00\x00\x00\x00\x00\x00\x00{"),
        ("page.safetensors", b"<!doctype html><title>404</title>"),
        ("page.pt", b"<!doctype html><title>404</title>"),
        ("empty.pt", b""),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError, match="damaged or no weights") as error:
        load_transformer(path, WanConfig.tiny())
    assert "\n" not in str(error.value)


def test_what_is_no_state_dict_is_named(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(UsageError, match="holds a list"):
        load_transformer(tmp_path / "list.pt", WanConfig.tiny())
    with pytest.raises(UsageError, match="no state dict"):
        load_transformer({"generator": torch.zeros(1)}, WanConfig.tiny(), key="generator")
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(UsageError, match="no index of shards"):
        load_transformer(tmp_path, WanConfig.tiny())


def test_a_callers_tensors_are_not_shared() -> None:
    config = WanConfig(dim=12, ffn_dim=8, num_heads=1, num_layers=1, text_dim=4, text_len=2)
    state = CausalWan(config).state_dict()
    model = load_transformer(state, config)
    with torch.no_grad():
        model.patch_embedding.weight.zero_()
    assert state["patch_embedding.weight"].abs().sum() > 0


def test_the_size_that_would_fit_is_named(tensors: Tensors) -> None:
    tiny = CausalWan(WanConfig.tiny()).state_dict()
    with pytest.raises(UsageError, match=r"dim 112, not 1536.*WanConfig\.tiny\(\) would fit$"):
        load_transformer(tiny, WanConfig.wan_1_3b())
    with torch.device("meta"):
        large = CausalWan(WanConfig.wan_14b()).state_dict()
    with pytest.raises(UsageError, match=r"num_layers 40, not 30.*WanConfig\.wan_14b\(\) would"):
        load_transformer(large, WanConfig.wan_1_3b())
    with pytest.raises(
        UsageError, match=r"WanConfig\(dim=24, ffn_dim=48, num_layers=2, freq_dim=16"
    ):
        load_transformer(tensors, WanConfig.bench_cpu())


def test_an_image_to_video_model_is_named(config: WanConfig, tensors: Tensors) -> None:
    tensors["patch_embedding.weight"] = torch.zeros(24, 36, 1, 2, 2)
    tensors["img_emb.proj.0.weight"] = torch.zeros(8)
    with pytest.raises(UsageError, match="in_channels 36, not 4: an image-to-video model"):
        load_transformer(tensors, config)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_named(
    tmp_path: Path, config: WanConfig, tensors: Tensors, value: float
) -> None:
    tensors["blocks.1.ffn.0.weight"][3, 2] = value
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(UsageError, match=r"blocks\.1\.ffn\.0\.weight.*NaN or infinite"):
        load_transformer(tmp_path, config, dtype=torch.bfloat16)


def test_overflow_of_float16_is_named(config: WanConfig, tensors: Tensors) -> None:
    tensors["head.head.bias"][1] = -7e4
    message = r"head\.head\.bias.*holds 7e\+04, beyond float16's largest, 6\.55e\+04: .*bfloat16"
    with pytest.raises(UsageError, match=message):
        load_transformer(tensors, config, dtype=torch.float16)
    assert load_transformer(tensors, config, dtype=torch.bfloat16).dtype == torch.bfloat16


def test_quantised_weights_are_named(config: WanConfig, tensors: Tensors) -> None:
    tensors["head.head.weight"] = tensors["head.head.weight"].to(torch.int8)
    with pytest.raises(UsageError, match=r"head\.head\.weight is torch\.int8: quantised"):
        load_transformer(tensors, config)


def test_one_tensor_under_two_names_is_refused(config: WanConfig, tensors: Tensors) -> None:
    tensors["model.head.head.bias"] = tensors["head.head.bias"] + 1
    with pytest.raises(UsageError, match=r"holds head\.head\.bias twice"):
        load_transformer(tensors, config)


def test_one_tensor_in_two_files_is_refused(
    tmp_path: Path, config: WanConfig, tensors: Tensors
) -> None:
    save_file(tensors, tmp_path / "model.safetensors")
    save_file(tensors, tmp_path / "model.fp16.safetensors")
    with pytest.raises(UsageError, match=r"holds blocks\.0.* in two files"):
        load_transformer(tmp_path, config)


def test_an_index_cannot_lead_outside(tmp_path: Path, config: WanConfig) -> None:
    text = json.dumps({"weight_map": {"a": "../secret.safetensors"}})
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(UsageError, match=r"'\.\./secret\.safetensors', which is not beside it"):
        load_transformer(tmp_path, config)
