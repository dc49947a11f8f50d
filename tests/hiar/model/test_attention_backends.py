"""Backends agree with plain softmax attention; `auto` measures once and remembers."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hiar.errors import UsageError
from hiar.model import attention_backends
from hiar.model.attention import AttentionFn, attend
from hiar.model.attention_backends import MeasuredAttention, attention_backend
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
        attention_backends._flex(compiled=False),
    ):
        torch.testing.assert_close(attention(q, k, v).double(), expected, rtol=1e-5, atol=1e-6)


def test_flex_samples_the_same_video(
    small_model: CausalWan, monkeypatch: pytest.MonkeyPatch, draw: Draw
) -> None:
    config = SamplerConfig(order="step_first", window=6, steps=(1000, 500))
    noise, text = draw(1, 9, 4, 4, 6), draw(1, 3, 8)
    expected = sample_latents(small_model, text, noise, config)
    calls = []
    flex = attention_backends._flex(compiled=False)
    monkeypatch.setattr(small_model, "attend", lambda q, k, v: calls.append(1) or flex(q, k, v))
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


def test_flash_attn_needs_its_package_and_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda")
    monkeypatch.setattr(attention_backends, "_flash_kernel", lambda: None)
    with pytest.raises(UsageError, match="needs the package flash-attn"):
        attention_backend("flash_attn", gpu, torch.bfloat16)
    with pytest.raises(UsageError, match="needs bfloat16 or float16, not float32"):
        attention_backend("flash_attn", gpu, torch.float32)


@pytest.mark.parametrize("returns_tuple", [False, True])
def test_flash_attn_may_return_the_log_sum_exp_too(
    monkeypatch: pytest.MonkeyPatch, draw: Draw, returns_tuple: bool
) -> None:
    def kernel(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> object:
        return (attend(q, k, v), None) if returns_tuple else attend(q, k, v)

    monkeypatch.setattr(attention_backends, "_flash_kernel", lambda: kernel)
    flash = attention_backend("flash_attn", torch.device("cuda"), torch.bfloat16)
    q = draw(1, 4, 2, 8)
    assert torch.equal(flash(q, q, q), attend(q, q, q))


class Counted:
    """A backend that counts its calls and may wait or refuse."""

    def __init__(self, *, loops: int = 0, refuses: bool = False) -> None:
        self.calls, self.loops, self.refuses = 0, loops, refuses

    def __call__(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.refuses:
            raise RuntimeError("head_dim 8 is not supported\nmore")
        for _ in range(self.loops):
            attend(q, k, v)
        return attend(q, k, v)


def measured(memory: Path, **candidates: AttentionFn) -> MeasuredAttention:
    return MeasuredAttention(candidates, CPU, torch.float32, memory)


def test_auto_measures_once_for_each_shape_and_remembers(tmp_path: Path, draw: Draw) -> None:
    memory = tmp_path / "new" / "attention.json"
    slow, fast = Counted(loops=300), Counted()
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


def test_other_machines_findings_are_not_used(tmp_path: Path, draw: Draw) -> None:
    memory = tmp_path / "attention.json"
    memory.write_text(json.dumps({"torch 0|other|float32|a,b": {"4x4x2x8,1": "a"}}))
    auto = measured(memory, a=Counted(loops=300), b=Counted())
    auto(*(draw(1, 4, 2, 8),) * 3)
    assert auto.choices == {"4x4x2x8,1": "b"}
    assert len(json.loads(memory.read_text())) == 2


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_broken_memory_is_an_empty_one(tmp_path: Path, draw: Draw, content: str) -> None:
    memory = tmp_path / "attention.json"
    memory.write_text(content)
    auto = measured(memory, a=Counted(), b=Counted(loops=300))
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
    assert err == "hiar: attention 'cudnn' needs a GPU, not cpu; use sdpa or auto\n"
