"""`--compile`: one graph a stretch for all layers, the same video, and one line where it fails."""

from collections.abc import Callable, Iterator
from copy import deepcopy

import pytest
import torch
from torch._dynamo.utils import counters

from hiar.errors import UsageError
from hiar.model.compiled import STRETCHES, check_compiler, compile_layers
from hiar.model.transformer import CausalWan
from hiar.sampling.config import SamplerConfig
from hiar.sampling.sampler import sample_latents

pytestmark = pytest.mark.numerics


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def test_layers_share_their_graphs_and_the_video_is_the_same(
    make_model: Callable[..., CausalWan], draw: Callable[..., torch.Tensor]
) -> None:
    model = make_model(num_layers=4)
    compiled = deepcopy(model)
    # Traced and captured as always, then run as written: code generation takes half a minute.
    compile_layers(compiled, backend="eager")
    config = SamplerConfig(order="step_first", window=6, steps=(1000, 500))
    noise, text = draw(1, 12, 4, 4, 6), draw(1, 3, 8)
    found = sample_latents(compiled, text, noise, config)
    assert counters["stats"]["unique_graphs"] == len(STRETCHES) + 1  # and the compiler's check
    # While compiling, the rotary turn and the activation take their plain forms.
    torch.testing.assert_close(
        found, sample_latents(model, text, noise, config), rtol=1e-4, atol=1e-5
    )


def test_a_compiler_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("No working C++ compiler found\nand a page more")

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(UsageError) as failure:
        check_compiler(torch.device("cpu"))
    message = str(failure.value)
    assert "--compile does not work here (RuntimeError: No working C++ compiler found)" in message
    assert "\n" not in message
