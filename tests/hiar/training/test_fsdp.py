"""FSDP2 on two gloo processes computes what one process does without it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import distributed

from hiar.runtime.ranks import device_of_rank
from hiar.training.run.sharding import joined

pytestmark = pytest.mark.numerics

WORKER = Path(__file__).with_name("fsdp_worker.py")


STAGES = ("ode-init", "straight_through", "detached")


def launch(out: Path, processes: int, dtype: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Metrics and gradients of a step of each stage."""
    python = [sys.executable]
    if processes > 1:
        python += ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    run = subprocess.run(
        [*python, str(WORKER), str(out), dtype, *names],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    return {
        name: {
            "metrics": json.loads((out / f"{name}.json").read_text()),
            "gradients": load_file(out / f"{name}.safetensors"),
        }
        for name in names
    }


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return launch(tmp_path_factory.mktemp("one"), 1, "float32", STAGES)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return launch(tmp_path_factory.mktemp("two"), 2, "float32", STAGES)


@pytest.mark.parametrize("name", STAGES)
def test_two_processes_equal_one(
    name: str,
    one: dict[str, Any],
    two: dict[str, Any],
    relative_l2: Callable[[torch.Tensor, torch.Tensor], float],
) -> None:
    """Loss and every gradient; the order of float32 sums differs, so 1e-5."""
    assert two[name]["metrics"] == pytest.approx(one[name]["metrics"], rel=1e-5)
    assert two[name]["gradients"].keys() == one[name]["gradients"].keys()
    for parameter, expected in one[name]["gradients"].items():
        assert expected.norm() > 0, parameter
        assert relative_l2(two[name]["gradients"][parameter], expected) < 2e-5, parameter


def test_bfloat16_computes_near_float32(tmp_path: Path, one: dict[str, Any]) -> None:
    """Masters and gradients stay float32 (the worker checks); 8 bits of mantissa are 0.4 %."""
    exact = one["straight_through"]["metrics"]
    rough = launch(tmp_path, 1, "bfloat16", ("straight_through",))["straight_through"]["metrics"]
    for name in (name for name in exact if name.endswith("loss")):
        assert rough[name] == pytest.approx(exact[name], rel=0.03), name
        assert rough[name] != exact[name]


def test_a_gpu_without_a_number_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch refuses to make `cuda` the present device, and takes `cuda:0`."""
    taken: list[Any] = []
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    for name in ("init_process_group", "destroy_process_group"):
        monkeypatch.setattr(distributed, name, lambda *_, **__: None)
    monkeypatch.setattr(distributed, "get_rank", lambda: 0)
    for name in ("cuda", "cuda:1"):
        device = torch.device(device_of_rank(name, {}))
        with joined(device, always=True, environment={}):
            pass
    assert [device.index for device in taken] == [0, 1]
