"""The decoder's norm as a Triton kernel, run by Triton's interpreter on a CPU."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from hiar.codecs.wan_decoder import kernels
from hiar.codecs.wan_decoder.kernels import FusedNorm

pytestmark = pytest.mark.numerics
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")

SHAPES = [(2, 3, 5, 7), (1, 1, 2, 1), (1, 4, 9, 96), (3, 2, 2, 33), (1, 1, 3, 384)]
"""Frames, rows, columns, channels: odd ones, one channel, Wan's own widths, pixels that leave a
program half empty."""

# Whether Triton interprets is settled when it is imported, so this runs in a process of its own.
COMPARE = """
import json, sys
import torch
from hiar.codecs.wan_decoder.kernels import FusedNorm, normalise

torch.manual_seed(0)
found = []
for shape in json.loads(sys.argv[1]):
    for dtype in (torch.float32, torch.bfloat16):
        for activate in (False, True):
            norm = FusedNorm()
            x = (3 * torch.randn(shape)).to(dtype)
            x[0, 0, 0] = 0  # a pixel without length stays zero
            scale = torch.rand(shape[-1]) + 0.5
            expected = normalise(x, scale, torch.empty_like(x), activate=activate)
            # What lies around the pixels, as in a convolution's input, is not touched.
            room = torch.full((2 + shape[0], *shape[1:]), 7.0, dtype=dtype)
            out = room[2:].flatten(0, -2)
            assert norm(x.flatten(0, -2), scale, out, activate), norm.reason
            assert (room[:2] == 7).all()
            a, b = (t.double().flatten() for t in (room[2:], expected))
            found.append({
                "dtype": str(dtype), "largest": float(b.abs().max()), "shape": shape,
                "error": float((a - b).abs().max()),
                "relative": float(((a - b).abs() / b.abs().clamp(min=1e-3)).max()),
            })
print(json.dumps(found))
"""


@needs_triton
def test_the_kernel_computes_what_pytorch_does() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMPARE, json.dumps(SHAPES)],
        env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert len(rows) == 4 * len(SHAPES)
    for row in rows:
        assert row["largest"] > 0.1
        if row["dtype"] == "torch.float32":
            assert row["error"] <= 1e-6, row
        else:
            assert row["relative"] <= 2**-7, row  # one step of bfloat16


@needs_triton
@pytest.mark.parametrize("channels", [96, 384])
def test_it_compiles_for_a_gpu(
    channels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triton and its assembler need no GPU to compile for Hopper; it moves 16 bytes a time."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from hiar.codecs.wan_decoder.triton_norm import _normalise_pixels

    signature = {
        "x": "*bf16", "scale": "*fp32", "out": "*bf16", "num_pixels": "i32", "channels": "i32",
        "min_length": "fp32", "PIXELS": "constexpr", "CHANNELS": "constexpr",
        "ACTIVATE": "constexpr",
    }  # fmt: skip
    width = triton.next_power_of_2(channels)
    constants = {"PIXELS": 2048 // width, "CHANNELS": width, "ACTIVATE": True}
    # What a launch finds by itself: three addresses and the channels are multiples of 16.
    aligned = {(place,): [["tt.divisibility", 16]] for place in (0, 1, 2, 4)}
    source = ASTSource(_normalise_pixels, signature, constants, aligned)
    code = triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm
    assert len(code["cubin"]) > 0
    assert "ld.global.v4.b32" in code["ptx"]
    assert "st.global.v4.b32" in code["ptx"]


def test_without_the_kernel_a_line_says_why_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kernels, "TRITON_NORM", (("hiar.no_such_triton", "f"),))
    norm, x = FusedNorm(), torch.ones(2, 3)
    assert norm.reason is None
    assert not norm(x, torch.ones(3), torch.empty_like(x), True)
    assert not norm(x, torch.ones(3), torch.empty_like(x), True)
    assert "no_such_triton" in str(norm.reason)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert str(norm.reason) in lines[0]


def test_being_out_of_memory_is_no_reason_to_fall_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(kernels, "find_function", lambda _: (full, ""))
    with pytest.raises(torch.OutOfMemoryError):
        FusedNorm()(torch.ones(2, 3), torch.ones(3), torch.empty(2, 3), True)
