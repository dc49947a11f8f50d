"""Backends agree with plain softmax attention; `auto` measures once and remembers."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from hiar.errors import UsageError
from hiar.model import attention_backends, attention_kernels
from hiar.model.attention import AttentionFn, attend
from hiar.model.attention_backends import MeasuredAttention, NamedAttention, attention_backend
from hiar.model.attention_kernels import KERNELS, find_function, flex, sdpa_choice
from hiar.model.transformer import CausalWan
from hiar.sampling.config import SamplerConfig
from hiar.sampling.sampler import sample_latents

pytestmark = [
    pytest.mark.numerics,
    pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile"),
]
CPU = torch.device("cpu")
Draw = Callable[..., torch.Tensor]


def by_formula(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    q, k, v = q.double(), k.double(), v.double()
    scores = torch.einsum("blnk,bmnk->bnlm", q, k) / q.shape[-1] ** 0.5
    return torch.einsum("bnlm,bmnk->blnk", scores.softmax(dim=-1), v)


@pytest.mark.parametrize("keys", [5, 12, 33])
def test_sdpa_and_flex_equal_the_formula(draw: Draw, keys: int) -> None:
    q, k, v = draw(2, 6, 3, 16), draw(2, keys, 3, 16, seed=1), draw(2, keys, 3, 16, seed=2)
    expected = by_formula(q, k, v)
    for attention in (
        attention_backend("sdpa", CPU, torch.float32),
        flex(compiled=False),
    ):
        torch.testing.assert_close(attention(q, k, v).double(), expected, rtol=1e-5, atol=1e-6)


def test_flex_samples_the_same_video(
    small_model: CausalWan, monkeypatch: pytest.MonkeyPatch, draw: Draw
) -> None:
    config = SamplerConfig(order="step_first", window=6, steps=(1000, 500))
    noise, text = draw(1, 9, 4, 4, 6), draw(1, 3, 8)
    expected = sample_latents(small_model, text, noise, config)
    calls = []
    attend_flex = flex(compiled=False)
    monkeypatch.setattr(
        small_model, "attend", lambda q, k, v: calls.append(1) or attend_flex(q, k, v)
    )
    torch.testing.assert_close(
        sample_latents(small_model, text, noise, config), expected, rtol=1e-4, atol=1e-5
    )
    # 3 x 2 denoising calls of 2 layers, 2 x 2 context calls of 1: own tokens and text in each.
    assert len(calls) == 2 * (6 * 2 + 4 * 1)


@pytest.mark.parametrize(
    ("name", "dtype", "words"),
    [
        ("fast", torch.float32, "attention 'fast' is unknown: use one of sdpa, cudnn, flash_attn"),
        ("cudnn", torch.bfloat16, "attention 'cudnn' needs a GPU, not cpu; use sdpa or auto"),
        ("flash_attn", torch.bfloat16, "attention 'flash_attn' needs a GPU, not cpu"),
    ],
)
def test_what_does_not_work_here_says_so(name: str, dtype: torch.dtype, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        attention_backend(name, CPU, dtype)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """A Hopper GPU, as far as choosing a kernel is concerned."""
    monkeypatch.setattr(attention_kernels, "capability", lambda device: (9, 0))
    find_function.cache_clear()
    yield torch.device("cuda")
    find_function.cache_clear()


def package(
    monkeypatch: pytest.MonkeyPatch, name: str, function: str, kernel: Callable[..., object]
) -> None:
    """Put a module with one function in place of a package that needs a GPU."""
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:count]), ModuleType(parts[count - 1]))
    monkeypatch.setattr(sys.modules[name], function, kernel, raising=False)


@pytest.mark.parametrize("name", ["flash_attn_4", "flash_attn", "sage"])
def test_a_package_that_is_missing_is_named(gpu: torch.device, name: str) -> None:
    needed = KERNELS[name].package
    if find_function(KERNELS[name].functions)[0] is not None:
        pytest.skip(f"{needed} is installed here")
    with pytest.raises(UsageError, match=f"needs the package {needed}"):
        attention_backend(name, gpu, torch.bfloat16)
    with pytest.raises(UsageError, match="needs bfloat16 or float16, not float32"):
        attention_backend(name, gpu, torch.float32)


@pytest.mark.parametrize("name", ["flash_attn_4", "sage"])
def test_a_card_too_old_for_a_kernel_is_named(
    gpu: torch.device, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(attention_kernels, "capability", lambda device: (8, 6))
    with pytest.raises(UsageError, match=r"capability 9\.0 or newer, and this one has 8\.6"):
        attention_backend(name, gpu, torch.bfloat16)


def test_a_package_that_does_not_fit_this_machine_tells_why(
    gpu: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str) -> ModuleType:
        raise OSError("libcudart.so.13: cannot open shared object file\nmore")

    monkeypatch.setattr(attention_kernels, "import_module", broken)
    with pytest.raises(UsageError, match=r"libcudart\.so\.13: cannot open shared object file") as e:
        attention_backend("flash_attn_4", gpu, torch.bfloat16)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("returns_lse", [False, True])
@pytest.mark.parametrize(
    ("name", "module", "function", "settings"),
    [
        # flash-attn-4 4.0.0b36, as measured on an H100: q, k, v [B, L, N, K]; (out, lse).
        ("flash_attn_4", "flash_attn.cute", "flash_attn_func", {}),
        ("flash_attn", "flash_attn_interface", "flash_attn_func", {}),
        # SageAttention 2, sageattention/core.py: NHD is [B, L, N, K].
        (
            "sage", "sageattention", "sageattn_qk_int8_pv_fp8_cuda_sm90",
            {"tensor_layout": "NHD"},
        ),
    ],
)  # fmt: skip
def test_packages_are_called_as_they_document(
    gpu: torch.device,
    monkeypatch: pytest.MonkeyPatch,
    draw: Draw,
    name: str,
    module: str,
    function: str,
    settings: dict[str, str],
    returns_lse: bool,
) -> None:
    seen: list[dict[str, Any]] = []

    def kernel(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **given: Any) -> object:
        seen.append(given)
        return (attend(q, k, v), None) if returns_lse else attend(q, k, v)

    package(monkeypatch, module, function, kernel)
    attention = attention_backend(name, gpu, torch.bfloat16)
    # Keys as the cache stores them: heads before tokens, seen transposed.
    q, k = draw(1, 4, 2, 8), draw(1, 2, 9, 8).transpose(1, 2)
    assert torch.equal(attention(q, k, k), attend(q, k, k))
    assert seen == [settings]


def test_a_shape_that_a_kernel_refuses_is_computed_and_told(
    gpu: torch.device,
    monkeypatch: pytest.MonkeyPatch,
    draw: Draw,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def kernel(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        assert q.shape[-1] % 16 == 0, "head_dim must be a multiple of 16"
        return attend(q, k, v)

    package(monkeypatch, "flash_attn.cute", "flash_attn_func", kernel)
    attention = attention_backend("flash_attn_4", gpu, torch.bfloat16)
    assert isinstance(attention, NamedAttention)
    good, odd = draw(1, 4, 2, 16), draw(1, 4, 2, 8)
    attention(good, good, good)
    assert capsys.readouterr().err == ""
    for _ in range(2):
        assert torch.equal(attention(odd, odd, odd), attend(odd, odd, odd))
    assert list(attention.refusals) == ["4x4x2x8,1"]
    assert capsys.readouterr().err.count("\n") == 1  # once a shape


def test_out_of_memory_is_no_refusal(draw: Draw) -> None:
    def kernel(*_: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("out of memory")

    q = draw(1, 4, 2, 8)
    with pytest.raises(torch.OutOfMemoryError):
        NamedAttention("flash_attn_4", kernel)(q, q, q)


def test_auto_takes_what_works_here_and_is_exact(
    gpu: torch.device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package(monkeypatch, "flash_attn.cute", "flash_attn_func", attend)
    package(monkeypatch, "sageattention", "sageattn_qk_int8_pv_fp8_cuda_sm90", attend)
    monkeypatch.setattr("hiar.model.attention_backends.device_name", lambda device: "a GPU")
    auto = attention_backend("auto", gpu, torch.bfloat16, memory=tmp_path / "a.json")
    assert isinstance(auto, MeasuredAttention)
    assert {"sdpa", "cudnn", "flash_attn_4", "flex"} <= set(auto.names)
    assert "sage" not in auto.names  # it is not exact


def test_the_kernel_that_pytorch_takes_has_a_name() -> None:
    assert sdpa_choice(CPU, torch.float32, 2, 16) in ("flash_attention", "math")


class Clock:
    """A clock that a busy machine does not move: each call of a backend takes what it says."""

    now_s = 0.0

    def __init__(self, _: torch.device) -> None: ...

    def mark(self) -> float:
        return Clock.now_s

    def seconds(self, start: float, end: float) -> float:
        return end - start


@pytest.fixture
def _steady_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_backends, "Stopwatch", Clock)


class Counted:
    """A backend that counts its calls, takes as long as it is told, and may refuse."""

    def __init__(self, *, seconds: float = 1e-3, refuses: bool = False) -> None:
        self.calls, self.seconds, self.refuses = 0, seconds, refuses

    def __call__(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.refuses:
            raise RuntimeError("head_dim 8 is not supported\nmore")
        Clock.now_s += self.seconds
        return attend(q, k, v)


def measured(memory: Path, **candidates: AttentionFn) -> MeasuredAttention:
    return MeasuredAttention(candidates, CPU, torch.float32, memory)


@pytest.mark.usefixtures("_steady_clock")
def test_auto_measures_once_for_each_shape_and_remembers(tmp_path: Path, draw: Draw) -> None:
    memory = tmp_path / "new" / "attention.json"
    slow, fast = Counted(seconds=1.0), Counted()
    auto = measured(memory, slow=slow, fast=fast)
    q, k = draw(1, 4, 2, 8), draw(1, 9, 2, 8)
    torch.testing.assert_close(auto(q, k, k), attend(q, k, k))
    assert auto.choices == {"4x9x2x8,1": "fast"}
    spent = slow.calls
    for _ in range(5):
        auto(q, k, k)
    assert slow.calls == spent
    auto(q, q, q)
    assert set(auto.choices) == {"4x9x2x8,1", "4x4x2x8,1"}
    assert slow.calls == 2 * spent

    again = measured(memory, slow=Counted(refuses=True), fast=fast)
    again(q, k, k)  # not measured: the slow one would have been called
    assert again.choices == auto.choices
    (key,) = json.loads(memory.read_text())
    assert torch.__version__ in key
    assert "float32" in key


@pytest.mark.usefixtures("_steady_clock")
def test_other_machines_findings_are_not_used(tmp_path: Path, draw: Draw) -> None:
    memory = tmp_path / "attention.json"
    memory.write_text(json.dumps({"torch 0|other|float32|a,b": {"4x4x2x8,1": "a"}}))
    auto = measured(memory, a=Counted(seconds=1.0), b=Counted())
    auto(*(draw(1, 4, 2, 8),) * 3)
    assert auto.choices == {"4x4x2x8,1": "b"}
    assert len(json.loads(memory.read_text())) == 2


@pytest.mark.usefixtures("_steady_clock")
@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_broken_memory_is_an_empty_one(tmp_path: Path, draw: Draw, content: str) -> None:
    memory = tmp_path / "attention.json"
    memory.write_text(content)
    auto = measured(memory, a=Counted(), b=Counted(seconds=1.0))
    auto(*(draw(1, 4, 2, 8),) * 3)
    assert auto.choices == {"4x4x2x8,1": "a"}


def test_a_backend_that_refuses_is_passed_over(tmp_path: Path, draw: Draw) -> None:
    auto = measured(tmp_path / "a.json", refuses=Counted(refuses=True), works=Counted())
    q = draw(1, 4, 2, 8)
    auto(q, q, q)
    assert auto.choices == {"4x4x2x8,1": "works"}
    assert auto.refusals == {"refuses": "head_dim 8 is not supported"}
    both = measured(tmp_path / "b.json", a=Counted(refuses=True), b=Counted(refuses=True))
    with pytest.raises(UsageError, match="no attention backend runs here"):
        both(q, q, q)


def test_auto_on_a_cpu_is_sdpa(tmp_path: Path, draw: Draw) -> None:
    auto = attention_backend("auto", CPU, torch.float32, memory=tmp_path / "attention.json")
    q = draw(1, 4, 2, 8)
    assert torch.equal(auto(q, q, q), attend(q, q, q))
    assert isinstance(auto, MeasuredAttention)
    assert auto.choices == {"4x4x2x8,1": "sdpa"}


def test_hiar_sample_names_a_backend_that_is_not_here(
    hiar_main: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    code, printed, err = hiar_main(
        "sample", "--prompt", "a ring", "--out", tmp_path / "videos", "--attention", "cudnn"
    )
    assert (code, printed) == (2, "")
    assert err == "hiar: attention 'cudnn' needs a GPU, not cpu; use sdpa or auto [hiar-model]\n"
