"""`hiar doctor`: what is here, what is missing, and the remedy."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hiar.cli import diagnosis as doctor
from hiar.model.attention_kernels import KERNELS
from hiar.weights.releases import PARTS

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HIAR_WEIGHTS", str(tmp_path / "not" / "yet"))
    return tmp_path / "not" / "yet"


def test_the_record_names_everything(hiar_main: Run, folder: Path) -> None:
    code, out, _ = hiar_main("doctor", "--json")
    record = json.loads(out)
    assert (code, record["schema"]) == (0, "hiar-doctor/1")
    assert record["torch"]["version"] == torch.__version__
    assert len(record["torch"]["devices"]) == torch.cuda.device_count()
    assert record["machine"]["weights_folder"] == str(folder)
    assert record["machine"]["memory_bytes"] > 2**28
    assert record["machine"]["disk_free_bytes"] > 0
    assert {row["name"] for row in record["weights"]} == {part.key for part in PARTS}
    hiar = next(row for row in record["weights"] if row["name"] == "hiar")
    assert not hiar["present"]
    assert hiar["address"] == "https://huggingface.co/jackyhate/HiAR/resolve/main/hiar.pt"
    assert hiar["target"] == str(folder / "jackyhate/HiAR/hiar.pt")
    assert hiar["expected_bytes"] == 4 * 1_418_996_800
    found = {row["name"]: row["version"] for row in record["packages"]}
    assert found["torch"]
    assert found["diffusers"]
    if importlib.util.find_spec("flash_attn") is None:
        assert found["flash-attn"] is found["flash-attn-4"] is None
    assert {row["name"] for row in record["attention"]["kernels"]} == set(KERNELS)
    assert bool(record["torch"]["no_gpu"]) == (torch.cuda.device_count() == 0)


def test_the_page_says_what_a_missing_file_disables(hiar_main: Run, folder: Path) -> None:
    code, out, _ = hiar_main("doctor")
    assert code == 0
    assert "tiny-decoder    missing: the tiny decoder; the VAE decodes without it" in out
    assert "hiar lacks hiar, text-encoder, tokenizer, vae: hiar weights fetch hiar" in out
    for path, size in (("hiar.pt", 1), ("../../VAE/x", 1)):
        target = folder / "jackyhate/HiAR" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"x" * size)
    out = hiar_main("doctor")[1]
    assert "hiar lacks text-encoder, tokenizer, vae: hiar weights fetch hiar" in out


def test_a_missing_package_fails_and_is_named(
    hiar_main: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = doctor.Package(name="no-such", module="no_such_module", enables="nothing at all")
    monkeypatch.setattr(doctor, "PACKAGES", (*doctor.PACKAGES, absent))
    code, out, _ = hiar_main("doctor")
    assert code == 1
    assert "no-such is missing: no nothing at all; pip install no-such" in out


def test_a_container_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(doctor, "CGROUP_LIMIT", limit)
    whole = doctor.memory_bytes()
    limit.write_text("max\n")
    assert doctor.memory_bytes() == whole
    limit.write_text(f"{2**20}\n")
    assert doctor.memory_bytes() == 2**20
