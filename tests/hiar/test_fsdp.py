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

WORKER = Path(__file__).with_name("fsdp_worker.py")


def launch(out: Path, name: str, processes: int, dtype: str = "float32") -> dict[str, Any]:
    out.mkdir()
    python = [sys.executable]
    if processes > 1:
        python += ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    run = subprocess.run(
        [*python, str(WORKER), str(out), name, dtype],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    return {
        "metrics": json.loads((out / "metrics.json").read_text()),
        "gradients": load_file(out / "gradients.safetensors"),
    }


@pytest.mark.parametrize("name", ["ode-init", "straight_through", "detached"])
def test_two_processes_equal_one(
    tmp_path: Path, name: str, relative_l2: Callable[[torch.Tensor, torch.Tensor], float]
) -> None:
    """Loss and every gradient; the order of float32 sums differs, so 1e-5."""
    one = launch(tmp_path / "one", name, 1)
    two = launch(tmp_path / "two", name, 2)
    assert two["metrics"] == pytest.approx(one["metrics"], rel=1e-5)
    assert two["gradients"].keys() == one["gradients"].keys()
    for parameter, expected in one["gradients"].items():
        assert expected.norm() > 0, parameter
        assert relative_l2(two["gradients"][parameter], expected) < 2e-5, parameter


def test_bfloat16_computes_near_float32(tmp_path: Path) -> None:
    """Masters and gradients stay float32 (the worker checks); 8 bits of mantissa are 0.4 %."""
    exact = launch(tmp_path / "exact", "straight_through", 1)
    rough = launch(tmp_path / "rough", "straight_through", 1, "bfloat16")
    losses = [name for name in exact["metrics"] if name.endswith("loss")]
    for name in losses:
        assert rough["metrics"][name] == pytest.approx(exact["metrics"][name], rel=0.03), name
        assert rough["metrics"][name] != exact["metrics"][name]
