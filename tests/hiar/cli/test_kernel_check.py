"""Which attention kernels work here: timed ones have figures, the others a reason."""

import pytest
import torch

from hiar.cli.kernel_check import examine_kernels, format_kernels
from hiar.model.attention_kernels import KERNELS


def test_every_kernel_has_a_time_or_a_reason() -> None:
    facts = examine_kernels(torch.device("cpu"))
    assert [row["name"] for row in facts["kernels"]] == list(KERNELS)
    by_name = {row["name"]: row for row in facts["kernels"]}
    # 4 x queries x keys x heads x head_dim operations.
    operations = 4 * 720 * 5040 * 6 * 64
    sdpa = by_name["sdpa"]
    assert sdpa["tflops_per_s"] == pytest.approx(operations / sdpa["seconds"] / 1e12)
    for name in ("cudnn", "flash_attn_4", "flash_attn", "sage"):
        assert by_name[name]["seconds"] is None
        assert by_name[name]["reason"] == "needs a GPU, not cpu"
    lines = format_kernels(facts)
    assert len(lines) == 1 + len(KERNELS)
    assert "5040 keys" in lines[0]


def test_a_kernel_that_fails_on_the_way_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no such head size\nand a page more")

    monkeypatch.setitem(
        KERNELS, "sdpa", type(KERNELS["sdpa"])(make=lambda: broken, needs_gpu=False)
    )
    row = examine_kernels(torch.device("cpu"))["kernels"][0]
    assert (row["seconds"], row["reason"]) == (None, "no such head size")
